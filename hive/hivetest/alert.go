package hivetest

import (
	"net/http"
	"slices"
)

var alertRoutes = []route{
	{method: "POST", template: "/api/v1/alert", form: eitherOne, permission: "manageAlert/create", run: createAlert},
	{method: "PATCH", template: "/api/v1/alert/_bulk", form: jsonBody, permission: "manageAlert/update", run: bulk(alertKind, updateAlert)},
	{method: "POST", template: "/api/v1/alert/delete/_bulk", form: jsonBody, permission: "manageAlert/delete", run: deleteBulk(alertKind)},
	{method: "POST", template: "/api/v1/alert/merge/_bulk", form: jsonBody, permission: "manageAlert/import", run: mergeAlerts},
	{method: "GET", template: "/api/v1/alert/{id}", run: needs(alertKind, showEntry)},
	{method: "PATCH", template: "/api/v1/alert/{id}", form: jsonBody, permission: "manageAlert/update", run: patch(alertKind, updateAlert)},
	{method: "DELETE", template: "/api/v1/alert/{id}", permission: "manageAlert/delete", run: needs(alertKind, deleteEntry)},
	{method: "GET", template: "/api/v1/alert/{id}/similar/{other}/observables", run: needs(alertKind, similar)},
	{method: "POST", template: "/api/v1/alert/{id}/follow", permission: "manageAlert/update", run: follow(true)},
	{method: "POST", template: "/api/v1/alert/{id}/unfollow", permission: "manageAlert/update", run: follow(false)},
	{method: "POST", template: "/api/v1/alert/{id}/case", form: optionalBody, permission: "manageAlert/import", run: needs(alertKind, promote)},
	{method: "POST", template: "/api/v1/alert/{id}/merge/{case}", permission: "manageAlert/import", run: needs(alertKind, mergeAlert(true))},
	{method: "POST", template: "/api/v1/alert/{id}/import/{case}", permission: "manageAlert/import", run: needs(alertKind, mergeAlert(false))},
	{method: "DELETE", template: "/api/v1/case/{id}/alert/{alert}", permission: "manageCase/update", run: needs(caseKind, unlinkAlert)},
}

// createAlert stores an alert with its observables and procedures: all of it, or nothing where anything is refused.
func createAlert(c *call) (reply, error) {
	values, err := c.decode(alertKind, creating)
	if err != nil {
		return reply{}, err
	}
	probe := &doc{kind: alertKind, vals: make([]any, len(alertKind.fields))}
	for _, name := range []string{"type", "source", "sourceRef"} {
		probe.set(name, values[name])
	}
	s := c.h.store
	if s.lookup(alertKind, c.viewer.org, naturalName(probe)) != nil {
		return reply{}, createError("Alert %s:%s:%s already exist in organisation %s",
			values["type"], values["source"], values["sourceRef"], c.viewer.org)
	}
	observables, procedures := list[map[string]any](values, "observables"), list[map[string]any](values, "procedures")
	for _, p := range procedures {
		if err := checkProcedure(c, nil, p); err != nil {
			return reply{}, err
		}
	}
	each, err := c.alertObservables(observables)
	if err != nil {
		return reply{}, err
	}
	if err := c.checkAlert(values, nil); err != nil {
		return reply{}, err
	}
	return c.storeAlert(values, each, procedures), nil
}

func (c *call) storeAlert(values map[string]any, observables, procedures []map[string]any) reply {
	st := c.stamp()
	fill(values, "date", st.ms)
	values["newDate"], values["follow"] = st.ms, true
	e := c.h.store.add(alertKind, c.viewer.org, nil, values, st)
	c.h.audit("create", e, st, c)
	for _, o := range observables {
		c.observe(e, o, st)
	}
	for _, p := range procedures {
		c.child(procedureKind, e, p, st)
	}
	answer := note(e.doc)
	answer.upAt = 0 // the answer does not know yet that its children touched it
	return show1(http.StatusCreated, answer)
}

// alertObservables expands the observables of a new alert; equal ones are merged in silence. A file is named by the
// part of the multipart body that holds it.
func (c *call) alertObservables(list []map[string]any) ([]map[string]any, error) {
	var out []map[string]any
	whole := c.form
	defer func() { c.form = whole }()
	for _, o := range list {
		c.form = nil
		if name, ok := o["attachment"].(string); ok {
			c.form = &form{files: whole.named(name)}
			for i := range c.form.files {
				c.form.files[i].field = "attachment"
			}
			o = copyOf(o)
			delete(o, "attachment")
		}
		each, err := c.expand(nil, o)
		if err != nil {
			return nil, err
		}
		out = append(out, each...)
	}
	return out, nil
}

// checkAlert resolves what an alert refers to. An unknown template is accepted: it is looked up when a case is made.
func (c *call) checkAlert(values map[string]any, former *doc) error {
	if link, _ := values["externalLink"].(string); units(link) > 512 && c.h.release.before(release{5, 7}) {
		return invalid("externalLink", link, "string")
	}
	if v, ok := values["status"].(string); ok && c.h.store.lookup(alertStatusKind, "", v) == nil {
		return notFound("AlertStatus %s not found", v)
	}
	if err := c.checkAssignee(values); err != nil {
		return err
	}
	if err := c.h.store.resolveCustom(values, former); err != nil {
		return err
	}
	c.stage(alertStatusKind, values, former, c.stamp())
	delete(values, "endDate") // an alert has none
	return nil
}

func updateAlert(c *call, e *entry, values map[string]any) error {
	if err := c.checkAlert(values, e.doc); err != nil {
		return err
	}
	c.mergeTags(values, e)
	next := *e.doc
	next.vals = slices.Clone(next.vals)
	for _, name := range []string{"type", "source", "sourceRef"} {
		if v, ok := values[name]; ok {
			next.set(name, v)
		}
	}
	if other := c.h.store.lookup(alertKind, c.viewer.org, naturalName(&next)); other != nil && other != e {
		return createError("Alert %s already exist in organisation %s", naturalName(&next), c.viewer.org)
	}
	return nil
}

func follow(on bool) func(*call) (reply, error) {
	return needs(alertKind, func(c *call, e *entry) (reply, error) {
		c.update(e, map[string]any{"follow": on})
		return done(), nil
	})
}

// promote makes a case of an alert.
func promote(c *call, alert *entry) (reply, error) {
	if alert.doc.text("caseId") != "" {
		return reply{}, badRequest("The alert is already linked to a case")
	}
	values, err := c.decode(caseKind, overriding)
	if err != nil {
		return reply{}, err
	}
	for _, name := range []string{"title", "description", "severity", "tlp", "pap", "tags", "assignee", "caseTemplate", "summary"} {
		if v := alert.doc.get(name); v != nil {
			fill(values, name, v)
		}
	}
	fill(values, "startDate", alert.doc.num("date"))
	for _, f := range caseKind.fields {
		if f.preset != nil {
			fill(values, f.name, f.preset)
		}
	}
	if t, ok := values["caseTemplate"].(string); ok && c.body["caseTemplate"] == nil && c.h.store.lookup(caseTemplateKind, c.viewer.org, t) == nil {
		delete(values, "caseTemplate")
	}
	e, err := c.newCase(values)
	if err != nil {
		return reply{}, err
	}
	if fields, ok := alert.doc.get("customFields").([]customValue); ok && len(fields) > 0 {
		c.h.store.change(e, map[string]any{"customFields": unite(e.doc.get("customFields"), fields)}, c.stamp())
	}
	c.datesOf(alert, e)
	c.bring(alert, e)
	return show1(http.StatusCreated, note(e.doc)), nil
}

// datesOf writes the dates of a case's first alert into the case.
func (c *call) datesOf(alert, target *entry) {
	values := map[string]any{"alertImportedDate": c.h.now()}
	for of, name := range map[string]string{"date": "alertDate", "newDate": "alertNewDate", "inProgressDate": "alertInProgressDate"} {
		if at := alert.doc.num(of); at != 0 {
			values[name] = at
		}
	}
	c.h.store.change(target, values, c.stamp())
}

// bring links an alert to a case, and copies its observables and procedures there: at once, or only later where the server
// is told to be slow ([Misbehaviour]'s ImportLag), as TheHive copies them after its answer.
func (c *call) bring(alert, target *entry) {
	st := c.stamp()
	c.update(alert, map[string]any{"caseId": target.id, "status": "Imported", "stage": "Imported", "importedDate": st.ms})
	if lag := c.h.fault.Load().ImportLag; lag > 0 {
		c.h.postpone(lag, func() { c.copyAlert(alert, target, c.stamp()) })
		return
	}
	c.copyAlert(alert, target, st)
}

// copyAlert copies what lies below an alert into its case, where both still are.
func (c *call) copyAlert(alert, target *entry, st stamp) {
	if alert.gone || target.gone {
		return
	}
	for o := range alert.children(observableKind).each {
		values := valuesOf(o.doc)
		delete(values, "startDate")
		if c.observe(target, values, st) == nil {
			if twin := same(target, identity(o.doc)); twin != nil {
				c.h.store.change(twin, map[string]any{"tags": union(twin.doc.list("tags"), o.doc.list("tags"))}, st)
			}
		}
	}
	for p := range alert.children(procedureKind).each {
		c.child(procedureKind, target, valuesOf(p.doc), st)
	}
}

func valuesOf(d *doc) map[string]any {
	out := map[string]any{}
	for i, f := range d.kind.fields {
		if d.vals[i] != nil {
			out[f.name] = d.vals[i]
		}
	}
	return out
}

// mergeAlert joins an alert to a case: merging adds its text and tags too, importing only what lies below it.
func mergeAlert(merging bool) func(*call, *entry) (reply, error) {
	return func(c *call, alert *entry) (reply, error) {
		target, err := c.get(caseKind, c.args[1])
		if err != nil {
			return reply{}, err
		}
		if err := c.join(alert, target, merging); err != nil {
			return reply{}, err
		}
		return show1(http.StatusOK, target.doc), nil
	}
}

func (c *call) join(alert, target *entry, merging bool) error {
	if alert.doc.text("caseId") != "" {
		return badRequest("Alert is already imported")
	}
	if merging {
		d := alert.doc
		c.update(target, map[string]any{
			"description": target.doc.text("description") + "\n  \n#### Merged with alert #" + d.text("sourceRef") + " " +
				d.text("title") + "\n\n" + d.text("description"),
			"tags": union(target.doc.list("tags"), d.list("tags")),
		})
	}
	c.bring(alert, target)
	return nil
}

func mergeAlerts(c *call) (reply, error) {
	ids, err := c.takeIDs("alertIds")
	if err != nil {
		return reply{}, err
	}
	id, ok := c.body["caseId"].(string)
	if !ok {
		return reply{}, missing("caseId")
	}
	target, err := c.get(caseKind, id)
	if err != nil {
		return reply{}, err
	}
	if len(ids) > maxMerge {
		return reply{}, badRequest("Alerts to merge: at most %d", maxMerge)
	}
	alerts := make([]*entry, len(ids))
	for i, id := range ids {
		if alerts[i], err = c.get(alertKind, id); err != nil {
			return reply{}, err
		}
		if alerts[i].doc.text("caseId") != "" || slices.Contains(alerts[:i], alerts[i]) {
			return reply{}, badRequest("Alert is already imported")
		}
	}
	for _, a := range alerts {
		if err := c.join(a, target, true); err != nil {
			return reply{}, err
		}
	}
	return show1(http.StatusOK, target.doc), nil
}

func unlinkAlert(c *call, e *entry) (reply, error) {
	a, err := c.get(alertKind, c.args[1])
	if err != nil {
		return reply{}, err
	}
	if a.doc.text("caseId") != e.id {
		return reply{}, notFound("Alert %s not found", c.args[1])
	}
	c.update(a, map[string]any{"caseId": nil, "status": "New", "stage": "New"})
	return done(), nil
}
