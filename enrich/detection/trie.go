package detection

import "strings"

// trie is all paths of one format, walked together with the document: the cost of reading an
// event is one look-up per member below known names, however many paths there are.
type trie struct {
	kids  map[string]*trie
	any   *trie // what "*" leads to: every member
	picks []pick
	slots []int32
	// through are the slots of conditions that a flat name which goes on here satisfies ("a.b.c" for a.b).
	through []int32
	kv      bool // strings here are key=value lists
	json    bool // strings here are JSON
}

type pick struct {
	key, value string
	kid        *trie
}

// at returns the node for a path, made where missing.
func (t *trie) at(steps []step) *trie {
	for _, st := range steps {
		if t = t.kid(st.name); st.key != "" {
			t = t.picking(st.key, st.value)
		}
	}
	return t
}

// kid returns the node for one name, made where missing.
func (t *trie) kid(name string) *trie {
	if name == anyName {
		if t.any == nil {
			t.any = &trie{}
		}
		return t.any
	}
	if t.kids == nil {
		t.kids = map[string]*trie{}
	}
	if t.kids[name] == nil {
		t.kids[name] = &trie{}
	}
	return t.kids[name]
}

func (t *trie) picking(key, value string) *trie {
	for _, p := range t.picks {
		if p.key == key && p.value == value {
			return p.kid
		}
	}
	kid := &trie{}
	t.picks = append(t.picks, pick{key: key, value: value, kid: kid})
	return kid
}

// hit is one value found for a slot; the hits of a slot are a chain.
type hit struct{ node, next int32 }

// hits are the values found for every slot of a format, in the order of the document.
type hits struct {
	tree *tree
	all  []hit
	head []int32 // by slot; 0 is none
	tail []int32
}

func (h *hits) reset(t *tree, slots int) {
	h.tree, h.all = t, append(h.all[:0], hit{})
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

// visit collects what the paths of t lead to at and below n.
func (h *hits) visit(t *trie, n int32) error {
	switch nd := &h.tree.nodes[n]; nd.kind {
	case list:
		for c := nd.first; c != 0; c = h.tree.nodes[c].next {
			if err := h.visit(t, c); err != nil {
				return err
			}
		}
		return nil
	case null:
		return nil
	case text:
		if t.json || t.kv {
			return h.inner(t, n)
		}
	}
	for _, slot := range t.slots {
		h.add(slot, n)
	}
	if h.tree.nodes[n].kind != object {
		return nil
	}
	return h.members(t, n)
}

func (h *hits) members(t *trie, n int32) error {
	if t.kids != nil || t.any != nil {
		for c := h.tree.nodes[n].first; c != 0; c = h.tree.nodes[c].next {
			if err := h.member(t, h.tree.nodes[c].key, c); err != nil {
				return err
			}
		}
	}
	for _, p := range t.picks {
		if h.tree.picks(n, p.key, p.value) {
			if err := h.visit(p.kid, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hits) member(t *trie, name string, c int32) error {
	step, rest, flat := strings.Cut(name, ".")
	for _, kid := range [...]*trie{t.kids[fold(step)], t.any} {
		switch {
		case kid == nil:
		case flat:
			for _, slot := range kid.through {
				h.add(slot, c)
			}
			if err := h.member(kid, rest, c); err != nil {
				return err
			}
		default:
			if err := h.visit(kid, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// inner reads a string that holds JSON or key=value pairs, and goes on in what it says.
// A string that does not parse is the text that it is.
func (h *hits) inner(t *trie, n int32) error {
	plain := trie{kids: t.kids, any: t.any, picks: t.picks, slots: t.slots, through: t.through}
	src := strings.TrimSpace(h.tree.textOf(n))
	var root int32
	var err error
	switch {
	case t.json && src != "" && (src[0] == '{' || src[0] == '['):
		root, err = h.tree.parse(src)
	case t.kv:
		root, err = h.tree.parsePairs(src)
	}
	if err != nil && !isReason(err, InvalidJSON) {
		return err
	}
	if root == 0 || err != nil {
		for _, slot := range t.slots {
			h.add(slot, n)
		}
		return nil
	}
	if !t.kv { // conditions are to see what the string says, too
		at := &h.tree.nodes[n]
		parsed := h.tree.nodes[root]
		at.kind, at.text, at.first, at.count = parsed.kind, "", parsed.first, parsed.count
	}
	return h.visit(&plain, root)
}
