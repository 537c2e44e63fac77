package hivetest

import (
	"slices"
	"strings"
)

// leap is a step of a query from entities to others.
type leap struct {
	kind *kind
	up   bool // to the parent, not to the children
	from string
}

// steps are the operations that follow a selection, by its kind.
var steps = map[string]map[string]leap{
	"Case": {
		"tasks": {kind: taskKind}, "observables": {kind: observableKind}, "comments": {kind: commentKind},
		"procedures": {kind: procedureKind}, "pages": {kind: pageKind}, "attachments": {kind: attachmentKind},
		"alerts": {kind: alertKind, from: "caseId"}, "shares": {kind: shareKind},
		"similarCases": {kind: caseKind, from: "akin"}, "similarAlerts": {kind: alertKind, from: "akin"},
	},
	"Alert": {
		"similarCases": {kind: caseKind, from: "akin"}, "similarAlerts": {kind: alertKind, from: "akin"},
		"observables": {kind: observableKind}, "comments": {kind: commentKind}, "procedures": {kind: procedureKind},
		"attachments": {kind: attachmentKind}, "case": {kind: caseKind, from: "id"},
	},
	"Task":         {"logs": {kind: logKind}, "case": {kind: caseKind, up: true}},
	"Log":          {"task": {kind: taskKind, up: true}},
	"Observable":   {"case": {kind: caseKind, up: true}, "alert": {kind: alertKind, up: true}, "similar": {kind: observableKind, from: "data"}, "jobs": {kind: jobKind}},
	"Procedure":    {"case": {kind: caseKind, up: true}, "alert": {kind: alertKind, up: true}, "pattern": {kind: patternKind, from: "pattern"}},
	"Comment":      {"case": {kind: caseKind, up: true}, "alert": {kind: alertKind, up: true}},
	"Page":         {"case": {kind: caseKind, up: true}},
	"Organisation": {"users": {kind: userKind, from: "users"}, "attachments": {kind: attachmentKind}},
	"CaseTemplate": {"tasks": {kind: taskKind}, "pageTemplates": {kind: pageTemplateKind, from: "pages"}},
}

func stepsOf(k *kind) []string {
	out := []string{"filter", "sort", "page", "count", "limitedCount"}
	for name := range steps[k.name] {
		out = append(out, name)
	}
	return out
}

// follow takes a step from each entity; each target is listed once.
func (c *call) follow(from []*entry, to leap) []*entry {
	var out []*entry
	for _, e := range from {
		switch {
		case to.up:
			if e.parent != nil && e.parent.doc.kind == to.kind {
				out = append(out, e.parent)
			}
		case to.from != "":
			out = append(out, c.related(e, to)...)
		default:
			out = slices.AppendSeq(out, e.children(to.kind).each)
			if to.kind == taskKind && c.h.quirks.ShortTasks && len(out) > 0 {
				out = out[:len(out)-1]
			}
		}
	}
	if to.kind != userKind && to.kind != patternKind {
		out = slices.DeleteFunc(out, func(e *entry) bool { return !c.visible(e) })
	}
	if len(from) > 1 {
		slices.SortFunc(out, func(a, b *entry) int { return int(a.serial - b.serial) })
		out = slices.Compact(out)
	}
	return out
}

// related follows the relations that are not those of parent and child.
func (c *call) related(e *entry, to leap) []*entry {
	s := c.h.store
	var out []*entry
	switch to.from {
	case "caseId":
		for a := range s.of(alertKind).each {
			if a.doc.text("caseId") == e.id {
				out = append(out, a)
			}
		}
	case "pages":
		for _, id := range e.doc.list("pageTemplateIds") {
			if p := s.byID[id]; p != nil {
				out = append(out, p)
			}
		}
	case "akin":
		return c.akin(e, to.kind)
	case "id":
		if t := s.byID[e.doc.text("caseId")]; t != nil {
			out = append(out, t)
		}
	case "pattern":
		if t := s.lookup(patternKind, "", e.doc.text("patternId")); t != nil {
			out = append(out, t)
		}
	case "users":
		for u := range s.of(userKind).each {
			if slices.ContainsFunc(memberships(u.doc), func(m member) bool { return m.org == e.id }) {
				out = append(out, u)
			}
		}
	case "data":
		for _, o := range s.found(observableKind, "data", e.doc.text("data")) {
			if o != e && c.visible(o) && identity(o.doc) == identity(e.doc) {
				out = append(out, o)
			}
		}
	}
	return out
}

// extra computes the extra data that a page asks for; names that TheHive may know and this server does not are null.
func (c *call) extra(e *entry, names []string) map[string]any {
	if len(names) == 0 {
		return nil
	}
	out := make(map[string]any, len(names))
	for _, name := range names {
		if name != "total" {
			out[name] = c.extraValue(e, name)
		}
	}
	return out
}

func (c *call) extraValue(e *entry, name string) any {
	switch name {
	case "observableStats":
		return map[string]int{"total": e.count(observableKind)}
	case "taskStats":
		return c.taskStats(e)
	case "procedureCount":
		return e.count(procedureKind)
	case "attachmentCount":
		return e.count(attachmentKind)
	case "alertCount":
		return len(c.related(e, leap{kind: alertKind, from: "caseId"}))
	case "alerts":
		return c.renderAll(c.related(e, leap{kind: alertKind, from: "caseId"}))
	case "similarAlerts":
		return c.renderAll(c.akin(e, alertKind))
	case "similarCases":
		return c.renderAll(c.akin(e, caseKind))
	case "importDate":
		return set(e.doc.num("importedDate"))
	case "contributors":
		return []any{}
	case "shares":
		return c.renderAll(slices.Collect(e.root().children(shareKind).each))
	case "isOwner":
		return e.org == c.viewer.org
	case "shareCount":
		return e.root().count(shareKind)
	case "actionCount":
		return 0
	case "permissions":
		return c.viewer.permissions
	case "status", "stage":
		return e.doc.text(name)
	case "links":
		return c.h.links(e)
	case "actionRequired", "seen":
		return false
	}
	return c.extraDoc(e, name)
}

// extraDoc is the extra data that is an entity.
func (c *call) extraDoc(e *entry, name string) any {
	s := c.h.store
	var target *entry
	switch name {
	case "case", "relatedCase":
		target = e.root()
	case "task":
		target = e.parent
	case "caseId":
		return e.root().id
	case "caseNumber":
		if t := s.byID[e.doc.text("caseId")]; t != nil {
			return t.doc.num("number")
		}
	case "pattern":
		target = s.lookup(patternKind, "", e.doc.text("patternId"))
	case "patternParent":
		target = s.lookup(patternKind, "", parentTechnique(e.doc.text("patternId")))
	}
	if target == nil || target == e {
		return nil
	}
	return c.rendered(target.doc)
}

// akin are the cases or alerts that share an observable with this one.
func (c *call) akin(e *entry, k *kind) []*entry {
	var out []*entry
	for o := range e.children(observableKind).each {
		for _, twin := range c.related(o, leap{kind: observableKind, from: "data"}) {
			if r := twin.root(); r.doc.kind == k && r != e && !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	return out
}

func (c *call) renderAll(entries []*entry) []rendered {
	out := make([]rendered, len(entries))
	for i, e := range entries {
		out[i] = c.rendered(e.doc)
	}
	return out
}

// rendered writes an entity inside other JSON.
type rendered struct {
	doc    *doc
	viewer viewer
}

// rendered writes an entity as the caller's release of the server does.
func (c *call) rendered(d *doc) rendered { return rendered{d, viewer{release: c.viewer.release}} }

// MarshalJSON writes the entity as a list would.
func (r rendered) MarshalJSON() ([]byte, error) {
	return row{doc: r.doc}.append(nil, r.viewer, nil), nil
}

func parentTechnique(id string) string {
	for i := range len(id) {
		if id[i] == '.' {
			return id[:i]
		}
	}
	return ""
}

func (c *call) taskStats(e *entry) map[string]int {
	out := map[string]int{"total": 0, "Waiting": 0, "InProgress": 0, "Completed": 0, "Cancel": 0}
	for t := range e.children(taskKind).each {
		out["total"]++
		out[t.doc.text("status")]++
	}
	return out
}

func (s *store) lookup(k *kind, org, idOrName string) *entry {
	e := s.byID[idOrName]
	if e == nil && !strings.HasPrefix(idOrName, "~") {
		e = s.byName[s.nameKey(k, org, idOrName)]
	}
	if e == nil || e.doc.kind != k || e.org != "" && e.org != org {
		return nil
	}
	return e
}

// needs reads one property of the path as an entity and hands it on.
func needs(k *kind, run func(*call, *entry) (reply, error)) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		e, err := c.get(k, c.args[0])
		if err != nil {
			return reply{}, err
		}
		return run(c, e)
	}
}

// show answers one entity.
func show1(status int, d *doc) reply { return reply{status: status, one: &row{doc: d}} }

// done answers nothing, as TheHive does after a change.
func done() reply { return reply{status: 204} }

// stamp is the caller and the present moment.
func (c *call) stamp() stamp { return c.h.stamp(c.viewer.login) }

func (c *call) decode(k *kind, m mode) (map[string]any, error) {
	return k.decode(c.body, m, c.terms())
}

func (c *call) terms() terms { return terms{c.h.options.Lenient, c.h.release} }

// child adds an entity below a case, alert or task, and marks the parents as touched.
func (c *call) child(k *kind, parent *entry, values map[string]any, st stamp) *entry {
	e := c.h.store.add(k, c.viewer.org, parent, values, st)
	c.h.store.touch(parent.root(), st)
	c.h.audit("create", e, st, c)
	return e
}

// update changes an entity, its parents' dates and the audit trail.
func (c *call) update(e *entry, values map[string]any) {
	st, former := c.stamp(), e.doc
	c.h.store.change(e, values, st)
	if e.parent != nil {
		c.h.store.touch(e.root(), st)
	}
	c.h.record(audit{action: "update", former: former}, e, st, c)
}

// remove deletes an entity and all below it.
func (c *call) remove(e *entry) {
	st := c.stamp()
	c.h.audit("delete", e, st, c)
	c.h.store.remove(e)
	c.h.store.recount(e.parent)
	if e.parent != nil && !e.parent.gone {
		c.h.store.touch(e.root(), st)
	}
}
