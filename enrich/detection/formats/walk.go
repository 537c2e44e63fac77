package formats

import (
	"strings"

	"forager/enrich/detection/malformed"
	"forager/enrich/detection/tree"
)

// hit is one value found for a slot; the hits of a slot are a chain.
type hit struct{ node, next int32 }

// Hits holds the values found for every slot of a format, in the order of the document.
type Hits struct {
	tree *tree.Tree
	trie *trie
	all  []hit
	head []int32 // by slot; 0 is none
	tail []int32
}

// Reset forgets all, for an event on another tree and of another format.
func (h *Hits) Reset(t *tree.Tree, f *Format) {
	slots := f.slots
	h.tree, h.trie, h.all = t, f.trie, append(h.all[:0], hit{})
	if cap(h.head) < slots {
		h.head, h.tail = make([]int32, slots), make([]int32, slots)
	}
	h.head, h.tail = h.head[:slots], h.tail[:slots]
	clear(h.head)
	clear(h.tail)
}

func (h *Hits) add(slot, n int32) {
	at := int32(len(h.all)) // bounded by Limits.Values times the slots of one path
	h.all = append(h.all, hit{node: n})
	if h.head[slot] == 0 {
		h.head[slot] = at
	} else {
		h.all[h.tail[slot]].next = at
	}
	h.tail[slot] = at
}

// Each yields the values found for a path, in the order of the document. It returns false when yield did.
func (h *Hits) Each(p *Path, yield func(int32) bool) bool {
	for at := h.head[p.slot]; at != 0; at = h.all[at].next {
		if !yield(h.all[at].node) {
			return false
		}
	}
	return true
}

// None tells quickly that nothing was found for a path, as it is for most paths of most events.
func (h *Hits) None(p *Path) bool { return h.head[p.slot] == 0 }

// Met tells whether a condition holds for the event at n, by what the walk has found.
func (h *Hits) Met(n int32, c *Condition) bool {
	if c.Type == "array" || c.Type == "object" {
		return c.passes(h.tree, n) // of what holds others, the walk keeps no note
	}
	for i := range c.Path {
		for at := h.head[c.Path[i].slot]; at != 0; at = h.all[at].next {
			if c.valuePasses(&h.tree.Nodes[h.all[at].node]) {
				return true
			}
		}
	}
	return false
}

// Visit collects what the paths below a branch lead to at and below n.
func (h *Hits) Visit(at, n int32) error { return h.look(at, n, false) }

// look is visit; what is read already holds no strings to be read.
func (h *Hits) look(at, n int32, read bool) error {
	b := &h.trie.branches[at]
	switch nd := &h.tree.Nodes[n]; nd.Kind {
	case tree.List:
		for c := nd.First; c != 0; c = h.tree.Nodes[c].Next {
			if err := h.look(at, c, read); err != nil {
				return err
			}
		}
		return nil
	case tree.Null:
		return nil
	case tree.Text:
		if s := &h.trie.special[b.special]; !read && (s.json || s.kv) {
			return h.inner(at, n)
		}
	}
	h.found(b, n)
	if h.tree.Nodes[n].Kind != tree.Object {
		return nil
	}
	return h.members(b, n)
}

// found notes n for every slot of a branch.
func (h *Hits) found(b *branch, n int32) {
	for _, slot := range h.trie.slots[b.slot:b.end] {
		h.add(slot, n)
	}
}

func (h *Hits) members(b *branch, n int32) error {
	s := &h.trie.special[b.special]
	if b.mask != 0 || s.any != 0 {
		for c := h.tree.Nodes[n].First; c != 0; c = h.tree.Nodes[c].Next {
			if err := h.member(b, h.tree.Nodes[c].Key, c); err != nil {
				return err
			}
		}
	}
	for _, p := range s.picks {
		if h.tree.Picks(n, p.Selector) {
			if err := h.Visit(p.to, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *Hits) member(b *branch, name string, c int32) error {
	step, rest, flat := strings.Cut(name, ".")
	var room [tree.MaxFoldedName]byte
	for _, at := range [...]int32{h.trie.find(b, tree.FoldTo(room[:0], step)), h.trie.special[b.special].any} {
		switch {
		case at == 0:
		case flat:
			kid := &h.trie.branches[at]
			for _, slot := range h.trie.special[kid.special].through {
				h.add(slot, c)
			}
			if err := h.member(kid, rest, c); err != nil {
				return err
			}
		default:
			if err := h.Visit(at, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// inner reads a string that holds JSON or key=value pairs, and goes on in what it says.
// A string that does not parse is the text that it is.
func (h *Hits) inner(at, n int32) error {
	b := &h.trie.branches[at]
	how := &h.trie.special[b.special]
	src := strings.TrimSpace(h.tree.TextOf(n))
	var root int32
	var err error
	switch {
	case how.json && src != "" && (src[0] == '{' || src[0] == '['):
		root, err = h.tree.Parse(src)
	case how.kv:
		root, err = h.tree.ParsePairs(src)
	}
	if err != nil && !malformed.Is(err, malformed.InvalidJSON) {
		return err
	}
	if root == 0 || err != nil {
		h.found(b, n)
		return nil //nolint:nilerr // a text that is neither is the text that it is
	}
	if !how.kv { // conditions are to see what the string says, too
		at := &h.tree.Nodes[n]
		parsed := h.tree.Nodes[root]
		at.Kind, at.Text, at.First, at.Count = parsed.Kind, "", parsed.First, parsed.Count
	}
	return h.look(at, root, true)
}
