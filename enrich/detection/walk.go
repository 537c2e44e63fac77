package detection

import "strings"

// hit is one value found for a slot; the hits of a slot are a chain.
type hit struct{ node, next int32 }

// hits are the values found for every slot of a format, in the order of the document.
type hits struct {
	tree *tree
	trie *trie
	all  []hit
	head []int32 // by slot; 0 is none
	tail []int32
}

func (h *hits) reset(t *tree, of *trie, slots int) {
	h.tree, h.trie, h.all = t, of, append(h.all[:0], hit{})
	if cap(h.head) < slots {
		h.head, h.tail = make([]int32, slots), make([]int32, slots)
	}
	h.head, h.tail = h.head[:slots], h.tail[:slots]
	clear(h.head)
	clear(h.tail)
}

func (h *hits) add(slot, n int32) {
	at := int32(len(h.all)) // bounded by Limits.Values times the slots of one path
	h.all = append(h.all, hit{node: n})
	if h.head[slot] == 0 {
		h.head[slot] = at
	} else {
		h.all[h.tail[slot]].next = at
	}
	h.tail[slot] = at
}

// visit collects what the paths below a branch lead to at and below n.
func (h *hits) visit(at, n int32) error { return h.look(at, n, false) }

// look is visit; what is read already holds no strings to be read.
func (h *hits) look(at, n int32, read bool) error {
	b := &h.trie.branches[at]
	switch nd := &h.tree.nodes[n]; nd.kind {
	case list:
		for c := nd.first; c != 0; c = h.tree.nodes[c].next {
			if err := h.look(at, c, read); err != nil {
				return err
			}
		}
		return nil
	case null:
		return nil
	case text:
		if s := &h.trie.special[b.special]; !read && (s.json || s.kv) {
			return h.inner(at, n)
		}
	}
	h.found(b, n)
	if h.tree.nodes[n].kind != object {
		return nil
	}
	return h.members(b, n)
}

// found notes n for every slot of a branch.
func (h *hits) found(b *branch, n int32) {
	for _, slot := range h.trie.slots[b.slot:b.end] {
		h.add(slot, n)
	}
}

func (h *hits) members(b *branch, n int32) error {
	s := &h.trie.special[b.special]
	if b.mask != 0 || s.any != 0 {
		for c := h.tree.nodes[n].first; c != 0; c = h.tree.nodes[c].next {
			if err := h.member(b, h.tree.nodes[c].key, c); err != nil {
				return err
			}
		}
	}
	for _, p := range s.picks {
		if h.tree.picks(n, p.selector) {
			if err := h.visit(p.to, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hits) member(b *branch, name string, c int32) error {
	step, rest, flat := strings.Cut(name, ".")
	var room [maxFoldedName]byte
	for _, at := range [...]int32{h.trie.find(b, foldTo(room[:0], step)), h.trie.special[b.special].any} {
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
			if err := h.visit(at, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// inner reads a string that holds JSON or key=value pairs, and goes on in what it says.
// A string that does not parse is the text that it is.
func (h *hits) inner(at, n int32) error {
	b := &h.trie.branches[at]
	how := &h.trie.special[b.special]
	src := strings.TrimSpace(h.tree.textOf(n))
	var root int32
	var err error
	switch {
	case how.json && src != "" && (src[0] == '{' || src[0] == '['):
		root, err = h.tree.parse(src)
	case how.kv:
		root, err = h.tree.parsePairs(src)
	}
	if err != nil && !isReason(err, InvalidJSON) {
		return err
	}
	if root == 0 || err != nil {
		h.found(b, n)
		return nil //nolint:nilerr // a text that is neither is the text that it is
	}
	if !how.kv { // conditions are to see what the string says, too
		at := &h.tree.nodes[n]
		parsed := h.tree.nodes[root]
		at.kind, at.text, at.first, at.count = parsed.kind, "", parsed.first, parsed.count
	}
	return h.look(at, root, true)
}
