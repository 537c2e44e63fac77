package detection

import (
	"fmt"
	"hash/maphash"
)

// kind is what a JSON value is.
type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

// node is one JSON value in a tree. Children are a chain in the order of the document;
// index 0 is never a child, so that 0 means "none".
type node struct {
	key   string // name within its object; empty in arrays
	text  string // decoded string, the literal of a number, "true" or "false"
	first int32  // first child
	next  int32  // next sibling
	count int32  // number of children
	kind  kind
}

// tree holds the values of one message in one slice: one allocation for a whole document,
// kept for the next message.
type tree struct {
	nodes []node
	most  *Limits
	table []int32 // scratch of dedupe
	seed  maphash.Seed

	unpacked int // bytes that came out of base64 and gzip so far
}

// smallObject is the number of members up to which comparing all pairs beats hashing.
const smallObject = 12

func newTree(most *Limits) *tree {
	t := &tree{most: most, seed: maphash.MakeSeed()}
	t.reset()
	return t
}

// reset forgets the document, so that its bytes can be collected.
func (t *tree) reset() {
	clear(t.nodes)
	t.nodes = append(t.nodes[:0], node{})
	t.unpacked = 0
}

// add appends a value and reports where it lies.
func (t *tree) add(n node) (int32, error) {
	if len(t.nodes) > t.most.Values {
		return 0, malformed(TooManyKeys, fmt.Sprintf("more than %d values", t.most.Values))
	}
	t.nodes = append(t.nodes, n)
	return int32(len(t.nodes) - 1), nil // Values is at most 1<<24
}

// child finds a member of an object by its name, exactly as written; 0 is none.
func (t *tree) child(n int32, key string) int32 {
	if t.nodes[n].kind != object {
		return 0
	}
	for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
		if t.nodes[c].key == key {
			return c
		}
	}
	return 0
}

// textOf returns what a scalar says; objects, arrays and null say nothing.
func (t *tree) textOf(n int32) string { return t.nodes[n].text }

// dedupe makes the last of several members of one name win, in the place of the first,
// as encoding/json does. It runs in linear time whatever the names.
func (t *tree) dedupe(n int32) {
	if t.nodes[n].count <= smallObject {
		t.dedupeSmall(n)
		return
	}
	size := 1
	for size < 2*int(t.nodes[n].count) {
		size *= 2
	}
	if cap(t.table) < size {
		t.table = make([]int32, size)
	}
	table := t.table[:size]
	clear(table)
	mask := uint64(size - 1) // size is at least 1
	prev := int32(0)
	for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
		at := maphash.String(t.seed, t.nodes[c].key) & mask
		for table[at] != 0 && t.nodes[table[at]].key != t.nodes[c].key {
			at = (at + 1) & mask
		}
		if table[at] != 0 {
			t.replace(n, table[at], prev, c)
			continue
		}
		table[at], prev = c, c
	}
}

func (t *tree) dedupeSmall(n int32) {
	prev := t.nodes[n].first
	if prev == 0 {
		return
	}
	for c := t.nodes[prev].next; c != 0; c = t.nodes[c].next {
		old := t.nodes[n].first
		for old != c && t.nodes[old].key != t.nodes[c].key {
			old = t.nodes[old].next
		}
		if old != c {
			t.replace(n, old, prev, c)
			continue
		}
		prev = c
	}
}

// replace gives the member old the value of its later namesake and takes that out of the chain.
func (t *tree) replace(n, old, prev, later int32) {
	value := t.nodes[later]
	t.nodes[prev].next = value.next
	value.next = t.nodes[old].next
	t.nodes[old] = value
	t.nodes[n].count--
}

// fold makes names comparable whatever the sender's taste: ASCII letters in lower case,
// without "_", "-" and spaces but at the start, so that incidentNumber, IncidentNumber and
// incident_number are one name, and _id is not id.
func fold(s string) string {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' || (c == '_' || c == '-' || c == ' ') && i > 0 {
			return foldSlow(s)
		}
	}
	return s
}

func foldSlow(s string) string { return string(foldTo(make([]byte, 0, len(s)), s)) }

// maxFoldedName is how long, in bytes, a folded name may be to need no memory of its own.
const maxFoldedName = 64

// foldTo appends what fold makes of a name.
func foldTo(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z':
			b = append(b, c+'a'-'A')
		case (c == '_' || c == '-' || c == ' ') && i > 0:
		default:
			b = append(b, c)
		}
	}
	return b
}
