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
	probe := &doc{kind: caseKind, vals: make([]any, len(caseKind.fields))}
	probe.set("taskRule", values["taskRule"])
	probe.set("observableRule", values["observableRule"])
	shares, err := c.sharesAsked(values["sharingParameters"], probe)
	if err != nil {
		return nil, err
	}
	s := c.h.store
	s.number++
	values["number"], values["newDate"] = s.number, st.ms
	fill(values, "startDate", st.ms)
	fill(values, "assignee", c.viewer.login)
	values["tags"] = c.h.written(list[string](values, "tags"))
	c.stage(caseStatusKind, values, nil, st)
	e := s.add(caseKind, c.viewer.org, nil, values, st)
	c.share(e, shares)
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
	c.mergeTags(values, e)
	c.stage(caseStatusKind, values, e.doc, c.stamp())
	return c.reopens(e, values)
}

// mergeTags applies addTags and removeTags to the present tags (or to those of the same update).
func (c *call) mergeTags(values map[string]any, e *entry) {
	add, drop := list[string](values, "addTags"), list[string](values, "removeTags")
	delete(values, "addTags")
	delete(values, "removeTags")
	if add == nil && drop == nil {
		return
	}
	now, replaced := values["tags"].([]string)
	if !replaced {
		now = c.h.tagBase(e)
	}
	add = c.h.written(add)
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

// maxMerge is TheHive's default for case.maxMergeInCase.
const maxMerge = 50

// mergeCases makes a new case of several: titles and descriptions are joined, tags united, the highest severity, TLP
// and PAP and the earliest start kept, children moved, equal observables merged. The sources are gone afterwards.
func mergeCases(c *call) (reply, error) {
	ids := splitIDs(c.args[0])
	var sources []*entry
	for _, id := range ids {
		e, err := c.get(caseKind, id)
		if err != nil {
			return reply{}, err
		}
		if !slices.Contains(sources, e) {
			sources = append(sources, e)
		}
	}
	if len(sources) < 2 || len(sources) > maxMerge {
		return reply{}, badRequest("Cases to merge: from 2 to %d are expected, not %d", maxMerge, len(sources))
	}
	st := c.stamp()
	merged := c.h.store.add(caseKind, c.viewer.org, nil, c.mergedValues(sources, st), st)
	gone := make([]*doc, 0, len(sources))
	for _, source := range sources {
		gone = append(gone, source.doc)
	}
	c.h.record(audit{action: "merge", sources: gone}, merged, st, c)
	for _, source := range sources {
		c.moveChildren(source, merged, st)
	}
	for a := range c.h.store.of(alertKind).each {
		for _, source := range sources {
			if a.doc.text("caseId") == source.id {
				c.h.store.change(a, map[string]any{"caseId": merged.id}, st)
			}
		}
	}
	for _, source := range sources {
		c.remove(source)
	}
	return show1(http.StatusCreated, merged.doc), nil
}

func (c *call) mergedValues(sources []*entry, st stamp) map[string]any {
	first := sources[0].doc
	values := map[string]any{}
	for i, f := range caseKind.fields {
		if first.vals[i] != nil {
			values[f.name] = first.vals[i]
		}
	}
	var titles, descriptions []string
	for _, e := range sources {
		d := e.doc
		titles, descriptions = append(titles, d.text("title")), append(descriptions, d.text("description"))
		values["tags"] = union(list[string](values, "tags"), d.list("tags"))
		for _, name := range []string{"severity", "tlp", "pap"} {
			values[name] = max(values[name].(int64), d.num(name))
		}
		values["startDate"] = min(values["startDate"].(int64), d.num("startDate"))
		values["customFields"] = unite(values["customFields"], d.get("customFields"))
	}
	for _, name := range []string{"endDate", "impactStatus", "closedDate", "inProgressDate", "summary"} {
		delete(values, name)
	}
	c.h.store.number++
	values["number"], values["newDate"] = c.h.store.number, st.ms
	values["title"], values["description"] = clipRunes(strings.Join(titles, " / "), 512), strings.Join(descriptions, "\n\n")
	values["status"], values["stage"] = "New", "New"
	values["assignee"] = c.viewer.login
	return values
}

func clipRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

func unite(a, b any) []customValue {
	first, _ := a.([]customValue)
	second, _ := b.([]customValue)
	out := append([]customValue{}, first...)
	for _, v := range second {
		if !slices.ContainsFunc(out, func(o customValue) bool { return o.Name == v.Name }) {
			out = append(out, v)
		}
	}
	return out
}

// moveChildren takes all that lies below one case to another; observables that are there already lend their tags.
func (c *call) moveChildren(from, to *entry, st stamp) {
	for name, series := range from.kids {
		if slices.Contains(c.h.quirks.MergeLoses, strings.ToLower(name)+"s") {
			continue
		}
		for _, e := range slices.Clone(series.all) {
			if e.gone {
				continue
			}
			if key := identity(e.doc); key != "" {
				if twin := same(to, key); twin != nil {
					c.h.store.change(twin, map[string]any{"tags": union(twin.doc.list("tags"), e.doc.list("tags"))}, st)
					continue
				}
				if to.values == nil {
					to.values = map[string]struct{}{}
				}
				to.values[key] = struct{}{}
			}
			series.all = slices.DeleteFunc(series.all, func(o *entry) bool { return o == e })
			series.live--
			to.adopt(e)
		}
	}
}

func same(parent *entry, key string) *entry {
	if _, ok := parent.values[key]; !ok {
		return nil
	}
	for e := range parent.children(observableKind).each {
		if identity(e.doc) == key {
			return e
		}
	}
	return nil
}

var childRoutes = []route{
	{method: "POST", template: "/api/v1/case/{id}/task", form: jsonBody, permission: "manageTask", run: addTo(caseKind, taskKind, newTask)},
	{method: "PATCH", template: "/api/v1/task/_bulk", form: jsonBody, permission: "manageTask", run: bulk(taskKind, updateTask)},
	{method: "GET", template: "/api/v1/task/{id}", run: needs(taskKind, showEntry)},
	{method: "PATCH", template: "/api/v1/task/{id}", form: jsonBody, permission: "manageTask", run: patch(taskKind, updateTask)},
	{method: "DELETE", template: "/api/v1/task/{id}", permission: "manageTask", run: needs(taskKind, deleteEntry)},
	{method: "POST", template: "/api/v1/case/{id}/page", form: jsonBody, permission: "managePage", run: addTo(caseKind, pageKind, nil)},
	{method: "PATCH", template: "/api/v1/case/{id}/page/{page}", form: jsonBody, permission: "managePage", run: patchPage},
	{method: "DELETE", template: "/api/v1/case/{id}/page/{page}", permission: "managePage", run: deletePage},
	{method: "POST", template: "/api/v1/case/{id}/comment", form: jsonBody, permission: "manageComment", run: addTo(caseKind, commentKind, newComment)},
	{method: "POST", template: "/api/v1/alert/{id}/comment", form: jsonBody, permission: "manageComment", run: addTo(alertKind, commentKind, newComment)},
	{method: "PATCH", template: "/api/v1/comment/{id}", form: jsonBody, permission: "manageComment", run: patch(commentKind, editComment)},
	{method: "DELETE", template: "/api/v1/comment/{id}", permission: "manageComment", run: needs(commentKind, deleteEntry)},
	{method: "POST", template: "/api/v1/case/{id}/customEvent", form: jsonBody, permission: "manageCustomEvent", run: addTo(caseKind, eventKind, nil)},
	{method: "PATCH", template: "/api/v1/customEvent/{id}", form: jsonBody, permission: "manageCustomEvent", run: patch(eventKind, unchecked)},
	{method: "DELETE", template: "/api/v1/customEvent/{id}", permission: "manageCustomEvent", run: needs(eventKind, deleteEntry)},
}

// addTo creates an entity below another one.
func addTo(parent, k *kind, complete check) func(*call) (reply, error) {
	return needs(parent, func(c *call, p *entry) (reply, error) {
		values, err := c.decode(k, creating)
		if err != nil {
			return reply{}, err
		}
		if complete != nil {
			if err := complete(c, p, values); err != nil {
				return reply{}, err
			}
		}
		return show1(http.StatusCreated, c.child(k, p, values, c.stamp()).doc), nil
	})
}

// taskStatuses are fixed in TheHive.
var taskStatuses = map[string]bool{"Waiting": true, "InProgress": true, "Completed": true, "Cancel": true}

func newTask(c *call, _ *entry, values map[string]any) error {
	if s, ok := values["status"].(string); ok && !taskStatuses[s] {
		return invalid("status", s, "TaskStatus")
	}
	return c.checkAssignee(values)
}

func updateTask(c *call, e *entry, values map[string]any) error {
	if err := newTask(c, e, values); err != nil {
		return err
	}
	switch values["status"] {
	case "InProgress":
		if e.doc.num("startDate") == 0 {
			fill(values, "startDate", c.h.now())
		}
		if e.doc.text("assignee") == "" {
			fill(values, "assignee", c.viewer.login)
		}
	case "Completed", "Cancel":
		fill(values, "endDate", c.h.now())
	}
	return nil
}

func newComment(_ *call, _ *entry, values map[string]any) error {
	values["isEdited"] = false
	return nil
}

func editComment(_ *call, _ *entry, values map[string]any) error {
	if _, ok := values["message"]; !ok {
		return missing("message")
	}
	values["isEdited"] = true
	return nil
}

// pageOf finds a page of the case that the path names.
func pageOf(c *call) (*entry, error) {
	parent, err := c.get(caseKind, c.args[0])
	if err != nil {
		return nil, err
	}
	page, err := c.get(pageKind, c.args[1])
	if err != nil || page.parent != parent {
		return nil, notFound("Page %s not found", c.args[1])
	}
	return page, nil
}

func patchPage(c *call) (reply, error) {
	e, err := pageOf(c)
	if err != nil {
		return reply{}, err
	}
	values, err := c.decode(pageKind, updating)
	if err != nil {
		return reply{}, err
	}
	c.update(e, values)
	return done(), nil
}

func deletePage(c *call) (reply, error) {
	e, err := pageOf(c)
	if err != nil {
		return reply{}, err
	}
	return deleteEntry(c, e)
}

var logRoutes = []route{
	{method: "POST", template: "/api/v1/task/{id}/log", form: eitherOne, permission: "manageTask", run: needs(taskKind, addLog)},
	{method: "PATCH", template: "/api/v1/log/{id}", form: jsonBody, permission: "manageTask", run: patch(logKind, unchecked)},
	{method: "DELETE", template: "/api/v1/log/{id}", permission: "manageTask", run: needs(logKind, deleteEntry)},
	{method: "POST", template: "/api/v1/log/{id}/attachments", form: formBody, permission: "manageTask", run: needs(logKind, attachToLog)},
	{method: "DELETE", template: "/api/v1/log/{id}/attachments/{file}", permission: "manageTask", run: needs(logKind, detachFromLog)},
	{method: "GET", template: "/api/v1/task/{id}/actionRequired", run: needs(taskKind, actionRequired)},
	{method: "PUT", template: "/api/v1/task/{id}/actionRequired/{org}", run: requireAction(true)},
	{method: "PUT", template: "/api/v1/task/{id}/actionDone/{org}", run: requireAction(false)},
}

// addLog adds an entry to a task, with the files of the form's parts; what the JSON says of attachments (the official
// client repeats its local paths there) is ignored. A waiting task begins by it.
func addLog(c *call, task *entry) (reply, error) {
	delete(c.body, "attachments")
	values, err := c.decode(logKind, creating)
	if err != nil {
		return reply{}, err
	}
	st := c.stamp()
	values["date"], values["owner"] = st.ms, c.viewer.login
	if v, ok := values["startDate"]; ok {
		values["date"] = v
	}
	values["attachments"] = c.looseAll(st)
	e := c.child(logKind, task, values, st)
	if task.doc.text("status") == "Waiting" {
		c.update(task, map[string]any{"status": "InProgress", "startDate": st.ms, "assignee": or(task.doc.text("assignee"), c.viewer.login)})
	}
	return show1(http.StatusCreated, e.doc), nil
}

func (c *call) looseAll(st stamp) []*doc {
	files := c.form.named("attachments")
	docs := make([]*doc, 0, len(files))
	for _, f := range files {
		docs = append(docs, c.loose(f, st))
	}
	return docs
}

func attachToLog(c *call, e *entry) (reply, error) {
	old, _ := e.doc.get("attachments").([]*doc)
	c.update(e, map[string]any{"attachments": append(slices.Clone(old), c.looseAll(c.stamp())...)})
	return done(), nil
}

func detachFromLog(c *call, e *entry) (reply, error) {
	old, _ := e.doc.get("attachments").([]*doc)
	left := slices.DeleteFunc(slices.Clone(old), func(d *doc) bool {
		return d.entry.id == c.args[1] || d.text("id") == c.args[1]
	})
	if len(left) == len(old) {
		return reply{}, notFound("Attachment %s not found", c.args[1])
	}
	c.update(e, map[string]any{"attachments": left})
	return done(), nil
}

func actionRequired(c *call, e *entry) (reply, error) {
	flags, _ := e.doc.get("actionRequired").(map[string]any)
	on := flags[c.viewer.org] == true
	return reply{status: http.StatusOK, value: map[string]bool{c.viewer.org: on}}, nil
}

func requireAction(on bool) func(*call) (reply, error) {
	return needs(taskKind, func(c *call, e *entry) (reply, error) {
		org, err := c.get(organisationKind, c.args[1])
		if err != nil {
			return reply{}, err
		}
		flags, _ := e.doc.get("actionRequired").(map[string]any)
		flags = copyOf(flags)
		flags[org.doc.text("name")] = on
		c.update(e, map[string]any{"actionRequired": flags})
		return done(), nil
	})
}
