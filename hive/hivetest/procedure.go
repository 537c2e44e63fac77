package hivetest

import (
	"net/http"
	"slices"
	"strings"
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
	got, faults := f.decodeItems(or(c.body[f.name], any([]any{})), c.terms())
	if len(faults) > 0 {
		return reply{}, attributes(faults)
	}
	each := got.([]map[string]any)
	good := make([]map[string]any, 0, len(each))
	var bad error
	for _, values := range each {
		if err := checkProcedure(c, parent, values); err != nil {
			bad = err
			continue
		}
		good = append(good, values)
	}
	if bad != nil && c.h.quirks.BadProcedure != "others" {
		return reply{}, bad
	}
	st := c.stamp()
	rows := make([]row, 0, len(each))
	for _, values := range good {
		rows = append(rows, row{doc: c.child(procedureKind, parent, values, st).doc})
	}
	if bad != nil { // what was stored stays, as where every item has a transaction of its own
		return reply{}, bad
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

// bundle is as much of a STIX bundle as TheHive reads.
type bundle struct {
	Objects []stixObject `json:"objects"`
}

type stixObject struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Revoked bool   `json:"revoked"`
	Phases  []struct {
		Phase string `json:"phase_name"`
	} `json:"kill_chain_phases"`
	References []struct {
		Source string `json:"source_name"`
		ID     string `json:"external_id"`
	} `json:"external_references"`
}

// importReport is the outcome of an import. TheHive's description says only that it is an object.
type importReport struct {
	Success []importResult `json:"success"`
	Failure []importResult `json:"failure"`
}

// importResult is the outcome for one pattern.
type importResult struct {
	Status  string `json:"status"`
	ID      string `json:"mitreId,omitempty"`
	Name    string `json:"patternName,omitempty"`
	Message string `json:"message,omitempty"`
}

// importPatterns reads the attack-patterns of an uploaded STIX bundle; patterns that exist are updated. 207 if any is
// refused. Import from an address is refused: this server fetches nothing.
func importPatterns(c *call) (reply, error) {
	catalog, ok := c.body["catalog"].(string)
	if !ok || catalog == "" {
		return reply{}, missing("catalog")
	}
	files := c.form.named("file")
	if len(files) != 1 {
		return reply{}, badRequest("One file is expected; this server fetches no address")
	}
	var b bundle
	if err := unmarshal(files[0].data, &b); err != nil {
		return reply{}, badRequest("Invalid Json: %v", err)
	}
	st := c.stamp()
	if c.h.store.lookup(catalogKind, "", catalog) == nil {
		c.h.store.add(catalogKind, "", nil, map[string]any{"name": catalog}, st)
	}
	out := importReport{Success: []importResult{}, Failure: []importResult{}}
	for _, o := range b.Objects {
		if o.Type != "attack-pattern" {
			continue
		}
		p := o.pattern()
		if p.ID == "" || p.Name == "" {
			out.Failure = append(out.Failure, importResult{Status: "Failure", Message: "pattern without id or name"})
			continue
		}
		c.h.store.putPattern(p, st)
		out.Success = append(out.Success, importResult{Status: "Success", ID: p.ID, Name: p.Name})
	}
	if len(out.Failure) > 0 {
		return reply{status: http.StatusMultiStatus, value: out}, nil
	}
	return reply{status: http.StatusCreated, value: out}, nil
}

func (o stixObject) pattern() Pattern {
	p := Pattern{Name: o.Name, Revoked: o.Revoked}
	for _, r := range o.References {
		if strings.HasPrefix(r.Source, "mitre-") && p.ID == "" {
			p.ID = r.ID
		}
	}
	for _, phase := range o.Phases {
		p.Tactics = append(p.Tactics, phase.Phase)
	}
	return p
}

func (s *store) putPattern(p Pattern, st stamp) {
	old := s.lookup(patternKind, "", p.ID)
	if old == nil {
		s.pattern(p, st)
		return
	}
	s.change(old, map[string]any{"name": p.Name, "tactics": p.Tactics, "revoked": p.Revoked}, st)
}
