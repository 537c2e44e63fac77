package hivetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Quirks are what is known of one TheHive and not of all: how a release or an installation answers where nobody who has no
// server can know. The zero value is what evidence makes likely for [Options.Version]. As JSON they are what "worker check
// --connect --conform --json" saw of a real server.
type Quirks struct {
	// Restricted is what a restricted case is to an account that has no access to it: Hidden, Refused or Shown. Empty: Hidden.
	Restricted Sight `json:"restricted,omitempty"`
	// RestrictedService is the same to an account of the type Service. Empty: Shown (release notes of 5.6.1).
	RestrictedService Sight `json:"restrictedService,omitempty"`
	// BelowDeleted is the status of a POST below a case that is not there: 404 or 403. 0: 404.
	BelowDeleted int `json:"belowDeleted,omitempty"`
	// BadProcedure is what stays of several procedures of which one is refused: "none" or "others". Empty: none.
	BadProcedure string `json:"badProcedure,omitempty"`
	// Doubled is how a doubled observable is answered: 207 with the failure, 400, or 201 as if it was new. 0: 207.
	Doubled int `json:"doubled,omitempty"`
	// SecondName is what a file of a known content under another name becomes: "double" or "observable". Empty: a double.
	SecondName string `json:"secondName,omitempty"`
	// UnknownField is what becomes of a custom field that nobody defined: "dropped" or "refused" (404). Empty: dropped.
	UnknownField string `json:"unknownField,omitempty"`
	// TemplateTags says when a case template's tags come beside those of the request: "always" or "unless sent". Empty: by
	// Version, unless sent from 5.7.1.
	TemplateTags string `json:"templateTags,omitempty"`
	// Reopen is the right that changing a closed case's status into an open one needs. Empty: by Version,
	// "manageCase/reopen" from 5.2.6, else "manageCase/update".
	Reopen string `json:"reopen,omitempty"`
	// ForeignOrganisation is the status when an account calls for an organisation that is not its own: 403 or 401. 0: 403.
	ForeignOrganisation int `json:"foreignOrganisation,omitempty"`
	// LostTags: of several addTags at a time the last one wins.
	LostTags bool `json:"lostTags,omitempty"`
	// Tags is how a tag that reads as one of a taxonomy (a:b=c) comes back: "kept" or "quoted" (a:b="c"). Empty: kept.
	Tags string `json:"tags,omitempty"`
	// WrongType is the status for a body of the wrong content type: 400 or 415. 0: by Version, 400 from 5.2.16, 5.3.11, 5.4.10 and 5.5.1.
	WrongType int `json:"wrongType,omitempty"`
	// ShortTasks: a case's list of tasks may lack the newest (before 5.6.3).
	ShortTasks bool `json:"shortTasks,omitempty"`
	// SearchLag and ListLag are how long a search for cases and a case's lists do not show what was written, in ms. With
	// either, they count in the place of [Misbehaviour]'s Lag.
	SearchLag int64 `json:"searchLagMs,omitempty"`
	ListLag   int64 `json:"listLagMs,omitempty"`
	// MergeLoses are the kinds of children that a merge of two cases leaves behind: "comments", "pages", "procedures".
	MergeLoses []string `json:"mergeLoses,omitempty"`
	// FailureClass is the Java class of the 500s that writes to one case meet when they come within a tenth of a second of
	// each other; empty: there are none.
	FailureClass string `json:"failureClass,omitempty"`
}

// Sight is how something that an account has no access to looks.
type Sight string

// The sights of a restricted case.
const (
	Hidden  Sight = "hidden"  // 404, and in no list
	Refused Sight = "refused" // 403, and in no list
	Shown   Sight = "shown"   // as any other
)

// ReadQuirks reads what "worker check --connect --conform --json" wrote of a server: its release and its quirks. A name that
// it does not know is an error, so that nothing seen is passed over.
func ReadQuirks(raw []byte) (version string, q Quirks, err error) {
	type seen struct {
		Version   string          `json:"version"`
		Quirks    json.RawMessage `json:"quirks"`
		Questions json.RawMessage `json:"questions"`
	}
	var report struct {
		seen

		Works    bool            `json:"works"` // of the command's whole report
		Findings json.RawMessage `json:"findings"`
		Conform  *seen           `json:"conform"`
	}
	if err := strictly(raw, &report); err != nil {
		return "", q, fmt.Errorf("conformance report: %w", err)
	}
	if report.Conform != nil {
		report.seen = *report.Conform
	}
	if report.Version == "" || report.Quirks == nil {
		return "", q, errReport
	}
	if err := strictly(report.Quirks, &q); err != nil {
		return "", q, fmt.Errorf("conformance report: quirks: %w", err)
	}
	return report.Version, q, nil
}

// release is a version of TheHive, comparable.
type release [3]int

// releaseOf reads "5.5.13-1"; what it cannot read is 5.5.13.
func releaseOf(version string) release {
	number, _, _ := strings.Cut(version, "-")
	var r release
	for i, part := range strings.SplitN(number, ".", 3) {
		n, err := strconv.Atoi(part)
		if err != nil {
			return release{5, 5, 13}
		}
		r[i] = n
	}
	return r
}

func (r release) before(o release) bool { return slices.Compare(r[:], o[:]) < 0 }

// settled fills in what the version says.
func (q Quirks) settled(at release) Quirks {
	q.Restricted = or(q.Restricted, Hidden)
	q.RestrictedService = or(q.RestrictedService, Shown)
	q.BelowDeleted = or(q.BelowDeleted, http.StatusNotFound)
	q.Doubled = or(q.Doubled, http.StatusMultiStatus)
	q.ForeignOrganisation = or(q.ForeignOrganisation, http.StatusForbidden)
	templates, reopen, form := "always", "manageCase/reopen", http.StatusBadRequest
	if !at.before(release{5, 7, 1}) {
		templates = "unless sent"
	}
	if at.before(release{5, 2, 6}) {
		reopen = "manageCase/update"
	}
	if at.before(fixedForms(at)) {
		form = http.StatusUnsupportedMediaType
	}
	q.TemplateTags, q.Reopen, q.WrongType = or(q.TemplateTags, templates), or(q.Reopen, reopen), or(q.WrongType, form)
	return q
}

// fixedForms is the release of a series since which a wrong content type is answered with 400.
func fixedForms(at release) release {
	for _, fixed := range []release{{5, 2, 16}, {5, 3, 11}, {5, 4, 10}} {
		if at[0] == fixed[0] && at[1] <= fixed[1] {
			return fixed
		}
	}
	return release{5, 5, 1}
}

// rightsFrom are the permissions that came with a release.
var rightsFrom = map[string]release{
	"manageCase/reopen": {5, 2, 6}, "manageAlert/reopen": {5, 2, 6},
	"manageCaseAccess/restrict": {5, 5, 0}, "manageCaseAccess/external": {5, 6, 0},
}

// known are the permissions that a release has.
func known(list []string, at release) []string {
	return slices.DeleteFunc(slices.Clone(list), func(p string) bool { return at.before(rightsFrom[p]) })
}

// lags are how long searches and lists do not show what is written now, and whether the lists of one case lag at all.
func (h *Hive) lags() (search, lists time.Duration, children bool) {
	if q := h.quirks; q.SearchLag+q.ListLag > 0 {
		return time.Duration(q.SearchLag) * time.Millisecond, time.Duration(q.ListLag) * time.Millisecond, true
	}
	m := h.fault.Load()
	return m.Lag, m.Lag, m.LagChildren
}

// lagging says whether anything lags.
func (h *Hive) lagging() bool { search, lists, _ := h.lags(); return search+lists > 0 }

// burst is how close writes to one case are that meet each other.
const burst = 100 * time.Millisecond

// crowd knows when each case was last written to.
type crowd struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// meets notes a write and says whether it came close after another one.
func (w *crowd) meets(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last = map[string]time.Time{}
	}
	now, before := time.Now(), w.last[what]
	w.last[what] = now
	return !before.IsZero() && now.Sub(before) < burst
}

// collides fails a write that comes close after another one to the same case.
func (c *call) collides() error {
	q := c.h.quirks
	if q.FailureClass == "" || c.route.reads || !strings.HasPrefix(c.route.template, "/api/v1/case") {
		return nil
	}
	what := c.route.template
	if len(c.args) > 0 {
		what = c.args[0]
	}
	if !c.h.crowd.meets(what) {
		return nil
	}
	return &problem{status: http.StatusInternalServerError, Type: q.FailureClass, Text: "Local lock contention"}
}

// tagBase are the tags that an update adds to: those of before a burst where tags get lost.
func (h *Hive) tagBase(e *entry) []string {
	if !h.quirks.LostTags {
		return e.doc.list("tags")
	}
	if now := time.Now(); e.tagged.IsZero() || now.Sub(e.tagged) >= burst {
		e.tagged, e.tags = now, e.doc.list("tags")
	}
	return e.tags
}

var taxonomyTag = regexp.MustCompile(`^([^:="]+):([^:="]+)=([^"]+)$`)

// written are tags as the server keeps them.
func (h *Hive) written(tags []string) []string {
	if h.quirks.Tags != "quoted" {
		return tags
	}
	out := make([]string, len(tags))
	for i, t := range tags {
		out[i] = taxonomyTag.ReplaceAllString(t, `$1:$2="$3"`)
	}
	return out
}

// A case that is restricted to some accounts is out of the sight of all others, and so is what lies in it.

// sight is how an entity looks to the caller.
func (c *call) sight(e *entry) Sight {
	if e == nil || e.org != "" && e.org != c.viewer.org && !c.shares(e) {
		return Hidden
	}
	access, _ := e.root().doc.get("access").(map[string]any)
	if access["_kind"] != "UserAccessKind" {
		return Shown
	}
	users, _ := access["users"].([]any)
	if slices.Contains(users, any(c.viewer.login)) {
		return Shown
	}
	if c.user != nil && c.user.doc.text("type") == "Service" {
		return c.h.quirks.RestrictedService
	}
	return c.h.quirks.Restricted
}

// visible says whether the caller sees the entity in lists. Users, organisations and patterns are everybody's.
func (c *call) visible(e *entry) bool { return c.sight(e) == Shown }

// lookup finds an entity by id or by its natural name, and says how it looks to the caller.
func (c *call) lookup(k *kind, idOrName string) (*entry, Sight) {
	s := c.h.store
	e := s.byID[idOrName]
	if e == nil && !strings.HasPrefix(idOrName, "~") {
		e = s.byName[s.nameKey(k, c.viewer.org, idOrName)]
	}
	if e == nil || e.doc.kind != k {
		return nil, Hidden
	}
	return e, c.sight(e)
}

// get finds an entity that the caller may see, by id or by its natural name.
func (c *call) get(k *kind, idOrName string) (*entry, error) {
	e, how := c.lookup(k, idOrName)
	switch how {
	case Shown:
		return e, nil
	case Refused:
		return nil, notPermitted()
	case Hidden:
	}
	if k == caseKind && c.route.method == http.MethodPost && c.h.quirks.BelowDeleted == http.StatusForbidden {
		return nil, notPermitted()
	}
	return nil, notFound("%s %s not found", k.name, idOrName)
}

var accessKinds = map[string]string{
	"OrganisationAccessKind": "manageCaseAccess/restrict", "UserAccessKind": "manageCaseAccess/restrict",
	"ExternalAccessKind": "manageCaseAccess/external", "AllExternalAccessKind": "manageCaseAccess/external",
}

// access reads who is to see a case, and whether the caller may say so.
func (c *call) access() (map[string]any, error) {
	access, ok := c.body["access"].(map[string]any)
	kind, _ := access["_kind"].(string)
	right, known := accessKinds[kind]
	if users, given := access["users"].([]any); kind == "UserAccessKind" && (!given || len(users) == 0) {
		ok = false
	}
	if !ok || !known || right == "manageCaseAccess/external" && c.h.release.before(release{5, 6, 0}) {
		return nil, invalid("access", c.body["access"], "access")
	}
	if !c.viewer.may(right) {
		return nil, forbidden(c.route.name(), right)
	}
	return access, nil
}

func setAccess(c *call, e *entry) (reply, error) {
	access, err := c.access()
	if err != nil {
		return reply{}, err
	}
	c.update(e, map[string]any{"access": access})
	return done(), nil
}

// setAccesses is the same for several cases (from 5.6).
func setAccesses(c *call) (reply, error) {
	ids, err := c.takeIDs("ids")
	if err != nil {
		return reply{}, err
	}
	access, err := c.access()
	if err != nil {
		return reply{}, err
	}
	cases := make([]*entry, len(ids))
	for i, id := range ids {
		if cases[i], err = c.get(caseKind, id); err != nil {
			return reply{}, err
		}
	}
	for _, e := range cases {
		c.update(e, map[string]any{"access": access})
	}
	return done(), nil
}

// reopens refuses to open a closed case again to those who may not.
func (c *call) reopens(e *entry, values map[string]any) error {
	stage, _ := values["stage"].(string)
	if stage == "" || stage == "Closed" || e.doc.text("stage") != "Closed" {
		return nil
	}
	right := c.h.quirks.Reopen
	if !c.viewer.may(right) {
		return forbidden("reopen the case", right)
	}
	if slices.Contains(e.root().lacks(), right) {
		return notPermitted()
	}
	return nil
}
