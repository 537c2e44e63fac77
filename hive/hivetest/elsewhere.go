package hivetest

import (
	"encoding/json"
	"net/http"
	"slices"
)

// What leads out of TheHive or beside its cases: archives of cases, MISP (a server has none unless an option says so), and an
// organisation's own pages and files.

var elsewhereRoutes = []route{
	{method: "GET", template: "/api/v1/case/{id}/export", run: needs(caseKind, exportCase)},
	{method: "POST", template: "/api/v1/case/import", form: formBody, permission: "manageCase/create", run: importCase},
	{method: "POST", template: "/api/v1/connector/misp/export/{id}/{misp}", run: needs(caseKind, exportToMISP)},
	{method: "POST", template: "/api/v1/connector/misp/case/import", form: formBody, permission: "manageCase/create", run: importFromMISP},
	{method: "POST", template: "/api/v1/page", form: jsonBody, permission: "manageKnowledgeBase", run: addKnowledge},
	{method: "PATCH", template: "/api/v1/page/{id}", form: jsonBody, permission: "manageKnowledgeBase", run: patch(pageKind, ofOrganisation)},
	{method: "DELETE", template: "/api/v1/page/{id}", permission: "manageKnowledgeBase", run: needs(pageKind, deleteOwn)},
	{method: "POST", template: "/api/v1/attachment", form: formBody, permission: "manageKnowledgeBase", run: attachOwn},
	{method: "GET", template: "/api/v1/attachment/{id}", run: downloadLoose},
	{method: "GET", template: "/api/v1/attachment/{id}/download", run: downloadLoose},
	{method: "DELETE", template: "/api/v1/attachment/{id}", permission: "manageKnowledgeBase", run: needs(attachmentKind, deleteOwn)},
	{method: "PATCH", template: "/api/v1/case/{id}/attachment/{file}", form: jsonBody, permission: "manageCase/update", since: release{5, 6}, run: needs(caseKind, patchAttachment)},
	{method: "PUT", template: "/api/v1/caseTemplate/{id}/pageTemplate/link", form: jsonBody, run: needs(caseTemplateKind, linkPages)},
	{method: "POST", template: "/api/v1/user/{id}/login/set", form: jsonBody, permission: "manageUser", run: needs(userKind, setLogin)},
	{method: "GET", template: "/api/v1/auth/local/passwordPolicy", run: func(*call) (reply, error) { return reply{status: http.StatusOK, value: map[string]any{}}, nil }},
	{method: "PATCH", template: "/api/v1/observable/type/{id}", form: jsonBody, permission: "manageObservableTemplate", since: release{5, 7}, run: patch(observableTypeKind, unchecked)},
}

// archive is a case with what lies below it, as this server writes it: TheHive's own form is not known.
type archive struct {
	Case        map[string]any   `json:"case"`
	Observables []map[string]any `json:"observables"`
	Procedures  []map[string]any `json:"procedures"`
	Tasks       []map[string]any `json:"tasks"`
	Pages       []map[string]any `json:"pages"`
}

const archived = "case.json"

// sent are the values of an entity that could be sent to create it.
func sent(d *doc) map[string]any {
	out := map[string]any{}
	for i, f := range d.kind.fields {
		if d.vals[i] != nil && f.allowed(creating) && f.shape != custom && f.shape != items && f.shape != refs {
			out[f.name] = d.vals[i]
		}
	}
	return out
}

func exportCase(c *call, e *entry) (reply, error) {
	password := c.r.URL.Query().Get("password")
	if password == "" {
		return reply{}, missing("password")
	}
	all := func(k *kind) []map[string]any {
		out := []map[string]any{}
		for child := range e.children(k).each {
			if child.doc.get("attachment") == nil {
				out = append(out, sent(child.doc))
			}
		}
		return out
	}
	a := archive{sent(e.doc), all(observableKind), all(procedureKind), all(taskKind), all(pageKind)}
	data, err := zipOne(archived, toJSON(a), password)
	if err != nil {
		return reply{}, err
	}
	head := http.Header{"Content-Disposition": {`attachment; filename="case-` + naturalName(e.doc) + `.thar"`}}
	return reply{status: http.StatusOK, raw: data, mime: "application/octet-stream", header: head}, nil
}

// importCase makes a case of an archive, with what lay below it.
func importCase(c *call) (reply, error) {
	password, ok := c.body["password"].(string)
	if !ok {
		return reply{}, missing("password")
	}
	a, err := c.archive(password)
	if err != nil {
		return reply{}, err
	}
	a.Case["tasks"], a.Case["pages"] = a.Tasks, a.Pages
	for _, name := range []string{"sharingParameters", "taskRule", "observableRule"} {
		if v, given := c.body[name]; given {
			a.Case[name] = v
		}
	}
	raw, err := decodeJSON(toJSON(a.Case))
	if err != nil {
		return reply{}, badRequest("Invalid archive: %v", err)
	}
	c.body, _ = raw.(map[string]any)
	values, err := c.decode(caseKind, creating)
	if err != nil {
		return reply{}, err
	}
	e, err := c.newCase(values)
	if err != nil {
		return reply{}, err
	}
	observables := c.fillFrom(e, observableKind, a.Observables, c.observe)
	procedures := c.fillFrom(e, procedureKind, a.Procedures, func(p *entry, v map[string]any, st stamp) *entry {
		if checkProcedure(c, p, v) != nil {
			return nil
		}
		return c.child(procedureKind, p, v, st)
	})
	return reply{status: http.StatusOK, value: map[string]any{
		"case": c.rendered(e.doc), "observables": observables, "procedures": procedures, "errors": []any{},
	}}, nil
}

func (c *call) archive(password string) (archive, error) {
	var a archive
	files := c.form.named("file")
	if len(files) != 1 {
		return a, missing("file")
	}
	inside, err := unzip(files[0].data, password)
	if err != nil || len(inside) != 1 {
		return a, badRequest("Invalid archive or wrong password")
	}
	if err := json.Unmarshal(inside[0].data, &a); err != nil || a.Case == nil {
		return a, badRequest("Invalid archive")
	}
	return a, nil
}

// fillFrom makes children of what an archive says; what is refused is left out.
func (c *call) fillFrom(e *entry, k *kind, all []map[string]any, add func(*entry, map[string]any, stamp) *entry) []rendered {
	out := []rendered{}
	for _, m := range all {
		raw, err := decodeJSON(toJSON(m))
		body, ok := raw.(map[string]any)
		if err != nil || !ok {
			continue
		}
		values, err := k.decode(body, creating, c.terms())
		if err != nil {
			continue
		}
		if made := add(e, values, c.stamp()); made != nil {
			out = append(out, c.rendered(made.doc))
		}
	}
	return out
}

func exportToMISP(c *call, _ *entry) (reply, error) {
	if !slices.Contains(c.h.options.MISP, c.args[1]) {
		return reply{}, notFound("MISP server %s not found", c.args[1])
	}
	return done(), nil
}

// importFromMISP makes a case of a MISP event where there is MISP.
func importFromMISP(c *call) (reply, error) {
	files := c.form.named("file")
	var event struct {
		Event struct {
			Info string `json:"info"`
			UUID string `json:"uuid"`
		} `json:"Event"`
	}
	if len(files) != 1 || json.Unmarshal(files[0].data, &event) != nil || event.Event.Info == "" {
		return reply{}, badRequest("Could not convert json to MISP event")
	}
	c.body = map[string]any{"title": event.Event.Info, "description": "Imported from MISP event " + event.Event.UUID}
	return createCase(c)
}

// ofOrganisation refuses to change by a path of the organisation what belongs to a case.
func ofOrganisation(_ *call, e *entry, _ map[string]any) error {
	if e.parent != nil {
		return notFound("%s %s not found", e.doc.kind.name, e.id)
	}
	return nil
}

func deleteOwn(c *call, e *entry) (reply, error) {
	if err := ofOrganisation(c, e, nil); err != nil {
		return reply{}, err
	}
	return deleteEntry(c, e)
}

func addKnowledge(c *call) (reply, error) {
	return resource{kind: pageKind, create: unchecked, forOrg: true}.add(c)
}

// attachOwn adds files to the caller's organisation.
func attachOwn(c *call) (reply, error) {
	files := c.form.named("attachments")
	if len(files) == 0 {
		return reply{}, missing("attachments")
	}
	st := c.stamp()
	docs := make([]*doc, 0, len(files))
	for _, f := range files {
		docs = append(docs, c.h.store.add(attachmentKind, c.viewer.org, nil, c.h.store.keep(f), st).doc)
	}
	return reply{status: http.StatusCreated, raw: append(appendRows([]byte(`{"attachments":`), docs, c.viewer), '}')}, nil
}

func downloadLoose(c *call) (reply, error) {
	for e := range c.h.store.of(attachmentKind).each {
		if e.parent == nil && c.visible(e) && (e.id == c.args[0] || e.doc.text("id") == c.args[0]) {
			return c.file(e.doc)
		}
	}
	return reply{}, notFound("Attachment %s not found", c.args[0])
}

func patchAttachment(c *call, e *entry) (reply, error) {
	file := attached(e, c.args[1])
	if file == nil {
		return reply{}, notFound("Attachment %s not found", c.args[1])
	}
	values, err := c.decode(attachmentKind, updating)
	if err != nil {
		return reply{}, err
	}
	c.update(file, values)
	return done(), nil
}

// linkPages lets a case template have page templates.
func linkPages(c *call, e *entry) (reply, error) {
	ids, err := c.takeIDs("pageTemplateIds")
	if err != nil {
		return reply{}, err
	}
	for _, id := range ids {
		if _, err := c.get(pageTemplateKind, id); err != nil {
			return reply{}, err
		}
	}
	c.update(e, map[string]any{"pageTemplateIds": ids})
	return done(), nil
}

func setLogin(c *call, e *entry) (reply, error) {
	login, _ := c.body["login"].(string)
	if login == "" {
		return reply{}, missing("login")
	}
	if other := c.h.store.lookup(userKind, "", login); other != nil && other != e {
		return reply{}, createError("User %s already exists", login)
	}
	s, was := c.h.store, e.doc.text("login")
	secrets := s.secrets[was]
	delete(s.secrets, was)
	s.secrets[login] = secrets
	if secrets.key != "" {
		s.keys[secrets.key] = login
	}
	c.update(e, map[string]any{"login": login})
	return done(), nil
}
