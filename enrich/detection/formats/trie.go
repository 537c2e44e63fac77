package formats

import (
	"cmp"
	"slices"

	"forager/enrich/detection/tree"
)

// trie is all paths of one format, walked together with the document: the cost of reading an
// event is one look-up per member below known names, however many paths there are. It is a few arrays,
// since a worker keeps one for every format; branch 0 is the event.
type trie struct {
	branches []branch
	names    []edge  // of all branches, those of one together, by length and then by name
	slots    []int32 // of all branches, those of one together
	special  []special
}

// branch is what some path leads to.
type branch struct {
	mask        uint64 // bits of its names: most names of an event are none of them
	first, last int32  // its names
	slot, end   int32  // its slots
	special     int32  // 0 is none
}

// special is what few branches have.
type special struct {
	any   int32 // the branch that "*" leads to: every member; 0 is none
	picks []pick
	// through are the slots of conditions that a flat name which goes on here satisfies ("a.b.c" for a.b).
	through []int32
	kv      bool // strings here are key=value lists
	json    bool // strings here are JSON
}

type edge struct {
	name string
	to   int32
}

type pick struct {
	*tree.Selector
	to int32
}

// shortSearch is the number of names up to which looking at each beats halving.
const shortSearch = 8

// bit is the bit of a name in a branch's mask.
func bit[T string | []byte](name T) uint64 {
	if len(name) == 0 {
		return 1
	}
	return 1 << ((uint(name[0]) ^ uint(name[len(name)-1])<<3 ^ uint(len(name))*7) % 64)
}

func compareNames(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// find is the branch that a folded name leads to from b; 0 is none.
func (t *trie) find(b *branch, name []byte) int32 {
	if b.mask&bit(name) == 0 {
		return 0
	}
	names := t.names[b.first:b.last]
	for len(names) > shortSearch {
		half := len(names) / 2
		if at := names[half].name; len(at) > len(name) || len(at) == len(name) && at > string(name) {
			names = names[:half]
		} else {
			names = names[half:]
		}
	}
	for i := range names {
		if names[i].name == string(name) {
			return names[i].to
		}
	}
	return 0
}

// sapling is a trie that still grows.
type sapling struct {
	names []string
	kids  []*sapling // beside names
	slots []int32
	any   *sapling
	special
	picked []*sapling // beside picks
}

// at returns the node for a path, made where missing.
func (t *sapling) at(steps []tree.Step) *sapling {
	for _, st := range steps {
		if t = t.kid(st.Name); st.Pick != nil {
			t = t.picking(st.Pick)
		}
	}
	return t
}

// kid returns the node for one name, made where missing.
func (t *sapling) kid(name string) *sapling {
	if name == tree.AnyName {
		if t.any == nil {
			t.any = &sapling{}
		}
		return t.any
	}
	if i := slices.Index(t.names, name); i >= 0 {
		return t.kids[i]
	}
	kid := &sapling{}
	t.names, t.kids = append(t.names, name), append(t.kids, kid)
	return kid
}

func (t *sapling) picking(s *tree.Selector) *sapling {
	for i, p := range t.picks {
		if *p.Selector == *s {
			return t.picked[i]
		}
	}
	kid := &sapling{}
	t.picks, t.picked = append(t.picks, pick{Selector: s}), append(t.picked, kid)
	return kid
}

// grown is the trie that a sapling has become.
func (t *sapling) grown() *trie {
	out := &trie{special: make([]special, 1)}
	out.take(t)
	out.branches, out.names, out.slots, out.special = exact(out.branches), exact(out.names), exact(out.slots), exact(out.special)
	return out
}

// take adds a sapling, and says where it is.
func (t *trie) take(s *sapling) int32 {
	at := int32(len(t.branches)) // a format has some hundred
	b := branch{first: int32(len(t.names)), slot: int32(len(t.slots))}
	t.slots = append(t.slots, s.slots...)
	b.end = int32(len(t.slots))
	t.branches = append(t.branches, b)
	order := make([]int, len(s.names))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return compareNames(s.names[i], s.names[j]) })
	for _, i := range order {
		t.names = append(t.names, edge{name: s.names[i]})
		b.mask |= bit(s.names[i])
	}
	b.last = int32(len(t.names))
	for i, k := range order {
		t.names[int(b.first)+i].to = t.take(s.kids[k])
	}
	if s.any != nil || len(s.picks)+len(s.through) > 0 || s.kv || s.json {
		b.special = int32(len(t.special))
		t.special = append(t.special, s.special)
		own := s.special
		if own.picks = slices.Clone(s.picks); s.any != nil {
			own.any = t.take(s.any)
		}
		for i := range own.picks {
			own.picks[i].to = t.take(s.picked[i])
		}
		t.special[b.special] = own
	}
	t.branches[at] = b
	return at
}
