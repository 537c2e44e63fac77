package mitre

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Known is what a server holds of ATT&CK, for [Catalogue.For]: made by
// [KnownIDs], [KnownPatterns] or [KnownRelease]. The zero value holds nothing.
type Known struct {
	release  string
	patterns []Pattern
}

// A Pattern is one technique as a server lists it.
type Pattern struct {
	ID      string   // "T1059.001"
	Name    string   // as the server says; may be empty
	Tactics []string // in any spelling; none: what the catalogue says of the release that the server seems to hold
}

// KnownIDs is a server that holds these technique ids, whatever release or
// mixture of releases they come from.
func KnownIDs(ids []string) Known {
	k := Known{patterns: make([]Pattern, len(ids))}
	for i, id := range ids {
		k.patterns[i].ID = id
	}
	return k
}

// KnownPatterns is a server that holds these techniques with these tactics.
// It is to be preferred to [KnownIDs] where the server tells, since only the
// server knows which tactics it accepts.
func KnownPatterns(patterns []Pattern) Known { return Known{patterns: patterns} }

// KnownRelease is a server that holds one release ("19.0" or "19") of every
// domain: the newest that is not newer than it, since domains skip releases;
// of a domain whose releases are all newer, nothing. What a release revokes is
// not held; what it only deprecates is. An empty version is the newest.
func KnownRelease(version string) Known { return Known{release: cmp.Or(version, newest)} }

// newest stands for a version later than all.
const newest = "9999"

// holdings is a Known as a Target is made from it.
type holdings struct {
	held     map[string]Pattern  // by canonical id
	releases map[string]*release // by domain
}

// hold works out what the server holds, and which release of each domain.
func (c *Catalogue) hold(k Known) holdings {
	h := holdings{held: make(map[string]Pattern, max(len(k.patterns), len(c.nodes))), releases: map[string]*release{}}
	if k.release != "" {
		c.holdRelease(&h, k.release)
		return h
	}
	for _, p := range k.patterns {
		id := strings.ToUpper(strings.TrimSpace(p.ID))
		if old, twice := h.held[id]; id != "" && (!twice || len(old.Tactics) == 0) {
			h.held[id] = p
		}
	}
	hits := map[string]int{}
	for _, r := range c.releases { // oldest first, so that the newest wins a tie
		n := 0
		for id, s := range r.techniques {
			if _, there := h.held[id]; there && s.active() {
				n++
			}
		}
		if n > 0 && n >= hits[r.domain] {
			hits[r.domain], h.releases[r.domain] = n, r
		}
	}
	return h
}

func (c *Catalogue) holdRelease(h *holdings, version string) {
	h.releases = c.upTo(version)
	for _, r := range h.releases {
		for id, s := range r.techniques {
			if !s.revoked {
				h.held[id] = Pattern{}
			}
		}
	}
}

// upTo gives of each domain the newest release that is not newer than version,
// or than all when that is empty.
func (c *Catalogue) upTo(version string) map[string]*release {
	out := map[string]*release{}
	for _, r := range c.releases { // oldest first
		if compareVersions(r.version, cmp.Or(version, newest)) <= 0 {
			out[r.domain] = r
		}
	}
	return out
}

func (h *holdings) holds(id string) bool {
	_, there := h.held[id]
	return there
}

// nearest finds what the server holds instead of n: what it became or itself,
// what it was, a parent of any of these, what such a parent was.
func (c *Catalogue) nearest(h *holdings, n *node) (*node, Kind) {
	if to := h.ahead(n); to == n {
		return to, KindSame
	} else if to != nil {
		return to, KindLineage
	}
	before := map[*node]bool{n: true}
	if to := h.behind(n, before); to != nil {
		return to, KindLineage
	}
	parents := c.parents(n, before)
	for _, p := range parents {
		if to := h.ahead(p); to != nil {
			return to, KindParent
		}
	}
	for _, p := range parents {
		if to := h.behind(p, before); to != nil {
			return to, KindParent
		}
	}
	return nil, KindNone
}

// parents lists the parents, in any release, of what n became, of n, and of
// what it was.
func (c *Catalogue) parents(n *node, before map[*node]bool) []*node {
	was := slices.SortedFunc(maps.Keys(before), func(a, b *node) int { return strings.Compare(b.id, a.id) })
	var out []*node
	for _, k := range slices.Concat(n.order, was) {
		for _, s := range k.states {
			if p := c.byID[s.parent]; p != nil && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// ahead is the held one of n's lineage that is furthest forward, n itself
// included, or nil.
func (h *holdings) ahead(n *node) *node {
	if i := slices.IndexFunc(n.order, func(o *node) bool { return h.holds(o.id) }); i >= 0 {
		return n.order[i]
	}
	return nil
}

// behind is the held one among those that n replaced: of several, the one of
// n's own name first, then those that these replaced. seen grows by all that
// were asked.
func (h *holdings) behind(n *node, seen map[*node]bool) *node {
	_, s := n.newest()
	name := fold(s.name)
	prev := slices.Clone(n.prev)
	slices.SortStableFunc(prev, func(a, b *node) int { return score(b, name) - score(a, name) })
	for _, p := range prev {
		if seen[p] {
			continue
		}
		seen[p] = true
		if to := h.ahead(p); to != nil {
			return to
		}
		if to := h.behind(p, seen); to != nil {
			return to
		}
	}
	return nil
}

// score prefers predecessors of the same name, then those that a release
// knew as active.
func score(n *node, name string) int {
	out := 0
	if n.bears(name) {
		out += 2
	}
	if slices.ContainsFunc(n.states, func(s stated) bool { return s.active() }) {
		out++
	}
	return out
}
