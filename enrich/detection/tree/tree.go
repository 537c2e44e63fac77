package tree

import (
	"encoding/json"
	"fmt"
	"hash/maphash"

	"forager/enrich/detection/malformed"
)

// Kind is what a JSON value is.
type Kind uint8

// The kinds of JSON values: those that say nothing to a reader of fields before [Text], those that hold others from [List] on.
const (
	Null Kind = iota
	Boolean
	Number
	Text
	List
	Object
)

// Node is one JSON value in a tree. Children are a chain in the order of the document;
// index 0 is never a child, so that 0 means "none".
type Node struct {
	Key   string // name within its object; empty in arrays
	Text  string // decoded string, the literal of a number, "true" or "false"
	First int32  // first child
	Next  int32  // next sibling
	Count int32  // number of children
	Kind  Kind
}

// Tree holds the values of one message in one slice: one allocation for a whole document,
// kept for the next message.
type Tree struct {
	Nodes []Node
	most  Limits
	table []int32 // scratch of dedupe
	seed  maphash.Seed
}

// Limits bound what a tree takes; none of them is zero.
type Limits struct {
	Depth  int // objects and arrays in one another
	Keys   int // members of one object
	Array  int // values of one array
	Values int // of all documents on the tree, at most 1<<24
	Number int // characters of one number
}

// smallObject is the number of members up to which comparing all pairs beats hashing.
const smallObject = 12

// New makes an empty tree.
func New(most Limits) *Tree {
	t := &Tree{most: most, seed: maphash.MakeSeed()}
	t.Reset()
	return t
}

// Reset forgets the document, so that its bytes can be collected.
func (t *Tree) Reset() {
	clear(t.Nodes)
	t.Nodes = append(t.Nodes[:0], Node{})
}

// Add appends a value and reports where it lies.
func (t *Tree) Add(n Node) (int32, error) {
	if len(t.Nodes) > t.most.Values {
		return 0, malformed.New(malformed.TooManyKeys, fmt.Sprintf("more than %d values", t.most.Values))
	}
	t.Nodes = append(t.Nodes, n)
	return int32(len(t.Nodes) - 1), nil // Values is at most 1<<24
}

// Child finds a member of an object by its name, exactly as written; 0 is none.
func (t *Tree) Child(n int32, key string) int32 {
	if t.Nodes[n].Kind != Object {
		return 0
	}
	for c := t.Nodes[n].First; c != 0; c = t.Nodes[c].Next {
		if t.Nodes[c].Key == key {
			return c
		}
	}
	return 0
}

// Append chains a child behind the last one of its parent, 0 where there is none yet, and returns it as the new last one.
func (t *Tree) Append(parent, last, child int32) int32 {
	if last == 0 {
		t.Nodes[parent].First = child
	} else {
		t.Nodes[last].Next = child
	}
	t.Nodes[parent].Count++
	return child
}

// TextOf returns what a scalar says; objects, arrays and null say nothing.
func (t *Tree) TextOf(n int32) string { return t.Nodes[n].Text }

// Any is the value at n as encoding/json has it, numbers as json.Number.
func (t *Tree) Any(n int32) any {
	switch nd := t.Nodes[n]; nd.Kind {
	case Text:
		return nd.Text
	case Number:
		return json.Number(nd.Text)
	case Boolean:
		return nd.Text == "true"
	case List:
		out := []any{}
		for c := nd.First; c != 0; c = t.Nodes[c].Next {
			out = append(out, t.Any(c))
		}
		return out
	case Object:
		out := map[string]any{}
		for c := nd.First; c != 0; c = t.Nodes[c].Next {
			out[t.Nodes[c].Key] = t.Any(c)
		}
		return out
	}
	return nil
}

// Dedupe makes the last of several members of one name win, in the place of the first,
// as encoding/json does. It runs in linear time whatever the names.
func (t *Tree) Dedupe(n int32) {
	if t.Nodes[n].Count <= smallObject {
		t.dedupeSmall(n)
		return
	}
	size := 1
	for size < 2*int(t.Nodes[n].Count) {
		size *= 2
	}
	if cap(t.table) < size {
		t.table = make([]int32, size)
	}
	table := t.table[:size]
	clear(table)
	mask := uint64(size - 1) // size is at least 1
	prev := int32(0)
	for c := t.Nodes[n].First; c != 0; c = t.Nodes[c].Next {
		at := maphash.String(t.seed, t.Nodes[c].Key) & mask
		for table[at] != 0 && t.Nodes[table[at]].Key != t.Nodes[c].Key {
			at = (at + 1) & mask
		}
		if table[at] != 0 {
			t.replace(n, table[at], prev, c)
			continue
		}
		table[at], prev = c, c
	}
}

func (t *Tree) dedupeSmall(n int32) {
	prev := t.Nodes[n].First
	if prev == 0 {
		return
	}
	for c := t.Nodes[prev].Next; c != 0; c = t.Nodes[c].Next {
		old := t.Nodes[n].First
		for old != c && t.Nodes[old].Key != t.Nodes[c].Key {
			old = t.Nodes[old].Next
		}
		if old != c {
			t.replace(n, old, prev, c)
			continue
		}
		prev = c
	}
}

// replace gives the member old the value of its later namesake and takes that out of the chain.
func (t *Tree) replace(n, old, prev, later int32) {
	value := t.Nodes[later]
	t.Nodes[prev].Next = value.Next
	value.Next = t.Nodes[old].Next
	t.Nodes[old] = value
	t.Nodes[n].Count--
}

// Fold makes names comparable whatever the sender's taste: ASCII letters in lower case,
// without "_", "-" and spaces but at the start, so that incidentNumber, IncidentNumber and
// incident_number are one name, and _id is not id.
func Fold(s string) string {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' || (c == '_' || c == '-' || c == ' ') && i > 0 {
			return foldSlow(s)
		}
	}
	return s
}

func foldSlow(s string) string { return string(FoldTo(make([]byte, 0, len(s)), s)) }

// FoldsTo tells whether a name becomes this when it is folded. It needs no memory, and of most names it looks at the first letter.
func FoldsTo(name, folded string) bool {
	at := 0
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case (c == '_' || c == '-' || c == ' ') && i > 0:
			continue
		}
		if at == len(folded) || folded[at] != c {
			return false
		}
		at++
	}
	return at == len(folded)
}

// MaxFoldedName is how long, in bytes, a folded name may be to need no memory of its own.
const MaxFoldedName = 64

// FoldTo appends what fold makes of a name.
func FoldTo(b []byte, s string) []byte {
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
