package mitre

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// A node is one technique id over all releases.
type node struct {
	id     string
	self   [1]string // backs Resolution.IDs, so that a canonical id costs no allocation
	states []stated  // newest first
	next   []*node   // successors, the newest release's first; without cycles
	prev   []*node   // who was revoked in favour of this, by id
	order  []*node   // everything reachable by next and the node itself, what is furthest forward first
}

type stated struct {
	release *release
	*state
}

func (n *node) newest() (*release, *state) { return n.states[0].release, n.states[0].state }

func (n *node) domain() string { return n.states[0].release.domain }

// in is what a release says of the node, else what the newest one does.
func (n *node) in(r *release) (*release, *state) {
	for _, s := range n.states {
		if s.release == r {
			return r, s.state
		}
	}
	return n.newest()
}

// bears reports whether some release gives the node this folded name.
func (n *node) bears(folded string) bool {
	return slices.ContainsFunc(n.states, func(s stated) bool { return fold(s.name) == folded })
}

// build joins releases into a catalogue.
func build(releases []*release) *Catalogue {
	slices.SortStableFunc(releases, compareReleases)
	c := &Catalogue{releases: releases, byID: map[string]*node{}}
	newestFirst := slices.SortedStableFunc(slices.Values(releases), func(a, b *release) int {
		return cmp.Or(cmp.Compare(domainRank(a.domain), domainRank(b.domain)), compareVersions(b.version, a.version))
	})
	for _, r := range newestFirst {
		for id, s := range r.techniques {
			n := c.byID[id]
			if n == nil {
				n = &node{id: id, self: [1]string{id}}
				c.byID[id] = n
			}
			n.states = append(n.states, stated{r, s})
		}
	}
	c.nodes = slices.SortedFunc(maps.Values(c.byID), func(a, b *node) int { return strings.Compare(a.id, b.id) })
	c.link()
	c.nameIndex()
	c.tacticIndex()
	return c
}

// link joins the revocations of all releases to one graph without cycles.
// What the newest release revokes counts; what it restored does not.
func (c *Catalogue) link() {
	for _, n := range c.nodes {
		if _, s := n.newest(); !s.revoked {
			continue
		}
		for _, s := range n.states {
			to := c.byID[s.successor]
			if s.revoked && to != nil && to != n && !slices.Contains(n.next, to) {
				n.next = append(n.next, to)
			}
		}
	}
	cut(c.nodes)
	for _, n := range c.nodes {
		n.order = forward(n, map[*node]bool{}, nil)
		for _, to := range n.next {
			to.prev = append(to.prev, n)
		}
	}
}

// cut removes the edges that close a cycle; which, depends on the ids alone.
func cut(nodes []*node) {
	const open, done = 1, 2
	mark := make(map[*node]int, len(nodes))
	var visit func(*node)
	visit = func(n *node) {
		mark[n] = open
		n.next = slices.DeleteFunc(n.next, func(to *node) bool {
			if mark[to] == 0 {
				visit(to)
			}
			return mark[to] == open
		})
		mark[n] = done
	}
	for _, n := range nodes {
		if mark[n] == 0 {
			visit(n)
		}
	}
}

// forward appends n after everything that it leads to. A node's descendants
// come before it in every such list, which makes the first one that a server
// holds the same from wherever on the lineage one starts.
func forward(n *node, seen map[*node]bool, out []*node) []*node {
	if seen[n] {
		return out
	}
	seen[n] = true
	for _, to := range n.next {
		out = forward(to, seen, out)
	}
	return append(out, n)
}
