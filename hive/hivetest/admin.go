package hivetest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
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
	{path: "/api/v1/pageTemplate", kind: pageTemplateKind, permission: "managePageTemplate", create: unchecked, update: unchecked, forOrg: true},
	{path: "/api/v1/caseStatus", kind: caseStatusKind, permission: "managePlatform", create: newStatus, update: unchecked},
	{path: "/api/v1/alertStatus", kind: alertStatusKind, permission: "managePlatform", create: newStatus, update: unchecked},
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

var patternKind = newKind(kind{
	name: "Pattern", natural: "patternId",
	fields: []field{
		{name: "patternId", shape: text, use: show},
		{name: "name", shape: text, use: show},
		{name: "description", shape: text, use: show},
		{name: "tactics", shape: texts, use: show},
		{name: "url", shape: text, use: show},
		{name: "patternType", shape: text, use: show},
		{name: "revoked", shape: boolean, use: show},
		{name: "remoteSupport", shape: boolean, use: show},
		{name: "platforms", shape: texts, use: show},
		{name: "dataSources", shape: texts, use: show},
		{name: "version", shape: text, use: show},
	},
})

var userKind = newKind(kind{
	name: "User", natural: "login", style: typeless, render: renderUser,
	fields: []field{
		{name: "login", shape: text, lo: 3, hi: short, use: must | give | show},
		{name: "name", shape: text, lo: 1, hi: short, use: must | own},
		{name: "email", shape: text, lo: 3, hi: short, use: own | null},
		{name: "password", shape: text, lo: 1, hi: short, use: give},
		{name: "profile", shape: text, lo: 1, hi: 64, use: must | give | change},
		{name: "organisation", shape: text, lo: 1, hi: short, use: give | change},
		{name: "avatar", shape: text, use: give | change},
		{name: "type", shape: text, use: own, preset: "Normal"},
		{name: "locked", shape: boolean, use: change | show, preset: false},
		{name: "defaultOrganisation", shape: text, lo: 1, hi: short, use: change | show},
		{name: "hasKey", shape: boolean, use: show, preset: false},
		{name: "hasPassword", shape: boolean, use: show, preset: false},
		{name: "memberships", shape: refs},
	},
})

var organisationKind = newKind(kind{
	name: "Organisation", natural: "name",
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: 64, use: must | own},
		{name: "description", shape: text, hi: long, use: must | own},
		{name: "taskRule", shape: text, lo: 1, hi: 64, use: own, preset: "manual"},
		{name: "observableRule", shape: text, lo: 1, hi: 64, use: own, preset: "manual"},
		{name: "locked", shape: boolean, use: own, preset: false},
		{name: "avatar", shape: text, use: change},
		{name: "links", shape: refs, use: show, preset: []orgLink{}},
	},
})

var customFieldKind = newKind(kind{
	name: "CustomField", natural: "name",
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: 64, use: must | give | show},
		{name: "displayName", shape: text, lo: 1, hi: 64, use: own},
		{name: "group", shape: text, lo: 1, hi: 64, use: must | own},
		{name: "description", shape: text, hi: long, use: must | own},
		{name: "type", shape: text, use: must | own},
		{name: "mandatory", shape: boolean, use: own, preset: false},
		{name: "options", shape: anyJSON, use: own, preset: []any{}},
	},
})

var profileKind = newKind(kind{
	name: "Profile", natural: "name",
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: 64, use: must | own},
		{name: "permissions", shape: texts, lo: 1, hi: 32, use: own, preset: []string{}},
		{name: "type", shape: text, use: give | show, preset: "Organisation", since: release{5, 6}},
		{name: "forExternal", shape: boolean, use: show, preset: false, since: release{5, 6}},
		{name: "editable", shape: boolean, use: show, preset: true},
		{name: "forAdmin", shape: boolean, use: show, preset: false},
		{name: "forOrg", shape: boolean, use: show, preset: true},
		{name: "consumesLicense", shape: boolean, use: show, preset: true},
	},
})

var observableTypeKind = newKind(kind{
	name: "ObservableType", natural: "name",
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: 64, use: must | give | show},
		{name: "isAttachment", shape: boolean, use: give | show, preset: false},
		{name: "isCaseSensitive", shape: boolean, use: own, preset: true, since: release{5, 7}},
	},
})

var caseTemplateKind = newKind(kind{
	name: "CaseTemplate", natural: "name", scoped: true,
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: short, use: must | own},
		{name: "displayName", shape: text, lo: 1, hi: short, use: own},
		{name: "titlePrefix", shape: text, lo: 1, hi: 64, use: own | null},
		{name: "description", shape: text, hi: long, use: own | null},
		{name: "severity", shape: integer, lo: 1, hi: 4, use: own | null},
		tags, flagged,
		{name: "tlp", shape: integer, lo: 0, hi: 4, use: own | null},
		{name: "pap", shape: integer, lo: 0, hi: 3, use: own | null},
		{name: "summary", shape: text, hi: long, use: own | null},
		customs,
		{name: "tasks", shape: items, use: own, sub: taskKind},
		{name: "pageTemplateIds", shape: texts, use: give}, // kept, and shown by the query step pageTemplates
		{name: "pageTemplates", shape: items, use: give, sub: pageKind},
	},
})

var statusFields = []field{
	{name: "value", shape: text, lo: 1, hi: 64, use: must | give | show},
	{name: "stage", shape: text, use: must | give | show},
	{name: "order", shape: integer, use: own | null, preset: int64(0)},
	{name: "description", shape: text, hi: long, use: own | null},
	{name: "colour", shape: text, use: own | null, preset: "#000000"},
	{name: "hidden", shape: boolean, use: own, preset: false},
}

var (
	caseStatusKind  = newKind(kind{name: "CaseStatus", natural: "value", fields: statusFields})
	alertStatusKind = newKind(kind{name: "AlertStatus", natural: "value", fields: statusFields})
)

var catalogKind = newKind(kind{
	name: "Catalog", natural: "name", style: plain,
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: short, use: must | own},
		{name: "description", shape: text, hi: long, use: own | null},
		{name: "variant", shape: text, lo: 1, hi: short, use: own | null},
	},
})

// kinds are all that a query can list, by the name that follows list and get.
var kinds = byName(
	caseKind, taskKind, logKind, pageKind, pageTemplateKind, commentKind, observableKind, procedureKind, alertKind,
	attachmentKind, eventKind, patternKind, userKind, organisationKind, customFieldKind, profileKind, observableTypeKind,
	caseTemplateKind, caseStatusKind, alertStatusKind, catalogKind, shareKind, jobKind, actionKind,
)

func byName(all ...*kind) map[string]*kind {
	m := make(map[string]*kind, len(all))
	for _, k := range all {
		m[or(k.listed, k.name)] = k
	}
	return m
}

var systemRoutes = []route{
	{method: "POST", template: "/api/v1/query", form: jsonBody, reads: true, run: runQuery},
	{method: "GET", template: "/api/status", open: true, run: oldStatus},
	{method: "GET", template: "/api/v1/status", open: true, run: status},
	{method: "GET", template: "/api/v1/status/public", open: true, run: publicStatus},
	{method: "GET", template: "/api/v1/user/current", run: currentUser},
	{method: "GET", template: "/api/v1/license/current", run: license},
}

func status(c *call) (reply, error) {
	lease := c.license()
	return reply{status: http.StatusOK, value: map[string]any{
		"version": c.h.options.Version, "gitDescription": c.h.options.Version,
		"connectors": map[string]any{"cortex": map[string]any{"enabled": false, "status": "OK", "servers": []any{}}, "misp": map[string]any{"enabled": false, "status": "OK", "servers": []any{}}},
		"config": map[string]any{
			"capabilities": []string{"authByKey", "changePassword", "setPassword"}, "ssoAutoLogin": false,
			"pollingDuration": 1000, "protectDownloadsWith": DefaultZipPassword, "authType": []string{"local", "key"},
		},
		"license": map[string]any{
			"id": lease["id"], "customer": lease["customer"], "instance": "simulator", "plan": lease["plan"], "kind": lease["kind"],
			"validFrom": lease["validFrom"], "expiresAt": lease["expiresAt"], "capabilities": []string{}, "isValid": true,
			"quotas": map[string]any{},
		},
		"features": []string{}, "schemaStatus": []any{},
	}}, nil
}

// oldStatus is the status at its old address, where clients look whether the server is ready.
func oldStatus(c *call) (reply, error) {
	return reply{status: http.StatusOK, value: map[string]any{
		"version":  c.h.options.Version,
		"versions": map[string]string{"TheHive": c.h.options.Version, "Scalligraph": c.h.options.Version},
	}}, nil
}

func publicStatus(c *call) (reply, error) {
	value := map[string]any{"sso": false, "ssoProviders": []any{}, "version": c.h.options.Version}
	if !c.h.release.before(release{5, 6, 2}) {
		value["imports"] = map[string]string{"mitreCatalog": "Enterprise Attack"}
	}
	return reply{status: http.StatusOK, value: value}, nil
}

func currentUser(c *call) (reply, error) { return show1(http.StatusOK, c.user.doc), nil }

// license answers the fallback that a server without a licence has; it must not be over, or the official client's
// suite replaces the server.
func license(c *call) (reply, error) {
	return reply{status: http.StatusOK, value: map[string]any{"notFound": true, "fallback": c.license()}}, nil
}

func (c *call) license() map[string]any {
	year := int64(365 * 24 * time.Hour / time.Millisecond)
	now := c.h.now()
	return map[string]any{
		"_id": "~32", "_type": "License", "_createdBy": systemUser, "_createdAt": now, "id": "fallback",
		"customer": "simulator", "plan": "Community", "kind": "Fallback", "validFrom": now - year, "expiresAt": now + year,
		"current": true, "capabilities": []string{}, "quotas": map[string]int{},
	}
}

// customValue is one custom field of a case, alert or template, as TheHive writes it.
type customValue struct {
	ID    string `json:"_id"`
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value any    `json:"value"`
	Order int64  `json:"order"`
}

// resolveCustom turns custom fields as sent into values as kept: the value must be of its field's type.
// A field that nobody defined is left out, or refused by option. In an update an array is all that there is afterwards; an object
// changes what it names (until 5.7.1), or adds a value beside what is there (release notes of 5.7.1).
func (s *store) resolveCustom(values map[string]any, former *doc) error {
	sent, ok := values["customFields"].([]customInput)
	if !ok {
		return nil
	}
	out := []customValue{}
	if former != nil && (len(sent) == 0 || sent[0].named) {
		old, _ := former.get("customFields").([]customValue)
		out = slices.Clone(old)
	}
	for i, in := range sent {
		def := s.lookup(customFieldKind, "", in.name)
		if def == nil && !s.refuseUnknown {
			continue
		}
		if def == nil {
			return notFound("CustomField %s not found", in.name)
		}
		v, err := customTyped(def.doc, in.value)
		if err != nil {
			return err
		}
		order := in.order
		if order < 0 {
			order = int64(i)
		}
		name := def.doc.text("name")
		value := customValue{name + ":" + plainText(v), name, def.doc.text("type"), v, order}
		at := slices.IndexFunc(out, func(o customValue) bool { return o.Name == name })
		if _, several := v.([]any); several && in.named && !s.replaces {
			return invalid("customFields."+in.name, v, "one value")
		}
		if at < 0 || former != nil && in.named && !s.replaces {
			out = append(out, value)
		} else {
			out[at] = value
		}
	}
	values["customFields"] = out
	return nil
}

func plainText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return string(toJSON(v))
}

// customTyped checks a value against its field's type and options; null is allowed everywhere.
func customTyped(def *doc, v any) (any, error) {
	if v == nil {
		return nil, nil //nolint:nilnil // null is a value
	}
	name, kind := def.text("name"), def.text("type")
	out, ok := ofType(kind, v)
	if !ok {
		return nil, invalid("customFields."+name, v, kind)
	}
	options, _ := def.get("options").([]any)
	if len(options) > 0 && !slices.ContainsFunc(options, func(o any) bool { return plainText(o) == plainText(out) }) {
		return nil, badRequest("Invalid value for custom field %s: not one of its options", name)
	}
	return out, nil
}

func ofType(kind string, v any) (any, bool) {
	switch kind {
	case "integer", "date":
		return asWhole(v)
	case "float":
		n, ok := v.(json.Number)
		if !ok {
			return nil, false
		}
		f, err := strconv.ParseFloat(n.String(), 64)
		return f, err == nil
	case "boolean":
		b, ok := v.(bool)
		return b, ok
	case "url":
		s, ok := v.(string)
		if u, err := url.Parse(s); !ok || err != nil || u.Scheme == "" {
			return nil, false
		}
		return s, true
	}
	s, ok := v.(string)
	return s, ok
}

func asWhole(v any) (any, bool) {
	n, ok := whole(v)
	return n, ok
}

// applyTemplate completes a new case from the template it names; what the case says itself wins, its tasks replace the
// template's.
func (s *store) applyTemplate(org string, values map[string]any) error {
	name, ok := values["caseTemplate"].(string)
	if !ok {
		return nil
	}
	e := s.lookup(caseTemplateKind, org, name)
	if e == nil {
		return notFound("CaseTemplate %s not found", name)
	}
	t := e.doc
	if prefix := t.text("titlePrefix"); prefix != "" {
		if title, ok := values["title"].(string); ok {
			values["title"] = prefix + " " + title
		}
	}
	if sent := list[string](values, "tags"); len(sent) == 0 || s.templateTags {
		values["tags"] = union(t.list("tags"), sent)
	}
	if values["summary"] == nil && t.text("summary") != "" {
		values["summary"] = t.text("summary")
	}
	if values["tasks"] == nil {
		values["tasks"] = templateTasks(t)
	}
	sent, _ := values["customFields"].([]customInput)
	kept, _ := t.get("customFields").([]customValue)
	for _, v := range kept {
		if !slices.ContainsFunc(sent, func(in customInput) bool { return in.name == v.Name }) {
			sent = append(sent, customInput{v.Name, jsonValue(v.Value), v.Order, false})
		}
	}
	values["customFields"] = sent
	return nil
}

// jsonValue turns a kept value back into the form in which it was sent.
func jsonValue(v any) any {
	out, err := decodeJSON(toJSON(v))
	if err != nil {
		return nil
	}
	return out
}

func templateTasks(t *doc) []map[string]any {
	docs, _ := t.get("tasks").([]*doc)
	out := make([]map[string]any, 0, len(docs))
	for _, d := range docs {
		out = append(out, valuesOf(d))
	}
	return out
}
