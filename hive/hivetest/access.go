package hivetest

import (
	"net/http"
	"slices"
)

// A case belongs to one organisation and may be shared with others that are linked to it: with a profile that bounds what
// they may do there, and with all tasks and observables (rule autoShare), or those that are shared one by one (manual).

var shareKind = newKind(kind{
	name: "Share",
	fields: []field{
		{name: "caseId", shape: text, use: show},
		{name: "profileName", shape: text, use: show},
		{name: "organisationName", shape: text, use: show},
		{name: "owner", shape: boolean, use: show},
		{name: "taskRule", shape: text, use: show},
		{name: "observableRule", shape: text, use: show},
	},
})

// shareInput is what InputShare and InputUpdateShare take.
var shareInput = newKind(kind{
	name: "Share",
	fields: []field{
		{name: "organisation", shape: text, lo: 1, hi: short, use: must | give},
		{name: "share", shape: boolean, use: give, preset: true},
		{name: "profile", shape: text, lo: 1, hi: 64, use: give | change, preset: "analyst"},
		{name: "taskRule", shape: text, lo: 1, hi: 64, use: give},
		{name: "observableRule", shape: text, lo: 1, hi: 64, use: give},
	},
})

var shareRoutes = []route{
	{method: "DELETE", template: "/api/v1/case/shares", form: jsonBody, permission: "manageShare", run: dropShares},
	{method: "PATCH", template: "/api/v1/case/share/{id}", form: jsonBody, permission: "manageShare", run: needs(shareKind, changeShare)},
	{method: "DELETE", template: "/api/v1/case/share/{id}", permission: "manageShare", run: needs(shareKind, deleteEntry)},
	{method: "GET", template: "/api/v1/case/{id}/shares", run: listShares},
	{method: "POST", template: "/api/v1/case/{id}/shares", form: jsonBody, permission: "manageShare", run: needs(caseKind, shareCase(http.StatusCreated, false))},
	{method: "PUT", template: "/api/v1/case/{id}/shares", form: jsonBody, permission: "manageShare", run: needs(caseKind, shareCase(http.StatusOK, true))},
	{method: "DELETE", template: "/api/v1/case/{id}/shares", form: jsonBody, permission: "manageShare", run: needs(caseKind, unshareCase)},
	{method: "GET", template: "/api/v1/task/{id}/shares", run: listShares},
	{method: "POST", template: "/api/v1/task/{id}/shares", form: jsonBody, permission: "manageShare", run: needs(taskKind, shareOne(true))},
	{method: "DELETE", template: "/api/v1/task/{id}/shares", form: jsonBody, permission: "manageShare", run: needs(taskKind, shareOne(false))},
	{method: "GET", template: "/api/v1/observable/{id}/shares", run: listShares},
	{method: "POST", template: "/api/v1/observable/{id}/shares", form: jsonBody, permission: "manageShare", run: needs(observableKind, shareOne(true))},
	{method: "DELETE", template: "/api/v1/observable/{id}/shares", form: jsonBody, permission: "manageShare", run: needs(observableKind, shareOne(false))},
	{method: "POST", template: "/api/v1/case/{id}/owner", form: jsonBody, permission: "manageCase/changeOwnership", run: needs(caseKind, changeOwner)},
	{method: "GET", template: "/api/v1/organisation/{id}/links", run: needs(organisationKind, listLinks)},
	{method: "PUT", template: "/api/v1/organisation/{id}/links", form: jsonBody, permission: "manageOrganisation", run: needs(organisationKind, linkAll)},
	{method: "PUT", template: "/api/v1/organisation/{id}/link/{other}", form: optionalBody, permission: "manageOrganisation", run: needs(organisationKind, linkOne(true))},
	{method: "DELETE", template: "/api/v1/organisation/{id}/link/{other}", permission: "manageOrganisation", run: needs(organisationKind, linkOne(false))},
	{method: "GET", template: "/api/v1/sharingProfile", run: sharingProfiles},
}

const shareAll, shareSome = "autoShare", "manual"

// shareOf is an organisation's share of a case.
func shareOf(root *entry, org string) *entry {
	for e := range root.children(shareKind).each {
		if e.doc.text("organisationName") == org {
			return e
		}
	}
	return nil
}

// shares says whether the caller's organisation sees an entity of another one.
func (c *call) shares(e *entry) bool {
	root := e.root()
	if root.doc.kind != caseKind {
		return false
	}
	share := shareOf(root, c.viewer.org)
	if share == nil {
		return false
	}
	for ; e != root; e = e.parent {
		rule := map[*kind]string{taskKind: "taskRule", observableKind: "observableRule"}[e.doc.kind]
		if rule != "" && share.doc.text(rule) != shareAll && !slices.Contains(e.doc.list("sharedWith"), c.viewer.org) {
			return false
		}
	}
	return true
}

// shared are the rights that a share takes from the caller in a case of another organisation.
func (c *call) sharedOut(e *entry) []string {
	root := e.root()
	if root.org == "" || root.org == c.viewer.org {
		return nil
	}
	share := shareOf(root, c.viewer.org)
	if share == nil {
		return nil
	}
	has := c.h.store.permissions(share.doc.text("profileName"))
	return slices.DeleteFunc(slices.Clone(c.viewer.permissions), func(p string) bool { return slices.Contains(has, p) })
}

func listShares(c *call) (reply, error) {
	out := reply{status: http.StatusOK, list: true}
	e := c.h.store.byID[c.args[0]]
	if e == nil {
		e, _ = c.lookup(caseKind, c.args[0])
	}
	if e == nil || !c.visible(e) {
		return out, nil // TheHive answers an empty list for what is no case
	}
	for s := range e.root().children(shareKind).each {
		if e.parent == nil || slices.Contains(e.doc.list("sharedWith"), s.doc.text("organisationName")) {
			out.rows = append(out.rows, row{doc: s.doc})
		}
	}
	return out, nil
}

// linked finds an organisation that the caller's own is linked to.
func (c *call) linked(name string) (*entry, error) {
	org, err := c.get(organisationKind, name)
	if err != nil {
		return nil, err
	}
	own := c.h.store.byID[c.viewer.orgID]
	if org != own && !slices.ContainsFunc(linksFrom(own), func(l orgLink) bool { return l.To == org.doc.text("name") }) {
		return nil, notFound("Organisation %s not found", name)
	}
	return org, nil
}

// sharesAsked checks what a body asks to share: the values of shares by organisation.
func (c *call) sharesAsked(sent any, root *doc) ([]map[string]any, error) {
	f := field{name: "shares", shape: items, sub: shareInput}
	got, faults := f.decodeItems(or(sent, any([]any{})), c.terms())
	if len(faults) > 0 {
		return nil, attributes(faults)
	}
	var out []map[string]any
	for _, in := range got.([]map[string]any) {
		org, err := c.linked(in["organisation"].(string))
		if err != nil {
			return nil, err
		}
		if _, err := c.get(profileKind, in["profile"].(string)); err != nil {
			return nil, err
		}
		if org.id == c.viewer.orgID || in["share"] == false {
			continue
		}
		values := map[string]any{"profileName": in["profile"], "organisationName": org.doc.text("name"), "owner": false}
		for _, rule := range []string{"taskRule", "observableRule"} {
			values[rule] = or(or(in[rule], root.get(rule)), any(shareSome))
			if values[rule] != shareAll && values[rule] != shareSome {
				return nil, invalid(rule, values[rule], "SharingRule")
			}
		}
		out = append(out, values)
	}
	return out, nil
}

func shareCase(status int, whole bool) func(*call, *entry) (reply, error) {
	return func(c *call, e *entry) (reply, error) {
		asked, err := c.sharesAsked(c.body["shares"], e.doc)
		if err != nil {
			return reply{}, err
		}
		if whole {
			for s := range e.children(shareKind).each {
				if !slices.ContainsFunc(asked, func(v map[string]any) bool { return v["organisationName"] == s.doc.text("organisationName") }) {
					c.remove(s)
				}
			}
		}
		out := reply{status: status, list: true, rows: []row{}}
		for _, s := range c.share(e, asked) {
			out.rows = append(out.rows, row{doc: s.doc})
		}
		return out, nil
	}
}

// share stores shares of a case; one that is there is changed.
func (c *call) share(e *entry, asked []map[string]any) []*entry {
	var out []*entry
	for _, values := range asked {
		values["caseId"] = e.id
		s := shareOf(e, values["organisationName"].(string))
		if s == nil {
			s = c.child(shareKind, e, values, c.stamp())
		} else {
			c.update(s, values)
		}
		out = append(out, s)
	}
	return out
}

func changeShare(c *call, e *entry) (reply, error) {
	values, err := c.decode(shareInput, updating)
	if err != nil {
		return reply{}, err
	}
	profile, ok := values["profile"].(string)
	if !ok {
		return reply{}, missing("profile")
	}
	if _, err := c.get(profileKind, profile); err != nil {
		return reply{}, err
	}
	c.update(e, map[string]any{"profileName": profile})
	return done(), nil
}

func dropShares(c *call) (reply, error) { return deleteBulk(shareKind)(c) }

func unshareCase(c *call, e *entry) (reply, error) {
	names, err := c.takeIDs("organisations")
	if err != nil {
		return reply{}, err
	}
	for _, name := range names {
		org, err := c.get(organisationKind, name)
		if err != nil {
			return reply{}, err
		}
		if s := shareOf(e, org.doc.text("name")); s != nil {
			c.remove(s)
		}
	}
	return done(), nil
}

// shareOne shares a task or an observable with organisations that the case is shared with; with the own one it does nothing.
func shareOne(on bool) func(*call, *entry) (reply, error) {
	return func(c *call, e *entry) (reply, error) {
		names, err := c.takeIDs("organisations")
		if err != nil {
			return reply{}, err
		}
		with := slices.Clone(e.doc.list("sharedWith"))
		for _, name := range names {
			org, err := c.linked(name)
			if err != nil {
				return reply{}, err
			}
			name = org.doc.text("name")
			with = slices.DeleteFunc(with, func(o string) bool { return o == name })
			if on && org.id != c.viewer.orgID && shareOf(e.root(), name) != nil {
				with = append(with, name)
			}
		}
		c.update(e, map[string]any{"sharedWith": with})
		return done(), nil
	}
}

// changeOwner gives a case to another organisation; the former one keeps a share where it asks for a profile.
func changeOwner(c *call, e *entry) (reply, error) {
	name, _ := c.body["organisation"].(string)
	if name == "" {
		return reply{}, missing("organisation")
	}
	org, err := c.linked(name)
	if err != nil {
		return reply{}, err
	}
	if e.org != c.viewer.org {
		return reply{}, notPermitted()
	}
	former, to := e.org, org.doc.text("name")
	if s := shareOf(e, to); s != nil {
		c.remove(s)
	}
	if profile, keeps := c.body["keepProfile"].(string); keeps && to != former {
		if _, err := c.get(profileKind, profile); err != nil {
			return reply{}, err
		}
		c.share(e, []map[string]any{{"profileName": profile, "organisationName": former, "owner": false, "taskRule": shareAll, "observableRule": shareAll}})
	}
	e.give(to)
	return done(), nil
}

// give moves an entity with all below it to an organisation.
func (e *entry) give(org string) {
	e.org = org
	for _, kids := range e.kids {
		for kid := range kids.each {
			kid.give(org)
		}
	}
}

// orgLink is a link from one organisation to another, as TheHive writes it.
type orgLink struct {
	To        string `json:"toOrganisation"`
	LinkType  string `json:"linkType"`
	OtherType string `json:"otherLinkType"`
}

func linksFrom(org *entry) []orgLink {
	if org == nil {
		return nil
	}
	l, _ := org.doc.get("links").([]orgLink)
	return l
}

// relate links two organisations, or parts them: both show it.
func (c *call) relate(a, b *entry, forth, back string, on bool) {
	for _, end := range []struct {
		from, to    *entry
		forth, back string
	}{{a, b, forth, back}, {b, a, back, forth}} {
		name := end.to.doc.text("name")
		left := slices.DeleteFunc(slices.Clone(linksFrom(end.from)), func(l orgLink) bool { return l.To == name })
		if on {
			left = append(left, orgLink{name, end.forth, end.back})
		}
		c.update(end.from, map[string]any{"links": left})
	}
}

func linkOne(on bool) func(*call, *entry) (reply, error) {
	return func(c *call, e *entry) (reply, error) {
		other, err := c.get(organisationKind, c.args[1])
		if err != nil {
			return reply{}, err
		}
		if other == e {
			return reply{}, badRequest("An organisation is not linked to itself")
		}
		forth, _ := c.body["linkType"].(string)
		back, _ := c.body["otherLinkType"].(string)
		c.relate(e, other, or(forth, "default"), or(back, "default"), on)
		if on {
			return reply{status: http.StatusCreated}, nil
		}
		return done(), nil
	}
}

// linkAll makes the links of an organisation those of the body.
func linkAll(c *call, e *entry) (reply, error) {
	sent, ok := c.body["links"].([]any)
	if !ok {
		return reply{}, missing("links")
	}
	var to []*entry
	var types [][2]string
	for _, v := range sent {
		m, _ := v.(map[string]any)
		name, _ := m["toOrganisation"].(string)
		other, err := c.get(organisationKind, name)
		if err != nil {
			return reply{}, err
		}
		forth, _ := m["linkType"].(string)
		back, _ := m["otherLinkType"].(string)
		to, types = append(to, other), append(types, [2]string{or(forth, "default"), or(back, "default")})
	}
	for _, l := range linksFrom(e) {
		if other := c.h.store.lookup(organisationKind, "", l.To); other != nil {
			c.relate(e, other, "", "", false)
		}
	}
	for i, other := range to {
		c.relate(e, other, types[i][0], types[i][1], true)
	}
	return reply{status: http.StatusCreated}, nil
}

func listLinks(c *call, e *entry) (reply, error) {
	out := []map[string]any{}
	for _, l := range linksFrom(e) {
		if other := c.h.store.lookup(organisationKind, "", l.To); other != nil {
			out = append(out, map[string]any{"linkType": l.LinkType, "otherLinkType": l.OtherType, "organisation": c.rendered(other.doc)})
		}
	}
	return reply{status: http.StatusOK, value: out}, nil
}

// sharingProfiles are those that TheHive's configuration has by default.
func sharingProfiles(*call) (reply, error) {
	profile := func(name, description, rule string) map[string]any {
		return map[string]any{
			"name": name, "description": description, "autoShare": rule == shareAll, "editable": true, "permissionProfile": "analyst",
			"taskRule": rule, "observableRule": rule,
		}
	}
	return reply{status: http.StatusOK, value: []map[string]any{
		profile("default", "nothing is shared by itself", shareSome), profile("supervised", "everything is shared by itself", shareAll),
	}}, nil
}
