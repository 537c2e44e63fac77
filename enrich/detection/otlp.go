package detection

import (
	"strconv"
	"strings"

	"forager/enrich/detection/tree"
)

// values replaces the values of OpenTelemetry's protocol (AnyValue in JSON) by what they say.
func (u *unwrapper) values(found []int32) []int32 {
	for i, n := range found {
		found[i] = u.plainValue(n)
	}
	return found
}

// plainValue is what an AnyValue says; what is none stays as it is. A list of keys and values becomes an
// object in its place: the tree is the message's own, and nothing else reads it there.
func (u *unwrapper) plainValue(n int32) int32 {
	if u.Nodes[n].Kind == tree.List {
		u.plainBytes(n)
		return n
	}
	if u.Nodes[n].Kind != tree.Object || u.Nodes[n].Count != 1 {
		if u.isPairList(n) {
			u.makeObject(n)
		}
		return n
	}
	c := u.Nodes[n].First
	switch u.Nodes[c].Key {
	case "stringValue", "intValue", "doubleValue", "boolValue", "bytesValue":
		return c
	case "kvlistValue":
		if u.isPairList(c) {
			u.makeObject(c)
			return c
		}
	case "arrayValue":
		if values := u.Child(c, "values"); values != 0 && u.Nodes[values].Kind == tree.List {
			u.plainItems(values)
			return values
		}
	}
	return n
}

// plainBytes makes a text of an array of bytes, as which journald's export and some bridges send what is not
// plain ASCII; other arrays stay as they are.
func (u *unwrapper) plainBytes(n int32) {
	if u.Nodes[n].Count < 2 {
		return
	}
	raw := make([]byte, 0, u.Nodes[n].Count)
	for c := u.Nodes[n].First; c != 0; c = u.Nodes[c].Next {
		b, err := strconv.ParseUint(u.Nodes[c].Text, 10, 8)
		if err != nil || u.Nodes[c].Kind != tree.Number {
			return
		}
		raw = append(raw, byte(b))
	}
	at := &u.Nodes[n]
	at.Kind, at.Text, at.First, at.Count = tree.Text, strings.ToValidUTF8(string(raw), "\ufffd"), 0, 0
}

// isPairList tells {"values": [{"key": …, "value": …}]} from other objects.
func (u *unwrapper) isPairList(n int32) bool {
	values := u.Child(n, "values")
	if values == 0 || u.Nodes[values].Kind != tree.List || u.Nodes[n].Count != 1 {
		return false
	}
	for c := u.Nodes[values].First; c != 0; c = u.Nodes[c].Next {
		if u.Child(c, "key") == 0 {
			return false
		}
	}
	return true
}

// makeObject turns a list of keys and values at n into the object that it means.
func (u *unwrapper) makeObject(n int32) {
	values := u.Child(n, "values")
	var last, count int32
	first := int32(0)
	for c := u.Nodes[values].First; c != 0; {
		next := u.Nodes[c].Next
		key, value := u.TextOf(u.Child(c, "key")), u.Child(c, "value")
		if value != 0 {
			said := u.Nodes[u.plainValue(value)]
			said.Key, said.Next = key, 0
			u.Nodes[c] = said
			if first == 0 {
				first = c
			} else {
				u.Nodes[last].Next = c
			}
			last = c
			count++
		}
		c = next
	}
	u.Nodes[n].First, u.Nodes[n].Count = first, count
	u.Dedupe(n)
}

// plainItems turns each value of a list into what it says.
func (u *unwrapper) plainItems(n int32) {
	for c := u.Nodes[n].First; c != 0; c = u.Nodes[c].Next {
		said := u.Nodes[u.plainValue(c)]
		said.Key, said.Next = "", u.Nodes[c].Next
		u.Nodes[c] = said
	}
}

// gelf makes an object of the members of a GELF message that are not its own: their names begin
// with "_", and here no more. 0 is none.
func (u *unwrapper) gelf(n int32) int32 {
	out, last := int32(0), int32(0)
	for c := u.Nodes[n].First; c != 0; c = u.Nodes[c].Next {
		member := u.Nodes[c]
		if len(member.Key) < 2 || member.Key[0] != '_' {
			continue
		}
		if out == 0 {
			var err error
			if out, err = u.Add(tree.Node{Kind: tree.Object}); err != nil {
				return 0
			}
		}
		member.Key, member.Next = member.Key[1:], 0
		one, err := u.Add(member)
		if err != nil {
			return 0
		}
		last = u.Append(out, last, one)
	}
	if out != 0 {
		u.Dedupe(out)
	}
	return out
}
