package hivetest

import (
	"cmp"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

var observableRoutes = []route{
	{method: "POST", template: "/api/v1/case/{id}/observable", form: eitherOne, permission: "manageObservable", run: needs(caseKind, addObservables)},
	{method: "POST", template: "/api/v1/alert/{id}/observable", form: eitherOne, permission: "manageObservable", run: needs(alertKind, addObservables)},
	{method: "PATCH", template: "/api/v1/observable/_bulk", form: jsonBody, permission: "manageObservable", run: bulk(observableKind, updateObservable)},
	{method: "GET", template: "/api/v1/observable/{id}", run: needs(observableKind, showEntry)},
	{method: "PATCH", template: "/api/v1/observable/{id}", form: jsonBody, permission: "manageObservable", run: patch(observableKind, updateObservable)},
	{method: "DELETE", template: "/api/v1/observable/{id}", permission: "manageObservable", run: needs(observableKind, deleteEntry)},
}

// refusal is one value of a request that was not stored, in the form of TheHive's 207.
type refusal struct {
	Type    string         `json:"type"`
	Message string         `json:"message"`
	Object  map[string]any `json:"object"`
}

// addObservables stores each value or file by itself: 201 with an array if all are new, else 207 with both lists.
func addObservables(c *call, parent *entry) (reply, error) {
	if t := c.r.URL.Query().Get("dataType"); t != "" && c.body["dataType"] == nil {
		c.body["dataType"] = t
	}
	if c.form != nil && c.body["dataType"] == nil {
		c.body["dataType"] = "file"
	}
	values, err := c.decode(observableKind, creating)
	if err != nil {
		return reply{}, err
	}
	each, err := c.expand(parent, values)
	if err != nil {
		return reply{}, err
	}
	st := c.stamp()
	var rows []row
	var refused []refusal
	for _, v := range each {
		if e := c.observe(parent, v, st); e != nil {
			rows = append(rows, row{doc: e.doc})
			continue
		}
		refused = append(refused, exists(v))
		if twin := same(parent, identity(probeOf(v))); twin != nil && c.h.quirks.Doubled == http.StatusCreated {
			refused, rows = refused[:len(refused)-1], append(rows, row{doc: twin.doc})
		}
	}
	if len(refused) > 0 && c.h.quirks.Doubled == http.StatusBadRequest {
		return reply{}, createError("%s", refused[0].Message)
	}
	if len(refused) == 0 {
		return reply{status: http.StatusCreated, rows: rows, list: true}, nil
	}
	return partial(rows, refused, c.viewer), nil
}

func exists(values map[string]any) refusal {
	what := map[string]any{"data": values["data"]}
	if a, ok := values["attachment"].(*doc); ok {
		what = map[string]any{"data": "file:" + a.text("name"), "attachment": map[string]any{"name": a.text("name")}}
	}
	return refusal{"CreateError", "Observable already exists", what}
}

func partial(rows []row, refused []refusal, v viewer) reply {
	good := reply{rows: rows, list: true}
	b := append([]byte(`{"success":`), good.bytes(v)...)
	b = append(append(append(b, `,"failure":`...), toJSON(refused)...), '}')
	return reply{status: http.StatusMultiStatus, raw: b}
}

// probeOf is an observable that is not stored, to see whether there is the same.
func probeOf(values map[string]any) *doc {
	probe := &doc{kind: observableKind, vals: make([]any, len(observableKind.fields))}
	for _, name := range []string{"dataType", "data", "attachment"} {
		probe.set(name, values[name])
	}
	return probe
}

// observe stores one observable, or answers nil if its parent holds the same already.
func (c *call) observe(parent *entry, values map[string]any, st stamp) *entry {
	key := identity(probeOf(values))
	if _, taken := parent.values[key]; taken {
		return nil
	}
	if parent.values == nil {
		parent.values = map[string]struct{}{}
	}
	parent.values[key] = struct{}{}
	fill(values, "startDate", st.ms)
	e := c.child(observableKind, parent, values, st)
	c.h.store.recount(parent)
	return e
}

// recount keeps an alert's own number of observables.
func (s *store) recount(parent *entry) {
	if parent == nil || parent.gone || parent.doc.kind != alertKind {
		return
	}
	d := *parent.doc
	d.vals = append([]any(nil), d.vals...)
	d.set("observableCount", int64(parent.count(observableKind)))
	parent.doc = &d
}

// expand makes one set of values for each value or file that the request names.
func (c *call) expand(parent *entry, values map[string]any) ([]map[string]any, error) {
	t := c.h.store.lookup(observableTypeKind, "", values["dataType"].(string))
	if t == nil {
		return nil, notFound("ObservableType %s not found", values["dataType"])
	}
	zipped, password := values["isZip"] == true, DefaultZipPassword
	if p, ok := values["zipPassword"].(string); ok {
		password = p
	}
	delete(values, "isZip")
	delete(values, "zipPassword")
	if t.doc.flag("isAttachment") {
		return c.expandFiles(parent, values, zipped, password)
	}
	if values["attachment"] != nil || c.form != nil && len(c.form.files) > 0 {
		return nil, badRequest("A file is not expected for dataType %s", values["dataType"])
	}
	data, err := dataOf(values["data"])
	if err != nil {
		return nil, err
	}
	out := make([]map[string]any, len(data))
	for i, d := range data {
		out[i] = copyOf(values)
		if t.doc.get("isCaseSensitive") == false {
			d = strings.ToLower(d)
		}
		out[i]["data"] = d
	}
	return out, nil
}

func copyOf(values map[string]any) map[string]any {
	out := make(map[string]any, len(values)+1)
	maps.Copy(out, values)
	return out
}

// dataOf reads one value or an array of them; each has 1 to 4096 characters.
func dataOf(v any) ([]string, error) {
	var out []string
	switch v := v.(type) {
	case nil:
		return nil, missing("data")
	case string:
		out = []string{v}
	case []any:
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, invalid("data", e, "string")
			}
			out = append(out, s)
		}
	default:
		return nil, invalid("data", v, "string")
	}
	if len(out) == 0 {
		return nil, missing("data")
	}
	for _, s := range out {
		if n := units(s); n < 1 || n > 4096 {
			return nil, invalid("data", s, "string of 1 to 4096 characters")
		}
	}
	return out, nil
}

// updateObservable lets the type change only between types of the same form, and never into one that is there already.
func updateObservable(c *call, e *entry, values map[string]any) error {
	c.mergeTags(values, e)
	name, ok := values["dataType"].(string)
	if !ok || name == e.doc.text("dataType") {
		return nil
	}
	t := c.h.store.lookup(observableTypeKind, "", name)
	if t == nil {
		return notFound("ObservableType %s not found", name)
	}
	if _, isFile := e.doc.get("attachment").(*doc); isFile != t.doc.flag("isAttachment") {
		return badRequest("Can not update dataType: isAttachment does not match")
	}
	next := *e.doc
	next.vals = append([]any(nil), next.vals...)
	next.set("dataType", name)
	if _, taken := e.parent.values[identity(&next)]; taken {
		return createError("Observable already exists")
	}
	return nil
}

const tagPrefix = "forager:"

var (
	keyTag     = regexp.MustCompile(`^forager:[0-9a-f]{32}$`)
	markerSpan = regexp.MustCompile("`(forager:[^`]*)`")
	changeName = regexp.MustCompile(`(?:^|\s)change=(\S+)`)
	ruleAndDay = regexp.MustCompile(`(?:^|\s)rule=(\S+)(?:.*\s)?day=(\S+)`)
)

func (s *store) duplicates(window time.Duration) Duplicates {
	var d Duplicates
	byTag := map[string][]*doc{}
	for e := range s.of(caseKind).each {
		for _, t := range caseKeys(e.doc) {
			byTag[t] = append(byTag[t], e.doc)
		}
		d.Observables += repeated(e, observableKind, valueKey)
		d.Procedures += repeated(e, procedureKind, techniqueKey)
		d.Comments += repeatedComments(e)
		d.Files += repeated(e, attachmentKind, fileKey) + repeated(e, observableKind, observedFileKey)
		d.Tasks += repeated(e, taskKind, titleKey)
		d.Pages += repeated(e, pageKind, titleKey)
	}
	extra := map[*entry]bool{}
	for _, cases := range byTag {
		for _, c := range superfluous(cases, window) {
			extra[c.entry] = true
		}
	}
	d.Cases = len(extra)
	return d
}

// caseKeys are the tags by which Forager finds a case. Beside the hash of the key there may be other forager: tags,
// which say something of the case and identify nothing; a case without a hash counts by all that it has.
func caseKeys(d *doc) []string {
	var hashes, others []string
	for _, t := range d.list("tags") {
		switch {
		case keyTag.MatchString(t):
			hashes = append(hashes, t)
		case strings.HasPrefix(t, tagPrefix) && t != "forager:degraded":
			others = append(others, t)
		}
	}
	if hashes != nil {
		return hashes
	}
	return others
}

// superfluous are the cases that began within the window of an earlier one while that one was open.
func superfluous(cases []*doc, window time.Duration) []*doc {
	slices.SortFunc(cases, func(a, b *doc) int {
		return cmp.Or(cmp.Compare(a.num("startDate"), b.num("startDate")), cmp.Compare(a.num("number"), b.num("number")))
	})
	span := int64(math.MaxInt64)
	if window > 0 {
		span = window.Milliseconds()
	}
	var out []*doc
	for i, later := range cases {
		start := later.num("startDate")
		if slices.ContainsFunc(cases[:i], func(earlier *doc) bool {
			open := earlier.text("stage") != "Closed" || earlier.num("endDate") > start
			return open && start-earlier.num("startDate") < span
		}) {
			out = append(out, later)
		}
	}
	return out
}

// repeated counts the children of a kind whose key an earlier one has; an empty key counts for nothing.
func repeated(e *entry, k *kind, key func(*doc) string) int {
	n, seen := 0, map[string]bool{}
	for child := range e.children(k).each {
		id := key(child.doc)
		if id == "" {
			continue
		}
		if seen[id] {
			n++
		}
		seen[id] = true
	}
	return n
}

func valueKey(d *doc) string {
	if d.text("data") == "" {
		return ""
	}
	return d.text("dataType") + "\x00" + d.text("data")
}

func techniqueKey(d *doc) string { return d.text("patternId") + "\x00" + d.text("tactic") }

func titleKey(d *doc) string { return d.text("title") }

func fileKey(d *doc) string { return d.text("id") + "\x00" + d.text("name") }

func observedFileKey(d *doc) string {
	if a, ok := d.get("attachment").(*doc); ok {
		return fileKey(a)
	}
	return ""
}

// repeatedComments counts comments whose marker or whose text an earlier one of the case has.
func repeatedComments(e *entry) int {
	n, texts, markers := 0, map[string]bool{}, map[string]bool{}
	for child := range e.children(commentKind).each {
		message := child.doc.text("message")
		m := marker(message)
		if texts[message] || m != "" && markers[m] {
			n++
		}
		texts[message], markers[m] = true, true
	}
	return n
}

// marker is what identifies a comment of Forager's: the last line that holds a code span beginning with forager:. Of a
// span that names rule and day only these two count, since the list of ids beside them grows; of one that names a
// change, that alone.
func marker(message string) string {
	found := ""
	for line := range strings.Lines(message) {
		span := markerSpan.FindStringSubmatch(line)
		if span == nil {
			continue
		}
		found = strings.TrimSpace(line)
		if m := ruleAndDay.FindStringSubmatch(span[1]); m != nil {
			found = "rule=" + m[1] + " day=" + m[2]
		}
		if m := changeName.FindStringSubmatch(span[1]); m != nil {
			found = "change=" + m[1]
		}
	}
	return found
}
