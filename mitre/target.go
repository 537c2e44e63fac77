package mitre

import (
	"slices"
	"strings"
)

// A Kind says how a technique came to the id that the target holds.
type Kind int

// The kinds, in the order in which they are tried.
const (
	KindNone    Kind = iota // nothing held that is near: record it as a tag
	KindSame                // the id itself
	KindLineage             // the same technique under an id of another release
	KindParent              // the technique of which it is a sub-technique
)

// String gives "none", "same", "lineage" or "parent".
func (k Kind) String() string {
	switch k {
	case KindSame:
		return "same"
	case KindLineage:
		return "lineage"
	case KindParent:
		return "parent"
	case KindNone:
	}
	return "none"
}

// A Mapping is one technique as a target knows it.
type Mapping struct {
	From    string // the id that was asked for, canonical
	ID      string // the id that the target holds; empty when Kind is KindNone
	Name    string // its name in the target's release, or as the server says
	Tactic  string // one of its tactics in the target, a short name; empty when none is known
	Said    bool   // the tactic is what the event says, and not chosen here
	Kind    Kind
	Release string // the release that the target seems to hold of the domain, "19.0"; empty when unknown
	Note    string // empty, or what was decided: "T1562.001 reported, recorded as T1685 (ATT&CK 19.0)"
}

// A Target maps techniques to what one server holds. It does not change and
// is safe for concurrent use; make a new one when the server's list changed.
type Target struct {
	catalogue *Catalogue
	held      int
	entries   map[string]*entry // every id of the catalogue and of the server
}

// An entry is a Mapping but for the tactic.
type entry struct {
	mapping Mapping
	tactics []string // the technique's own in the target, in matrix order
}

// For makes the target of what a server holds. Where the server holds several
// ids of one lineage, as one does after the import of a second release, all
// of them map to the one furthest forward.
func (c *Catalogue) For(k Known) *Target {
	h := c.hold(k)
	t := &Target{catalogue: c, held: len(h.held), entries: make(map[string]*entry, len(c.nodes)+len(h.held))}
	for _, n := range c.nodes {
		t.entries[n.id] = c.entry(&h, n)
	}
	for id, p := range h.held {
		if t.entries[id] == nil {
			t.entries[id] = &entry{mapping: Mapping{From: id, ID: id, Name: p.Name, Kind: KindSame}, tactics: c.shorts(p.Tactics, nil)}
		}
	}
	return t
}

// Len is the number of techniques that the server holds; a target of none
// maps everything to a tag.
func (t *Target) Len() int { return t.held }

// Map tells what to record for a technique that an event names, and for which
// of its tactics: the one that the event says, in any spelling, old or new,
// one or several separated by commas; else its first in the matrix. The id
// given back is one that the target holds, and maps to itself.
func (t *Target) Map(id, tactic string) Mapping {
	e := t.entries[id]
	if e == nil {
		return t.unlisted(strings.ToUpper(strings.TrimSpace(id)), tactic)
	}
	return t.choose(e, tactic)
}

// Key gives procedures that are the same for this target the same key, however
// old the ids and tactics are under which a case holds them: the id and tactic
// that Map gives. What maps to nothing has the key of its lineage and the
// tactic as it is. Other than [Catalogue.LineageKey] it keeps apart what a
// later release merged but this server does not.
func (t *Target) Key(id, tactic string) (keyID, keyTactic string) {
	if m := t.Map(id, tactic); m.Kind != KindNone {
		return m.ID, m.Tactic
	}
	return t.catalogue.LineageKey(id), tactic
}

// Tactics lists the tactics that a technique which the target holds has there,
// short names in matrix order. It is empty for an id that Map would change.
func (t *Target) Tactics(id string) []string {
	e := t.entries[id]
	if e == nil || e.mapping.ID != id {
		return nil
	}
	return slices.Clone(e.tactics)
}

// choose adds the tactic.
func (t *Target) choose(e *entry, tactic string) Mapping {
	m := e.mapping
	if len(e.tactics) == 0 {
		return m
	}
	m.Tactic = e.tactics[0]
	if tactic == "" {
		return m
	}
	if slices.Contains(e.tactics, tactic) {
		m.Tactic, m.Said = tactic, true
		return m
	}
	if short, ok := own(e.tactics, t.catalogue.tacticList(tactic)); ok {
		m.Tactic, m.Said = short, true
	}
	return m
}

// unlisted maps an id that neither the catalogue nor the server knows as
// written: one in another case, or a sub-technique of a newer release.
func (t *Target) unlisted(id, tactic string) Mapping {
	if e := t.entries[id]; e != nil {
		return t.choose(e, tactic)
	}
	parent := t.entries[parentOf(id)]
	if parent == nil || parent.mapping.Kind == KindNone || !validID(id) {
		return Mapping{From: id, Note: id + " reported, known to no release here and not to the server"}
	}
	m := t.choose(parent, tactic)
	m.From, m.Kind, m.Note = id, KindParent, id+" reported, recorded as its parent "+m.ID+inRelease(m.Release)
	return m
}

// Lineage lists the ids of the target that share the lineage of id.
func (t *Target) Lineage(id string) []string {
	return slices.DeleteFunc(t.catalogue.Lineage(id), func(id string) bool {
		e := t.entries[id]
		return e == nil || e.mapping.ID != id
	})
}

// entry maps one technique of the catalogue.
func (c *Catalogue) entry(h *holdings, n *node) *entry {
	to, kind := c.nearest(h, n)
	if to == nil {
		m := Mapping{From: n.id, Release: version(h.releases[n.domain()])}
		m.Note = n.id + " reported, but neither it nor its lineage or parent is held" + inRelease(m.Release)
		return &entry{mapping: m}
	}
	r, s := to.in(h.releases[to.domain()])
	m := Mapping{From: n.id, ID: to.id, Name: s.name, Kind: kind, Release: version(h.releases[to.domain()])}
	tactics := s.tactics
	if p := h.held[to.id]; p.ID != "" {
		if p.Name != "" {
			m.Name = p.Name
		}
		if len(p.Tactics) > 0 {
			tactics = c.shorts(p.Tactics, r)
		}
	}
	switch {
	case kind == KindLineage:
		m.Note = n.id + " reported, recorded as " + to.id + inRelease(m.Release)
	case kind == KindParent:
		m.Note = n.id + " reported, recorded as its parent " + to.id + inRelease(m.Release)
	case s.deprecated && !s.revoked:
		m.Note = n.id + " is deprecated" + inRelease(m.Release)
	case s.revoked:
		m.Note = n.id + " is revoked" + inRelease(m.Release) + ", and no successor is held"
	}
	return &entry{mapping: m, tactics: tactics}
}

// shorts gives tactics of a server as short names, in matrix order where the
// release is known. Those that nobody knows stay as they are.
func (c *Catalogue) shorts(tactics []string, r *release) []string {
	out := make([]string, len(tactics))
	for i, t := range tactics {
		out[i] = t
		if short, ok := c.Tactic(t); ok {
			out[i] = short
		}
	}
	if r == nil {
		return out
	}
	return r.matrixOrder(out)
}

func version(r *release) string {
	if r == nil {
		return ""
	}
	return r.version
}

func inRelease(version string) string {
	if version == "" {
		return ""
	}
	return " (ATT&CK " + version + ")"
}
