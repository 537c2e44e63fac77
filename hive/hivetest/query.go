package hivetest

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// found is what a query holds between two operations: entities of one kind, or a number at its end.
type selection struct {
	kind    *kind
	entries []*entry
	listed  bool // straight from a list operation: the index may lag, and may serve the first filter
	sorted  bool
	rows    []row // set by page
	paged   bool
	total   int // for X-Total; -1: not asked for
	number  int
	counted bool
}

// runQuery evaluates POST /api/v1/query.
func runQuery(c *call) (reply, error) {
	ops, hide, err := c.queryBody()
	if err != nil {
		return reply{}, err
	}
	sel := selection{total: -1}
	for i, op := range ops {
		if sel.counted {
			return reply{}, unknownOp(op, []string{})
		}
		if i == 0 {
			err = c.start(&sel, op, ops[1:])
		} else {
			err = c.step(&sel, op)
		}
		if err != nil {
			return reply{}, err
		}
	}
	return c.answer(&sel, hide), nil
}

func (c *call) queryBody() ([]map[string]any, []string, error) {
	for name, v := range c.body {
		if name != "query" && name != "excludeFields" && !c.h.options.Lenient {
			return nil, nil, attributes([]attributeFault{{Type: "UnknownAttributeError", Name: name, Field: v}})
		}
	}
	list, ok := c.body["query"].([]any)
	if !ok || len(list) == 0 {
		return nil, nil, badRequest("Invalid query: an array of operations is expected")
	}
	ops := make([]map[string]any, len(list))
	for i, v := range list {
		if ops[i], ok = v.(map[string]any); !ok {
			return nil, nil, badRequest("Invalid query: an operation is an object")
		}
		if _, ok := ops[i]["_name"].(string); !ok {
			return nil, nil, missing("_name")
		}
	}
	hide := field{name: "excludeFields", shape: texts}
	if v, sent := c.body["excludeFields"]; sent {
		got, faults := hide.decodeTexts(v)
		if faults != nil {
			return nil, nil, attributes(faults)
		}
		return ops, got.([]string), nil
	}
	return ops, nil, nil
}

func (c *call) answer(sel *selection, hide []string) reply {
	if sel.counted {
		return reply{status: http.StatusOK, raw: strconv.AppendInt(nil, int64(sel.number), 10)}
	}
	out := reply{status: http.StatusOK, list: true, rows: sel.rows, hide: hide}
	if !sel.paged {
		out.rows = make([]row, len(sel.entries))
		for i, e := range c.order(sel) {
			out.rows[i] = row{doc: e.doc}
		}
	}
	if sel.total >= 0 {
		out.header = http.Header{"X-Total": {strconv.Itoa(sel.total)}}
	}
	return out
}

// order returns the entities as they are listed; who did not sort cannot count on any order.
func (c *call) order(sel *selection) []*entry {
	if !sel.sorted && c.h.fault.Load().Unordered {
		mixed := slices.Clone(sel.entries)
		rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		return mixed
	}
	return sel.entries
}

// start runs the first operation: listX or getX.
func (c *call) start(sel *selection, op map[string]any, rest []map[string]any) error {
	name := op["_name"].(string)
	if name == "listAudit" {
		sel.kind, sel.listed, sel.entries = auditKind, true, c.trail()
		return c.only(op)
	}
	if k, ok := kinds[strings.TrimPrefix(name, "list")]; ok && strings.HasPrefix(name, "list") {
		if err := c.only(op); err != nil {
			return err
		}
		sel.kind, sel.listed = k, true
		sel.entries = c.listed(k, rest)
		return nil
	}
	if k, ok := kinds[strings.TrimPrefix(name, "get")]; ok && strings.HasPrefix(name, "get") {
		if err := c.only(op, "idOrName"); err != nil {
			return err
		}
		id, ok := op["idOrName"].(string)
		if !ok {
			return missing("idOrName")
		}
		sel.kind = k
		if e, how := c.lookup(k, id); how == Shown {
			sel.entries = []*entry{e}
		}
		return nil
	}
	if k, ok := kinds[strings.TrimPrefix(name, "count")]; ok && strings.HasPrefix(name, "count") {
		sel.counted, sel.number = true, len(c.listed(k, nil))
		return nil
	}
	return unknownOp(op, firstOps())
}

// listed returns the entities that a list starts from: all that the index knows, or those that its first filter can
// have meant.
func (c *call) listed(k *kind, rest []map[string]any) []*entry {
	s := c.h.store
	if len(rest) > 0 && rest[0]["_name"] == "filter" {
		if candidates, ok := c.candidates(k, rest[0]); ok {
			return slices.DeleteFunc(candidates, func(e *entry) bool { return !c.visible(e) })
		}
	}
	var out []*entry
	if series := s.byKind[k.name]; series != nil {
		out = make([]*entry, 0, series.live)
		for e := range series.each {
			if c.visible(e) {
				out = append(out, e)
			}
		}
	}
	return out
}

// only refuses parameters that an operation does not have.
func (c *call) only(op map[string]any, names ...string) error {
	if c.h.options.Lenient {
		return nil
	}
	for name, v := range op {
		if name != "_name" && !slices.Contains(names, name) {
			return attributes([]attributeFault{{Type: "UnknownAttributeError", Name: name, Field: v}})
		}
	}
	return nil
}

// step runs a further operation.
func (c *call) step(sel *selection, op map[string]any) error {
	if sel.paged {
		return unknownOp(op, nil)
	}
	switch name := op["_name"].(string); name {
	case "filter":
		return c.filter(sel, op)
	case "sort":
		return c.sort(sel, op)
	case "page":
		return c.page(sel, op)
	case "count", "limitedCount":
		sel.entries = c.known(sel)
		sel.counted, sel.number = true, len(sel.entries)
		return c.only(op)
	default:
		to, ok := steps[sel.kind.name][name]
		if !ok {
			return unknownOp(op, stepsOf(sel.kind))
		}
		if err := c.only(op); err != nil {
			return err
		}
		sel.entries = c.follow(c.known(sel), to)
		_, _, children := c.h.lags()
		sel.kind, sel.listed, sel.sorted = to.kind, children, false
		return nil
	}
}

// known drops what the index does not show yet.
func (c *call) known(sel *selection) []*entry {
	if !sel.listed || !c.h.lagging() {
		return sel.entries
	}
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(sel.entries), func(e *entry) bool { return e.indexed(now) == nil })
}

func (c *call) filter(sel *selection, op map[string]any) error {
	keep, err := c.compile(sel.kind, op, true)
	if err != nil {
		return err
	}
	lag, now := sel.listed && c.h.lagging(), time.Time{}
	if lag {
		now = time.Now()
	}
	out := make([]*entry, 0, min(len(sel.entries), 64))
	for _, e := range sel.entries {
		d := e.doc
		if lag {
			d = e.indexed(now)
		}
		if d != nil && keep(d) {
			out = append(out, e)
		}
	}
	sel.entries = out
	return nil
}

func unknownOp(op map[string]any, accepted []string) error {
	slices.Sort(accepted)
	return invalid("_name", op["_name"], "query name: "+strings.Join(accepted, ", "))
}

func firstOps() []string {
	out := make([]string, 0, 2*len(kinds))
	for name := range kinds {
		out = append(out, "list"+name, "get"+name)
	}
	return out
}

func (c *call) sort(sel *selection, op map[string]any) error {
	if err := c.only(op, "_fields"); err != nil {
		return err
	}
	fields, ok := op["_fields"].([]any)
	if !ok {
		return missing("_fields")
	}
	var by []func(a, b *entry) int
	for _, f := range fields {
		m, ok := f.(map[string]any)
		if !ok || len(m) != 1 {
			return invalid("_fields", f, `{"field":"asc|desc"}`)
		}
		for name, direction := range m {
			compare, err := comparison(sel.kind, name, direction)
			if err != nil {
				return err
			}
			by = append(by, compare)
		}
	}
	sel.entries, sel.sorted = slices.Clone(sel.entries), true
	slices.SortStableFunc(sel.entries, func(a, b *entry) int {
		for _, compare := range by {
			if n := compare(a, b); n != 0 {
				return n
			}
		}
		return 0
	})
	return nil
}

func comparison(k *kind, name string, direction any) (func(a, b *entry) int, error) {
	get, _, err := accessor(k, name)
	if err != nil {
		return nil, err
	}
	switch direction {
	case "asc":
		return func(a, b *entry) int { return order(get(a.doc), get(b.doc)) }, nil
	case "desc":
		return func(a, b *entry) int { return order(get(b.doc), get(a.doc)) }, nil
	}
	return nil, invalid(name, direction, "asc or desc")
}

func (c *call) page(sel *selection, op map[string]any) error {
	if err := c.only(op, "from", "to", "extraData"); err != nil {
		return err
	}
	from, ok1 := whole(op["from"])
	to, ok2 := whole(op["to"])
	if !ok1 || !ok2 || from < 0 || to < from {
		return badRequest("Invalid page: from %v to %v", op["from"], op["to"])
	}
	extra := field{name: "extraData", shape: texts}
	names := []string{}
	if v, sent := op["extraData"]; sent && v != nil {
		got, faults := extra.decodeTexts(v)
		if faults != nil {
			return attributes(faults)
		}
		names = got.([]string)
	}
	sel.entries = c.known(sel)
	n := int64(len(sel.entries))
	all := c.order(sel)
	sel.paged = true
	for _, e := range all[min(from, n):min(to, n)] {
		sel.rows = append(sel.rows, row{doc: e.doc, extra: c.extra(e, names)})
	}
	if slices.Contains(names, "total") {
		sel.total = int(n)
	}
	return nil
}

// permissionsOf are the built-in profiles of TheHive, with all that a release has (OpenAPI, x-TheHive-permissions).
var permissionsOf = map[string][]string{
	"admin": {
		"managePlatform", "manageOrganisation", "manageProfile", "manageUser", "manageCustomField", "manageConfig",
		"manageObservableTemplate", "manageTaxonomy", "managePattern", "manageAnalyzerTemplate", "manageTag",
	},
	"org-admin": append([]string{
		"manageUser", "manageConfig", "manageCaseTemplate", "managePageTemplate", "manageCaseReportTemplate", "manageFunction/create",
	}, analystPermissions...),
	"analyst":   analystPermissions,
	"read-only": {},
}

var analystPermissions = []string{
	"manageCase/create", "manageCase/update", "manageCase/delete", "manageCase/merge", "manageCase/changeOwnership", "manageCase/reopen",
	"manageCaseAccess/restrict", "manageCaseAccess/external", "manageCaseReport", "manageDashboard",
	"manageAlert/create", "manageAlert/update", "manageAlert/delete", "manageAlert/import", "manageAlert/reopen", "manageObservable",
	"manageTask", "manageProcedure", "managePage", "manageComment", "manageCustomEvent", "manageShare", "manageAnalyse",
	"manageAction", "manageFunction/invoke", "manageTag", "manageKnowledgeBase", "accessTheHiveFS",
}

var statusesOf = map[string][][2]string{
	"CaseStatus": {
		{"New", "New"}, {"InProgress", "InProgress"}, {"Indeterminate", "Closed"}, {"FalsePositive", "Closed"},
		{"TruePositive", "Closed"}, {"Other", "Closed"}, {"Duplicated", "Closed"},
	},
	"AlertStatus": {
		{"New", "New"}, {"InProgress", "InProgress"}, {"Pending", "InProgress"}, {"Ignored", "Closed"},
		{"Duplicate", "Closed"}, {"FalsePositive", "Closed"}, {"Imported", "Imported"},
	},
}

var dataTypes = []string{
	"url", "other", "user-agent", "regexp", "mail-subject", "registry", "mail", "autonomous-system", "domain", "ip",
	"uri_path", "filename", "hash", "file", "fqdn", "hostname",
}

func profileType(name string) string {
	if name == "admin" {
		return "Admin"
	}
	return "Organisation"
}

// found makes the store of a server that was just installed.
func (h *Hive) found() *store {
	s, st := newStore(), h.stamp(systemUser)
	h.temper(s)
	st.lag, st.childLag = 0, 0
	profiles := maps.Clone(permissionsOf)
	maps.Copy(profiles, h.options.Profiles)
	for name, list := range profiles {
		s.add(profileKind, "", nil, map[string]any{
			"name": name, "permissions": known(list, h.release), "type": profileType(name), "forExternal": false, "editable": name == "analyst" || name == "read-only",
			"forAdmin": name == "admin", "forOrg": name != "admin", "consumesLicense": name != "read-only",
		}, st)
	}
	for _, name := range dataTypes {
		s.add(observableTypeKind, "", nil, map[string]any{"name": name, "isAttachment": name == "file", "isCaseSensitive": true}, st)
	}
	for kind, list := range statusesOf {
		for i, v := range list {
			s.add(kinds[kind], "", nil, map[string]any{
				"value": v[0], "stage": v[1], "order": int64(i), "colour": "#000000", "hidden": false,
			}, st)
		}
	}
	s.add(catalogKind, "", nil, map[string]any{"name": "Enterprise Attack"}, st)
	for _, p := range h.options.Patterns {
		s.pattern(p, st)
	}
	h.people(s, st)
	return s
}

// temper tells a store what this server does otherwise than others.
func (h *Hive) temper(s *store) {
	s.refuseUnknown, s.replaces = h.quirks.UnknownField == "refused", h.release.before(release{5, 7, 1})
	s.templateTags = h.quirks.TemplateTags == "always"
}

func (h *Hive) people(s *store, st stamp) {
	members := make([]Membership, 0, len(h.options.Organisations)+1)
	for _, name := range append(slices.Clone(h.options.Organisations), adminOrganisation) {
		if s.byName[s.nameKey(organisationKind, "", name)] != nil {
			continue
		}
		s.add(organisationKind, "", nil, map[string]any{
			"name": name, "description": name, "taskRule": "manual", "observableRule": "manual", "locked": false,
			"links": []orgLink{},
		}, st)
		profile := "org-admin"
		if name == adminOrganisation {
			profile = "admin"
		}
		members = append(members, Membership{name, profile})
	}
	s.enrol(User{
		Login: DefaultUser, Name: "Default admin user", Password: DefaultPassword, APIKey: h.options.APIKey, Memberships: members,
	}, st)
	for _, u := range h.options.Users {
		s.enrol(u, st)
	}
}

// enrol adds an account; memberships in organisations that do not exist are left out.
func (s *store) enrol(u User, st stamp) *entry {
	var members []member
	for _, m := range u.Memberships {
		if org := s.byName[s.nameKey(organisationKind, "", m.Organisation)]; org != nil {
			members = append(members, member{
				org: org.id, name: m.Organisation, profile: m.Profile, permissions: s.permissions(m.Profile), preset: len(members) == 0,
			})
		}
	}
	e := s.add(userKind, "", nil, map[string]any{
		"login": u.Login, "name": or(u.Name, u.Login), "type": or(u.Type, "Normal"), "locked": false, "memberships": members,
		"hasKey": u.APIKey != "", "hasPassword": u.Password != "",
	}, st)
	s.setPassword(u.Login, u.Password)
	s.setKey(u.Login, u.APIKey)
	return e
}

func (s *store) pattern(p Pattern, st stamp) {
	s.add(patternKind, "", nil, map[string]any{
		"patternId": p.ID, "name": p.Name, "tactics": slices.Clone(p.Tactics), "patternType": "attack-pattern",
		"url":     "https://attack.mitre.org/techniques/" + p.ID,
		"revoked": p.Revoked, "remoteSupport": false, "platforms": []string{}, "dataSources": []string{},
	}, st)
}

// DefaultWindow is the span within which two cases of one correlation key are duplicates.
const DefaultWindow = 24 * time.Hour

// Stats are the numbers of calls and entities, and how many of the entities are there twice.
type Stats struct {
	Calls       map[string]int `json:"calls"` // by route, "POST /api/v1/case/{id}"; unknown endpoints as "GET ?"
	Total       int            `json:"total"` // of the calls
	Cases       int            `json:"cases"`
	Observables int            `json:"observables"` // of cases and alerts, files too
	Procedures  int            `json:"procedures"`
	Comments    int            `json:"comments"`
	Tasks       int            `json:"tasks"`
	Pages       int            `json:"pages"`
	Attachments int            `json:"attachments"` // of cases and alerts
	Alerts      int            `json:"alerts"`
	Patterns    int            `json:"patterns"`
	Duplicates  Duplicates     `json:"duplicates"`
}

// Duplicates are how many entities another one has made superfluous: n alike count n−1.
type Duplicates struct {
	Cases       int `json:"cases"`       // of one forager: tag, started within the window of an earlier one still open then
	Observables int `json:"observables"` // of one case, type and value
	Procedures  int `json:"procedures"`  // of one case, technique and tactic
	Comments    int `json:"comments"`    // of one case and marker line, or equal text
	Files       int `json:"files"`       // of one case, SHA-256 and name
	Tasks       int `json:"tasks"`       // of one case and title
	Pages       int `json:"pages"`       // of one case and title
}

// Total is the sum of all duplicates.
func (d Duplicates) Total() int {
	return d.Cases + d.Observables + d.Procedures + d.Comments + d.Files + d.Tasks + d.Pages
}

// Stats counts what the server holds. Window is the span within which cases of one tag are duplicates: 0 is
// DefaultWindow, less than 0 is no limit.
func (h *Hive) Stats(window time.Duration) Stats {
	h.catchUp()
	s := Stats{}
	s.Calls, s.Total = h.journal.tally()
	h.mu.RLock()
	defer h.mu.RUnlock()
	count := func(k *kind) int {
		if series := h.store.byKind[k.name]; series != nil {
			return series.live
		}
		return 0
	}
	s.Cases, s.Observables, s.Procedures = count(caseKind), count(observableKind), count(procedureKind)
	s.Comments, s.Tasks, s.Pages = count(commentKind), count(taskKind), count(pageKind)
	s.Attachments, s.Alerts, s.Patterns = count(attachmentKind), count(alertKind), count(patternKind)
	s.Duplicates = h.store.duplicates(or(window, DefaultWindow))
	return s
}
