package detection

import (
	"strconv"
	"strings"
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
	if u.nodes[n].kind == list {
		u.plainBytes(n)
		return n
	}
	if u.nodes[n].kind != object || u.nodes[n].count != 1 {
		if u.isPairList(n) {
			u.makeObject(n)
		}
		return n
	}
	c := u.nodes[n].first
	switch u.nodes[c].key {
	case "stringValue", "intValue", "doubleValue", "boolValue", "bytesValue":
		return c
	case "kvlistValue":
		if u.isPairList(c) {
			u.makeObject(c)
			return c
		}
	case "arrayValue":
		if values := u.child(c, "values"); values != 0 && u.nodes[values].kind == list {
			u.plainItems(values)
			return values
		}
	}
	return n
}

// plainBytes makes a text of an array of bytes, as which journald's export and some bridges send what is not
// plain ASCII; other arrays stay as they are.
func (u *unwrapper) plainBytes(n int32) {
	if u.nodes[n].count < 2 {
		return
	}
	raw := make([]byte, 0, u.nodes[n].count)
	for c := u.nodes[n].first; c != 0; c = u.nodes[c].next {
		b, err := strconv.ParseUint(u.nodes[c].text, 10, 8)
		if err != nil || u.nodes[c].kind != number {
			return
		}
		raw = append(raw, byte(b))
	}
	at := &u.nodes[n]
	at.kind, at.text, at.first, at.count = text, strings.ToValidUTF8(string(raw), "\ufffd"), 0, 0
}

// isPairList tells {"values": [{"key": …, "value": …}]} from other objects.
func (u *unwrapper) isPairList(n int32) bool {
	values := u.child(n, "values")
	if values == 0 || u.nodes[values].kind != list || u.nodes[n].count != 1 {
		return false
	}
	for c := u.nodes[values].first; c != 0; c = u.nodes[c].next {
		if u.child(c, "key") == 0 {
			return false
		}
	}
	return true
}

// makeObject turns a list of keys and values at n into the object that it means.
func (u *unwrapper) makeObject(n int32) {
	values := u.child(n, "values")
	var last, count int32
	first := int32(0)
	for c := u.nodes[values].first; c != 0; {
		next := u.nodes[c].next
		key, value := u.textOf(u.child(c, "key")), u.child(c, "value")
		if value != 0 {
			said := u.nodes[u.plainValue(value)]
			said.key, said.next = key, 0
			u.nodes[c] = said
			if first == 0 {
				first = c
			} else {
				u.nodes[last].next = c
			}
			last = c
			count++
		}
		c = next
	}
	u.nodes[n].first, u.nodes[n].count = first, count
	u.dedupe(n)
}

// plainItems turns each value of a list into what it says.
func (u *unwrapper) plainItems(n int32) {
	for c := u.nodes[n].first; c != 0; c = u.nodes[c].next {
		said := u.nodes[u.plainValue(c)]
		said.key, said.next = "", u.nodes[c].next
		u.nodes[c] = said
	}
}

// gelf makes an object of the members of a GELF message that are not its own: their names begin
// with "_", and here no more. 0 is none.
func (u *unwrapper) gelf(n int32) int32 {
	out, last := int32(0), int32(0)
	for c := u.nodes[n].first; c != 0; c = u.nodes[c].next {
		member := u.nodes[c]
		if len(member.key) < 2 || member.key[0] != '_' {
			continue
		}
		if out == 0 {
			var err error
			if out, err = u.add(node{kind: object}); err != nil {
				return 0
			}
		}
		member.key, member.next = member.key[1:], 0
		one, err := u.add(member)
		if err != nil {
			return 0
		}
		s := scanner{tree: u.tree}
		last = s.append(out, last, one)
	}
	if out != 0 {
		u.dedupe(out)
	}
	return out
}
