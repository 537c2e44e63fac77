package hivetest

import (
	"maps"
	"net/http"
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
	}
	if refused == nil {
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

// observe stores one observable, or answers nil if its parent holds the same already.
func (c *call) observe(parent *entry, values map[string]any, st stamp) *entry {
	probe := &doc{kind: observableKind, vals: make([]any, len(observableKind.fields))}
	for _, name := range []string{"dataType", "data", "attachment"} {
		probe.set(name, values[name])
	}
	key := identity(probe)
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
	mergeTags(values, e.doc)
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
