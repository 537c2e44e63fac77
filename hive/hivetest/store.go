package hivetest

import (
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// doc is one version of an entity. It never changes once it is stored, so it can be written to a client without a lock.
type doc struct {
	kind   *kind
	entry  *entry
	vals   []any
	by     string
	at     int64
	upBy   string
	upAt   int64
	isNote bool // the answer to a creation: dates that TheHive computes later are still zero
}

func (d *doc) get(name string) any {
	if i, ok := d.kind.slots[name]; ok {
		return d.vals[i]
	}
	return nil
}

func (d *doc) set(name string, v any) {
	if i, ok := d.kind.slots[name]; ok {
		d.vals[i] = v
	}
}

func (d *doc) text(name string) string { s, _ := d.get(name).(string); return s }
func (d *doc) num(name string) int64   { n, _ := d.get(name).(int64); return n }
func (d *doc) flag(name string) bool   { b, _ := d.get(name).(bool); return b }
func (d *doc) list(name string) []string {
	l, _ := d.get(name).([]string)
	return l
}

// entry is an entity with its present version, its place and its children. All of it is guarded by Hive.mu.
type entry struct {
	id     string
	serial int64
	org    string
	parent *entry
	doc    *doc
	shown  time.Time           // from when on the index knows it, by the machine's clock
	past   []past              // versions that the index may still show
	kids   map[string]*series  // by kind
	values map[string]struct{} // observables of a case or alert: what makes them unique
	denied atomic.Value        // []string: rights that nobody has in a case
	tagged time.Time           // when tags were last added, and what there was before, where some get lost
	tags   []string
	gone   bool
}

type past struct {
	doc   *doc
	until time.Time
}

// series keeps entries in the order of their creation and forgets removed ones now and then.
type series struct {
	all  []*entry
	live int
}

func (s *series) add(e *entry) { s.all = append(s.all, e); s.live++ }

func (s *series) removed() {
	s.live--
	if len(s.all) > 32 && s.live < len(s.all)/2 {
		s.all = slices.DeleteFunc(s.all, func(e *entry) bool { return e.gone })
	}
}

func (s *series) each(yield func(*entry) bool) {
	if s == nil {
		return
	}
	for _, e := range s.all {
		if !e.gone && !yield(e) {
			return
		}
	}
}

func (e *entry) children(k *kind) *series {
	return e.kids[k.name]
}

func (e *entry) count(k *kind) int {
	if s := e.kids[k.name]; s != nil {
		return s.live
	}
	return 0
}

// root is the case or alert at the top.
func (e *entry) root() *entry {
	for e.parent != nil {
		e = e.parent
	}
	return e
}

// store is the memory of the server: every entity, and the ways to find one.
type store struct {
	next    int64
	number  int64
	byID    map[string]*entry
	byKind  map[string]*series
	byName  map[string]*entry   // kind, organisation where scoped, natural name
	index   map[string][]*entry // kind, field, value: a superset, to be checked
	blobs   map[string][]byte   // attachments by their SHA-256
	secrets map[string]secret   // by login
	keys    map[string]string   // login by API key
	cookies map[string]string   // login by session

	refuseUnknown bool // custom fields that nobody defined
	templateTags  bool // a template's tags come beside those of the request
	replaces      bool // a custom field that an object names is replaced; else a value is added beside it
}

type secret struct{ password, key string }

func newStore() *store {
	return &store{
		next:    40960,
		byID:    map[string]*entry{},
		byKind:  map[string]*series{},
		byName:  map[string]*entry{},
		index:   map[string][]*entry{},
		blobs:   map[string][]byte{},
		secrets: map[string]secret{},
		keys:    map[string]string{},
		cookies: map[string]string{},
	}
}

func (s *store) nameKey(k *kind, org, name string) string {
	if k.scoped || k == alertKind {
		return k.name + "\x00" + org + "\x00" + name
	}
	return k.name + "\x00" + name
}

func naturalName(d *doc) string {
	switch d.kind {
	case alertKind:
		return d.text("type") + ";" + d.text("source") + ";" + d.text("sourceRef")
	case caseKind:
		return strconv.FormatInt(d.num("number"), 10)
	case attachmentKind:
		return ""
	}
	if d.kind.natural == "" {
		return ""
	}
	return d.text(d.kind.natural)
}

func entityID(n int64) string { return "~" + strconv.FormatInt(n, 10) }

// add stores a new entity below its parent (nil: on its own).
func (s *store) add(k *kind, org string, parent *entry, values map[string]any, stamp stamp) *entry {
	s.next += 8
	e := &entry{id: entityID(s.next), serial: s.next, org: org, parent: parent, shown: stamp.wall.Add(stamp.lagOf(parent))}
	d := &doc{kind: k, entry: e, vals: make([]any, len(k.fields)), by: stamp.by, at: stamp.ms}
	for name, v := range values {
		d.set(name, v)
	}
	e.doc = d
	s.byID[e.id] = e
	if s.byKind[k.name] == nil {
		s.byKind[k.name] = &series{}
	}
	s.byKind[k.name].add(e)
	if parent != nil {
		parent.adopt(e)
	}
	s.name(e)
	s.post(e, nil)
	return e
}

func (e *entry) adopt(child *entry) {
	if e.kids == nil {
		e.kids = map[string]*series{}
	}
	k := child.doc.kind.name
	if e.kids[k] == nil {
		e.kids[k] = &series{}
	}
	e.kids[k].add(child)
	child.parent = e
}

// of are all entities of a kind, perhaps none. It writes nothing: readers share the lock.
func (s *store) of(k *kind) *series { return s.byKind[k.name] }

func (s *store) name(e *entry) {
	if n := naturalName(e.doc); n != "" {
		s.byName[s.nameKey(e.doc.kind, e.org, n)] = e
	}
}

// stamp is who changes something and when.
type stamp struct {
	by   string
	ms   int64         // by the server's clock
	wall time.Time     // by the machine's clock
	lag  time.Duration // how long the index will not know, of what stands by itself

	childLag time.Duration // … and of what lies in something
}

func (s stamp) lagOf(parent *entry) time.Duration {
	if parent != nil {
		return s.childLag
	}
	return s.lag
}

// indexed is the version that a search goes by, which lags behind the present one when told so; nil: not known yet.
func (e *entry) indexed(now time.Time) *doc {
	if now.Before(e.shown) {
		return nil
	}
	for _, p := range e.past {
		if now.Before(p.until) {
			return p.doc
		}
	}
	return e.doc
}

// change stores a new version of an entity with some values replaced.
func (s *store) change(e *entry, values map[string]any, st stamp) {
	former := e.doc
	d := *former
	d.vals = slices.Clone(former.vals)
	for name, v := range values {
		d.set(name, v)
	}
	d.upBy, d.upAt = st.by, st.ms
	s.rename(e, &d)
	if id := identity(former); id != "" && e.parent != nil {
		delete(e.parent.values, id)
		e.parent.values[identity(&d)] = struct{}{}
	}
	e.past = slices.DeleteFunc(e.past, func(p past) bool { return !p.until.After(st.wall) })
	if lag := st.lagOf(e.parent); lag > 0 {
		e.past = append(e.past, past{former, st.wall.Add(lag)})
	}
	e.doc = &d
	s.post(e, former)
}

func (s *store) rename(e *entry, d *doc) {
	was, is := naturalName(e.doc), naturalName(d)
	if was == is {
		return
	}
	delete(s.byName, s.nameKey(d.kind, e.org, was))
	if is != "" {
		s.byName[s.nameKey(d.kind, e.org, is)] = e
	}
}

// touch marks an entity as updated: TheHive does so when a child of a case changes.
func (s *store) touch(e *entry, st stamp) {
	d := *e.doc
	d.upBy, d.upAt = st.by, st.ms
	e.doc = &d
}

// remove deletes an entity with all that lies below it.
func (s *store) remove(e *entry) {
	if e.gone {
		return
	}
	for _, kids := range e.kids {
		for _, kid := range slices.Clone(kids.all) {
			s.remove(kid)
		}
	}
	e.gone = true
	delete(s.byID, e.id)
	if n := naturalName(e.doc); n != "" {
		key := s.nameKey(e.doc.kind, e.org, n)
		if s.byName[key] == e {
			delete(s.byName, key)
		}
	}
	s.unpost(e)
	s.of(e.doc.kind).removed()
	if e.parent != nil {
		e.parent.kids[e.doc.kind.name].removed()
		delete(e.parent.values, identity(e.doc))
	}
}

// identity is what makes an observable unique below its parent; empty for anything else.
func identity(d *doc) string {
	if d.kind != observableKind {
		return ""
	}
	if a, ok := d.get("attachment").(*doc); ok {
		return d.text("dataType") + "\x00file\x00" + a.text("id") + "\x00" + a.text("twin")
	}
	return d.text("dataType") + "\x00data\x00" + d.text("data")
}

// post adds the entry to the indexes of its kind, for the values that the former version did not have.
func (s *store) post(e *entry, former *doc) {
	for _, name := range e.doc.kind.indexed {
		for _, v := range keysOf(e.doc.get(name)) {
			if former == nil || !slices.Contains(keysOf(former.get(name)), v) {
				key := e.doc.kind.name + "\x00" + name + "\x00" + v
				s.index[key] = append(s.index[key], e)
			}
		}
	}
}

func (s *store) unpost(e *entry) {
	for _, name := range e.doc.kind.indexed {
		for _, v := range keysOf(e.doc.get(name)) {
			key := e.doc.kind.name + "\x00" + name + "\x00" + v
			s.index[key] = slices.DeleteFunc(s.index[key], func(o *entry) bool { return o == e })
			if len(s.index[key]) == 0 {
				delete(s.index, key)
			}
		}
	}
}

func keysOf(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []string:
		return v
	}
	return nil
}

// found returns the entries that had the value at some time, oldest first, each once.
func (s *store) found(k *kind, name, value string) []*entry {
	key := k.name + "\x00" + name + "\x00" + value
	live := slices.DeleteFunc(slices.Clone(s.index[key]), func(e *entry) bool { return e.gone })
	slices.SortFunc(live, func(a, b *entry) int { return int(a.serial - b.serial) })
	return slices.Compact(live)
}

var linkRoutes = []route{
	{method: "POST", template: "/api/v1/case/{id}/link/case/add", form: jsonBody, permission: "manageCase/update", since: release{5, 5}, run: needs(caseKind, linkCase(true))},
	{method: "POST", template: "/api/v1/case/{id}/link/case/remove", form: jsonBody, permission: "manageCase/update", since: release{5, 5}, run: needs(caseKind, linkCase(false))},
	{method: "POST", template: "/api/v1/case/{id}/link/external/add", form: jsonBody, permission: "manageCase/update", since: release{5, 5}, run: needs(caseKind, linkExternal(true))},
	{method: "POST", template: "/api/v1/case/{id}/link/external/remove", form: jsonBody, permission: "manageCase/update", since: release{5, 5}, run: needs(caseKind, linkExternal(false))},
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
	for f, v := range c.body {
		if f != "type" && f != name && !c.h.options.Lenient {
			return "", "", attributes([]attributeFault{{Type: "UnknownAttributeError", Name: f, Field: v}})
		}
	}
	for _, f := range []string{"type", name} {
		s, ok := c.body[f].(string)
		if !ok || s == "" {
			return "", "", missing(f)
		}
		if f == "type" && units(s) > 64 {
			return "", "", invalid(f, s, "string")
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
