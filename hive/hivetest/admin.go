package hivetest

import (
	"net/http"
	"slices"
)

// resource are the endpoints of a kind that is created, read, changed and deleted, and no more.
type resource struct {
	path       string
	kind       *kind
	permission string
	read       bool // GET of one exists
	create     check
	update     check
	remove     func(*call, *entry) error
	forOrg     bool // belongs to the caller's organisation
}

var resources = []resource{
	{path: "/api/v1/customField", kind: customFieldKind, permission: "manageCustomField", create: newCustomField, update: unchecked, remove: dropCustomField},
	{path: "/api/v1/profile", kind: profileKind, permission: "manageProfile", read: true, create: unchecked, update: unchecked},
	{path: "/api/v1/observable/type", kind: observableTypeKind, permission: "manageObservableTemplate", read: true, create: unchecked},
	{path: "/api/v1/caseTemplate", kind: caseTemplateKind, permission: "manageCaseTemplate", read: true, create: fillTemplate, update: fillTemplate, forOrg: true},
	{path: "/api/v1/pageTemplate", kind: pageTemplateKind, permission: "manageCaseTemplate", create: unchecked, update: unchecked, forOrg: true},
	{path: "/api/v1/caseStatus", kind: caseStatusKind, permission: "manageCustomField", create: newStatus, update: unchecked},
	{path: "/api/v1/alertStatus", kind: alertStatusKind, permission: "manageCustomField", create: newStatus, update: unchecked},
	{path: "/api/v1/catalog", kind: catalogKind, permission: "managePattern", create: unchecked, update: unchecked},
}

// adminRoutes are made from the resources.
func adminRoutes() []route {
	var out []route
	for _, r := range resources {
		out = append(out,
			route{method: "POST", template: r.path, form: jsonBody, permission: r.permission, run: r.add},
			route{method: "DELETE", template: r.path + "/{id}", permission: r.permission, run: needs(r.kind, r.delete)})
		if r.read {
			out = append(out, route{method: "GET", template: r.path + "/{id}", run: needs(r.kind, showEntry)})
		}
		if r.update != nil {
			out = append(out, route{method: "PATCH", template: r.path + "/{id}", form: jsonBody, permission: r.permission, run: patch(r.kind, r.update)})
		}
	}
	return out
}

// add creates one; a name that is taken is a CreateError, which TheHive answers with 400.
func (r resource) add(c *call) (reply, error) {
	values, err := c.decode(r.kind, creating)
	if err != nil {
		return reply{}, err
	}
	for _, f := range r.kind.fields { // what only the server sets
		if f.preset != nil {
			fill(values, f.name, f.preset)
		}
	}
	org := ""
	if r.forOrg {
		org = c.viewer.org
	}
	if r.kind.natural != "" {
		name, _ := values[r.kind.natural].(string)
		if c.h.store.lookup(r.kind, org, name) != nil {
			return reply{}, createError("%s %s already exists", r.kind.name, name)
		}
	}
	if err := r.create(c, nil, values); err != nil {
		return reply{}, err
	}
	st := c.stamp()
	e := c.h.store.add(r.kind, org, nil, values, st)
	c.h.audit("create", e, st, c)
	return show1(http.StatusCreated, e.doc), nil
}

func (r resource) delete(c *call, e *entry) (reply, error) {
	if r.remove != nil {
		if err := r.remove(c, e); err != nil {
			return reply{}, err
		}
	}
	return deleteEntry(c, e)
}

var customTypes = []string{"string", "integer", "float", "boolean", "date", "url"}

func newCustomField(_ *call, _ *entry, values map[string]any) error {
	if !slices.Contains(customTypes, values["type"].(string)) {
		return invalid("type", values["type"], "CustomFieldType")
	}
	fill(values, "displayName", values["name"])
	return nil
}

// dropCustomField refuses a field that is in use unless force is asked for, and then takes its values along.
func dropCustomField(c *call, e *entry) error {
	name := e.doc.text("name")
	uses := c.usesOf(name)
	if len(uses) > 0 && !c.queryFlag("force") {
		return badRequest("CustomField %s is used", name)
	}
	for _, u := range uses {
		values := u.doc.get("customFields").([]customValue)
		left := slices.DeleteFunc(slices.Clone(values), func(v customValue) bool { return v.Name == name })
		c.h.store.change(u, map[string]any{"customFields": left}, c.stamp())
	}
	return nil
}

func (c *call) usesOf(name string) []*entry {
	var out []*entry
	for _, k := range []*kind{caseKind, alertKind, caseTemplateKind} {
		for e := range c.h.store.of(k).each {
			values, _ := e.doc.get("customFields").([]customValue)
			if slices.ContainsFunc(values, func(v customValue) bool { return v.Name == name }) {
				out = append(out, e)
			}
		}
	}
	return out
}

func newStatus(_ *call, _ *entry, values map[string]any) error {
	stages := []string{"New", "InProgress", "Closed", "Imported"}
	if !slices.Contains(stages, values["stage"].(string)) {
		return invalid("stage", values["stage"], "stage")
	}
	return nil
}

// fillTemplate makes the tasks of a case template entities of their own, without a parent.
func fillTemplate(c *call, e *entry, values map[string]any) error {
	if e == nil {
		fill(values, "displayName", values["name"])
		fill(values, "tasks", []map[string]any{})
	}
	var former *doc
	if e != nil {
		former = e.doc
	}
	if err := c.h.store.resolveCustom(values, former); err != nil {
		return err
	}
	delete(values, "pageTemplateIds")
	delete(values, "pageTemplates")
	if tasks, ok := values["tasks"].([]map[string]any); ok {
		docs := make([]*doc, 0, len(tasks))
		for _, t := range tasks {
			docs = append(docs, c.h.store.free(taskKind, c.viewer.org, t, c.stamp()))
		}
		values["tasks"] = docs
	}
	return nil
}

// free makes an entity that is part of another one's properties: it has an id, but is in no list.
func (s *store) free(k *kind, org string, values map[string]any, st stamp) *doc {
	s.next += 8
	e := &entry{id: entityID(s.next), serial: s.next, org: org}
	d := &doc{kind: k, entry: e, vals: make([]any, len(k.fields)), by: st.by, at: st.ms}
	for name, v := range values {
		d.set(name, v)
	}
	e.doc = d
	return d
}
