package hivetest

import (
	"net/http"
	"slices"
	"strings"
)

var caseRoutes = []route{
	{method: "POST", template: "/api/v1/case", form: jsonBody, permission: "manageCase/create", run: createCase},
	{method: "PATCH", template: "/api/v1/case/_bulk", form: jsonBody, permission: "manageCase/update", run: bulk(caseKind, updateCase)},
	{method: "POST", template: "/api/v1/case/_merge/{ids}", permission: "manageCase/merge", run: mergeCases},
	{method: "GET", template: "/api/v1/case/{id}", run: needs(caseKind, showEntry)},
	{method: "PATCH", template: "/api/v1/case/{id}", form: jsonBody, permission: "manageCase/update", run: patch(caseKind, updateCase)},
	{method: "DELETE", template: "/api/v1/case/{id}", permission: "manageCase/delete", run: needs(caseKind, deleteEntry)},
}

func showEntry(_ *call, e *entry) (reply, error) { return show1(http.StatusOK, e.doc), nil }

func deleteEntry(c *call, e *entry) (reply, error) { c.remove(e); return done(), nil }

func createCase(c *call) (reply, error) {
	values, err := c.decode(caseKind, creating)
	if err != nil {
		return reply{}, err
	}
	e, err := c.newCase(values)
	if err != nil {
		return reply{}, err
	}
	return show1(http.StatusCreated, note(e.doc)), nil
}

// note is a version as the answer to its creation shows it.
func note(d *doc) *doc { n := *d; n.isNote = true; return &n }

// newCase checks everything that a new case refers to, and only then stores it with its tasks and pages.
func (c *call) newCase(values map[string]any) (*entry, error) {
	st := c.stamp()
	if err := c.h.store.applyTemplate(c.viewer.org, values); err != nil {
		return nil, err
	}
	if err := c.checkCase(values); err != nil {
		return nil, err
	}
	s := c.h.store
	s.number++
	values["number"], values["newDate"] = s.number, st.ms
	fill(values, "startDate", st.ms)
	fill(values, "assignee", c.viewer.login)
	c.stage(caseStatusKind, values, nil, st)
	e := s.add(caseKind, c.viewer.org, nil, values, st)
	c.h.audit("create", e, st, c)
	for _, t := range list[map[string]any](values, "tasks") {
		c.h.audit("create", s.add(taskKind, c.viewer.org, e, t, st), st, c)
	}
	for _, p := range list[map[string]any](values, "pages") {
		c.h.audit("create", s.add(pageKind, c.viewer.org, e, p, st), st, c)
	}
	return e, nil
}

func fill(values map[string]any, name string, v any) {
	if values[name] == nil {
		values[name] = v
	}
}

func list[T any](values map[string]any, name string) []T {
	l, _ := values[name].([]T)
	return l
}

// checkCase resolves what a case refers to by name: status, assignee, custom fields.
func (c *call) checkCase(values map[string]any) error {
	s := c.h.store
	if v, ok := values["status"].(string); ok && s.lookup(caseStatusKind, "", v) == nil {
		return notFound("CaseStatus %s not found", v)
	}
	if err := c.checkAssignee(values); err != nil {
		return err
	}
	return s.resolveCustom(values, nil)
}

func (c *call) checkAssignee(values map[string]any) error {
	login, ok := values["assignee"].(string)
	if !ok {
		return nil
	}
	u := c.h.store.lookup(userKind, "", login)
	if u == nil || !slices.ContainsFunc(memberships(u.doc), func(m member) bool { return m.org == c.viewer.orgID }) {
		return notFound("User %s not found", login)
	}
	values["assignee"] = u.doc.text("login")
	return nil
}

// stage follows the status of a case or alert and sets the dates of its first entry into each stage.
func (c *call) stage(statuses *kind, values map[string]any, former *doc, st stamp) {
	status, ok := values["status"].(string)
	if !ok {
		return
	}
	stage := c.h.store.lookup(statuses, "", status).doc.text("stage")
	values["stage"] = stage
	was := ""
	if former != nil {
		was = former.text("stage")
	}
	switch {
	case stage == "InProgress" && (former == nil || former.num("inProgressDate") == 0):
		values["inProgressDate"] = st.ms
	case stage == "Closed" && was != "Closed":
		if former == nil || former.num("closedDate") == 0 {
			values["closedDate"] = st.ms
		}
		fill(values, "endDate", st.ms)
	}
}

// updateCase checks one update of a case and returns what to store.
func updateCase(c *call, e *entry, values map[string]any) error {
	s := c.h.store
	if v, ok := values["status"].(string); ok && s.lookup(caseStatusKind, "", v) == nil {
		return notFound("CaseStatus %s not found", v)
	}
	if err := c.checkAssignee(values); err != nil {
		return err
	}
	if err := s.resolveCustom(values, e.doc); err != nil {
		return err
	}
	mergeTags(values, e.doc)
	c.stage(caseStatusKind, values, e.doc, c.stamp())
	return nil
}

// mergeTags applies addTags and removeTags to the present tags (or to those of the same update).
func mergeTags(values map[string]any, d *doc) {
	add, drop := list[string](values, "addTags"), list[string](values, "removeTags")
	delete(values, "addTags")
	delete(values, "removeTags")
	if add == nil && drop == nil {
		return
	}
	now, replaced := values["tags"].([]string)
	if !replaced {
		now = d.list("tags")
	}
	values["tags"] = slices.DeleteFunc(union(now, add), func(t string) bool { return slices.Contains(drop, t) })
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if out == nil {
		out = []string{}
	}
	return out
}

// check looks at an update of one entity, and may complete it.
type check func(c *call, e *entry, values map[string]any) error

// patch updates one entity.
func patch(k *kind, ok check) func(*call) (reply, error) {
	return needs(k, func(c *call, e *entry) (reply, error) {
		values, err := c.decode(k, updating)
		if err != nil {
			return reply{}, err
		}
		if err := ok(c, e, values); err != nil {
			return reply{}, err
		}
		c.update(e, values)
		return done(), nil
	})
}

// bulk updates several entities, all or none.
func bulk(k *kind, ok check) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		ids, err := c.takeIDs("ids")
		if err != nil {
			return reply{}, err
		}
		entries, updates := make([]*entry, len(ids)), make([]map[string]any, len(ids))
		for i, id := range ids {
			if entries[i], err = c.get(k, id); err != nil {
				return reply{}, err
			}
			if updates[i], err = c.decode(k, updating); err != nil {
				return reply{}, err
			}
			if err = ok(c, entries[i], updates[i]); err != nil {
				return reply{}, err
			}
		}
		for i, e := range entries {
			c.update(e, updates[i])
		}
		return done(), nil
	}
}

// takeIDs removes a list of ids from the body.
func (c *call) takeIDs(name string) ([]string, error) {
	v, sent := c.body[name]
	if !sent {
		return nil, missing(name)
	}
	f := field{name: name, shape: texts, lo: 1}
	got, faults := f.decodeTexts(v)
	if len(faults) > 0 {
		return nil, attributes(faults)
	}
	delete(c.body, name)
	return got.([]string), nil
}

func unchecked(*call, *entry, map[string]any) error { return nil }

func splitIDs(s string) []string {
	return slices.DeleteFunc(strings.Split(s, ","), func(id string) bool { return id == "" })
}
