package hivetest

import (
	"net/http"
	"slices"
)

var procedureRoutes = []route{
	{method: "POST", template: "/api/v1/case/{id}/procedure", form: jsonBody, permission: "manageProcedure", run: addTo(caseKind, procedureKind, checkProcedure)},
	{method: "POST", template: "/api/v1/case/{id}/procedures", form: jsonBody, permission: "manageProcedure", run: needs(caseKind, addProcedures)},
	{method: "POST", template: "/api/v1/alert/{id}/procedure", form: jsonBody, permission: "manageProcedure", run: addTo(alertKind, procedureKind, checkProcedure)},
	{method: "POST", template: "/api/v1/alert/{id}/procedures", form: jsonBody, permission: "manageProcedure", run: needs(alertKind, addProcedures)},
	{method: "PATCH", template: "/api/v1/procedure/{id}", form: jsonBody, permission: "manageProcedure", run: patch(procedureKind, updateProcedure)},
	{method: "DELETE", template: "/api/v1/procedure/{id}", permission: "manageProcedure", run: needs(procedureKind, deleteEntry)},
	{method: "POST", template: "/api/v1/procedure/delete/_bulk", form: jsonBody, permission: "manageProcedure", run: deleteBulk(procedureKind)},
	{method: "GET", template: "/api/v1/pattern/case/{id}", run: needs(caseKind, patternsOfCase)},
	{method: "GET", template: "/api/v1/pattern/{id}", run: needs(patternKind, showEntry)},
	{method: "DELETE", template: "/api/v1/pattern/{id}", permission: "managePattern", run: needs(patternKind, deleteEntry)},
}

// checkProcedure resolves the pattern, and the tactic: given, it must be one of the pattern's own; omitted, it is the
// pattern's only one, else it stays open (TheHive since 5.2.6).
func checkProcedure(c *call, _ *entry, values map[string]any) error {
	p := c.h.store.lookup(patternKind, "", values["patternId"].(string))
	if p == nil {
		return notFound("Pattern %s not found", values["patternId"])
	}
	values["patternId"], values["patternName"] = p.doc.text("patternId"), p.doc.text("name")
	tactics := p.doc.list("tactics")
	tactic, given := values["tactic"].(string)
	switch {
	case given && !slices.Contains(tactics, tactic):
		return badRequest("Tactic %s is not a tactic of pattern %s", tactic, values["patternId"])
	case !given && len(tactics) == 1:
		values["tactic"] = tactics[0]
	}
	return nil
}

// updateProcedure checks pattern and tactic together, since a change of one must fit the other.
func updateProcedure(c *call, e *entry, values map[string]any) error {
	_, pattern := values["patternId"]
	_, tactic := values["tactic"]
	if !pattern && !tactic {
		return nil
	}
	fill(values, "patternId", e.doc.text("patternId"))
	if old := e.doc.text("tactic"); old != "" && !tactic && values["patternId"] == e.doc.text("patternId") {
		values["tactic"] = old
	}
	if err := checkProcedure(c, e, values); err != nil {
		return err
	}
	if _, fits := values["tactic"]; !fits {
		values["tactic"] = nil // that of the former technique is no tactic of this one
	}
	return nil
}

// addProcedures stores all or none: the description says nothing of partial success.
func addProcedures(c *call, parent *entry) (reply, error) {
	f := field{name: "procedures", shape: items, sub: procedureKind}
	for name := range c.body {
		if name != f.name && !c.h.options.Lenient {
			return reply{}, attributes([]attributeFault{{Type: "UnknownAttributeError", Name: name}})
		}
	}
	got, faults := f.decodeItems(or(c.body[f.name], any([]any{})), c.h.options.Lenient)
	if len(faults) > 0 {
		return reply{}, attributes(faults)
	}
	each := got.([]map[string]any)
	for _, values := range each {
		if err := checkProcedure(c, parent, values); err != nil {
			return reply{}, err
		}
	}
	st := c.stamp()
	rows := make([]row, 0, len(each))
	for _, values := range each {
		rows = append(rows, row{doc: c.child(procedureKind, parent, values, st).doc})
	}
	return reply{status: http.StatusCreated, rows: rows, list: true}, nil
}

// deleteBulk deletes several entities, all or none.
func deleteBulk(k *kind) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		ids, err := c.takeIDs("ids")
		if err != nil {
			return reply{}, err
		}
		entries := make([]*entry, len(ids))
		for i, id := range ids {
			if entries[i], err = c.get(k, id); err != nil {
				return reply{}, err
			}
		}
		for _, e := range entries {
			c.remove(e)
		}
		return done(), nil
	}
}

// patternsOfCase lists the techniques of a case, each once.
func patternsOfCase(c *call, e *entry) (reply, error) {
	out := reply{status: http.StatusOK, list: true}
	seen := map[string]bool{}
	for p := range e.children(procedureKind).each {
		id := p.doc.text("patternId")
		if pattern := c.h.store.lookup(patternKind, "", id); pattern != nil && !seen[id] {
			seen[id] = true
			out.rows = append(out.rows, row{doc: pattern.doc})
		}
	}
	return out, nil
}
