package mitre

import (
	"bytes"
	"slices"
)

// A named is who bears one folded name, in any release.
type named struct {
	all     []*node
	current []*node // the active ones of each domain, one of each lineage; without any, the others
}

// nameIndex collects the names of all releases.
func (c *Catalogue) nameIndex() {
	c.names = make(map[string]*named, len(c.nodes))
	for _, n := range c.nodes {
		for _, s := range n.states {
			key := fold(s.name)
			if key == "" {
				continue
			}
			if c.names[key] == nil {
				c.names[key] = &named{}
			}
			if all := &c.names[key].all; !slices.Contains(*all, n) {
				*all = append(*all, n)
			}
		}
	}
	for _, n := range c.names {
		n.current = current(n.all)
	}
}

// current reduces the bearers of a name, domain by domain, to those that are
// active today, else all, and to one of each lineage: its end where it bears
// the name, else the bearer that is furthest forward.
func current(all []*node) []*node {
	var out []*node
	for _, n := range all {
		from := slices.DeleteFunc(slices.Clone(all), func(o *node) bool { return o.domain() != n.domain() })
		from = prefer(from, func(o *node) bool { _, s := o.newest(); return s.active() })
		if !slices.Contains(from, n) {
			continue
		}
		first := slices.IndexFunc(n.order, func(o *node) bool { return slices.Contains(from, o) })
		if best := n.order[first]; !slices.Contains(out, best) {
			out = append(out, best)
		}
	}
	return out
}

// A wish is a hint as it decides between techniques, read once for a text.
type wish struct {
	hint    Hint
	read    bool
	parents []string // ids
	domains []string // of the tactics that are given by id
	tactics []string // short names
}

// from reads the hint, at the first name that needs it.
func (w *wish) from(c *Catalogue) {
	if w.read {
		return
	}
	w.read = true
	if w.hint.Parent != "" {
		w.parents = c.Resolve(w.hint.Parent[:min(len(w.hint.Parent), maxHint)], Hint{}).IDs
	}
	tactics := w.hint.Tactic[:min(len(w.hint.Tactic), maxHint)]
	w.tactics = c.tacticList(tactics)
	for id, end := nextTacticID(tactics, 0); id != ""; id, end = nextTacticID(tactics, end) {
		w.domains = append(w.domains, c.taDomain[id])
	}
}

// byName finds the technique that bears a folded name. Of several, parent and
// tactic of the hint decide, then Enterprise is preferred; without a decision
// it reports the candidates' number, which is 0 for an unknown name.
func (c *Catalogue) byName(folded []byte, w *wish) (*node, int) {
	who := c.names[string(folded)]
	for who == nil {
		if folded = cutPrefix(folded); folded == nil {
			return nil, 0
		}
		who = c.names[string(folded)]
	}
	if len(who.current) == 1 {
		return who.current[0], 1
	}
	w.from(c)
	left := c.narrow(who.current, w)
	if len(left) > 1 {
		left = prefer(left, func(n *node) bool { return n.domain() == Enterprise })
	}
	if len(left) == 1 {
		return left[0], 1
	}
	return nil, len(left)
}

// narrow applies the hint, as far as it leaves somebody.
func (c *Catalogue) narrow(from []*node, w *wish) []*node {
	if len(w.parents) > 0 {
		from = prefer(from, func(n *node) bool {
			return slices.ContainsFunc(n.states, func(s stated) bool {
				return s.parent != "" && slices.ContainsFunc(w.parents, func(p string) bool { return c.SameLineage(s.parent, p) })
			})
		})
	}
	if len(w.domains) > 0 {
		from = prefer(from, func(n *node) bool { return slices.Contains(w.domains, n.domain()) })
	}
	if len(w.tactics) == 0 {
		return from
	}
	return prefer(from, func(n *node) bool {
		return slices.ContainsFunc(n.states, func(s stated) bool { _, ok := own(s.tactics, w.tactics); return ok })
	})
}

// prefer keeps those that fit, or all when none does. It may give from itself.
func prefer(from []*node, fits func(*node) bool) []*node {
	var left []*node
	for i, n := range from {
		if fits(n) {
			if left == nil {
				left = make([]*node, 0, len(from)-i)
			}
			left = append(left, n)
		}
	}
	if left == nil {
		return from
	}
	return left
}

// cutPrefix takes one of the words off a folded text that tools put before a
// technique or tactic; nil when there is none, or nothing would be left.
func cutPrefix(folded []byte) []byte {
	if len(folded) == 0 || folded[0] != 'm' && folded[0] != 'a' && folded[0] != 't' {
		return nil
	}
	for _, p := range [...]string{"mitreattackpattern", "mitreattack", "mitreattck", "mitre", "attack", "attck", "technique", "tactic"} {
		if len(folded) > len(p) && bytes.HasPrefix(folded, []byte(p)) {
			return folded[len(p):]
		}
	}
	return nil
}
