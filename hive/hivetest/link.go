package hivetest

import (
	"net/url"
	"slices"
)

var linkRoutes = []route{
	{method: "POST", template: "/api/v1/case/{id}/link/case/add", form: jsonBody, permission: "manageCase/update", run: needs(caseKind, linkCase(true))},
	{method: "POST", template: "/api/v1/case/{id}/link/case/remove", form: jsonBody, permission: "manageCase/update", run: needs(caseKind, linkCase(false))},
	{method: "POST", template: "/api/v1/case/{id}/link/external/add", form: jsonBody, permission: "manageCase/update", run: needs(caseKind, linkExternal(true))},
	{method: "POST", template: "/api/v1/case/{id}/link/external/remove", form: jsonBody, permission: "manageCase/update", run: needs(caseKind, linkExternal(false))},
	{method: "POST", template: "/api/v1/case/_bulk/caseTemplate", form: jsonBody, permission: "manageCase/update", run: applyTemplates},
}

// caseLink is a link from a case to another one, or to an address.
type caseLink struct {
	Type   string `json:"type"`
	CaseID string `json:"caseId,omitempty"`
	URL    string `json:"url,omitempty"`
}

func linksOf(e *entry) []caseLink {
	l, _ := e.doc.get("linked").([]caseLink)
	return l
}

func (c *call) relink(e *entry, l caseLink, add bool) {
	left := slices.DeleteFunc(slices.Clone(linksOf(e)), func(o caseLink) bool { return o == l })
	if add {
		left = append(left, l)
	}
	c.update(e, map[string]any{"linked": left})
}

// linkCase links two cases, or parts them: both show it.
func linkCase(add bool) func(*call, *entry) (reply, error) {
	return func(c *call, e *entry) (reply, error) {
		label, id, err := c.linkBody("caseId")
		if err != nil {
			return reply{}, err
		}
		other, err := c.get(caseKind, id)
		if err != nil {
			return reply{}, err
		}
		if other == e {
			return reply{}, badRequest("A case is not linked to itself")
		}
		c.relink(e, caseLink{Type: label, CaseID: other.id}, add)
		c.relink(other, caseLink{Type: label, CaseID: e.id}, add)
		return done(), nil
	}
}

func linkExternal(add bool) func(*call, *entry) (reply, error) {
	return func(c *call, e *entry) (reply, error) {
		label, address, err := c.linkBody("url")
		if err != nil {
			return reply{}, err
		}
		if u, err := url.Parse(address); err != nil || u.Scheme == "" {
			return reply{}, invalid("url", address, "url")
		}
		c.relink(e, caseLink{Type: label, URL: address}, add)
		return done(), nil
	}
}

func (c *call) linkBody(name string) (label, target string, err error) {
	for _, f := range []string{"type", name} {
		if s, ok := c.body[f].(string); !ok || s == "" {
			return "", "", missing(f)
		}
	}
	return c.body["type"].(string), c.body[name].(string), nil
}

// links is the extra data of a case that shows its links.
func (h *Hive) links(e *entry) any {
	cases, external := []caseLink{}, []caseLink{}
	for _, l := range linksOf(e) {
		switch {
		case l.URL != "":
			external = append(external, l)
		case h.store.byID[l.CaseID] != nil:
			cases = append(cases, l)
		}
	}
	return map[string]any{"caseLinks": cases, "externalLinks": external}
}

// applyTemplates lays a template over cases that exist: the properties whose update… is true, and the tasks whose titles
// importTasks names. Titles that the template does not have are ignored, as TheHive does.
func applyTemplates(c *call) (reply, error) {
	ids, err := c.takeIDs("ids")
	if err != nil {
		return reply{}, err
	}
	name, ok := c.body["caseTemplate"].(string)
	if !ok {
		return reply{}, missing("caseTemplate")
	}
	t, err := c.get(caseTemplateKind, name)
	if err != nil {
		return reply{}, err
	}
	cases := make([]*entry, len(ids))
	for i, id := range ids {
		if cases[i], err = c.get(caseKind, id); err != nil {
			return reply{}, err
		}
	}
	wanted, _ := c.body["importTasks"].([]any)
	for _, e := range cases {
		c.update(e, c.templateUpdate(e, t.doc))
		for _, values := range templateTasks(t.doc) {
			if slices.Contains(wanted, values["title"]) {
				c.child(taskKind, e, values, c.stamp())
			}
		}
	}
	return done(), nil
}

func (c *call) templateUpdate(e *entry, t *doc) map[string]any {
	values := map[string]any{}
	for flag, name := range map[string]string{
		"updateDescription": "description", "updateSeverity": "severity", "updateFlag": "flag", "updateTlp": "tlp", "updatePap": "pap",
	} {
		if v := t.get(name); v != nil && c.body[flag] == true {
			values[name] = v
		}
	}
	if c.body["updateTags"] == true {
		values["tags"] = union(e.doc.list("tags"), t.list("tags"))
	}
	if prefix := t.text("titlePrefix"); prefix != "" && c.body["updateTitlePrefix"] == true {
		values["title"] = prefix + " " + e.doc.text("title")
	}
	if c.body["updateCustomFields"] == true {
		values["customFields"] = unite(e.doc.get("customFields"), t.get("customFields"))
	}
	return values
}
