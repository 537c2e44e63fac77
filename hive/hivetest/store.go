package hivetest

import (
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
	e := &entry{id: entityID(s.next), serial: s.next, org: org, parent: parent, shown: stamp.wall.Add(stamp.lag)}
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
	lag  time.Duration // how long the index will not know
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
	if st.lag > 0 {
		e.past = append(e.past, past{former, st.wall.Add(st.lag)})
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
		return d.text("dataType") + "\x00file\x00" + a.text("id")
	}
	return d.text("dataType") + "\x00data\x00" + d.text("data")
}
