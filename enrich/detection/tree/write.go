package tree

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Hidden tells whether a member is left out of what is written: by the names on the way to its object, joined with
// dots, its own name, and the value.
type Hidden func(way, name string, n int32) bool

// LeftOut stands in the place of a value that is left out.
const LeftOut = "(left out)"

// Indented writes the value at n as JSON in lines, two spaces deeper for each object and array, members in the order
// of the document, numbers as sent; the value of a hidden member is [LeftOut]. Writing ends in the line in which it
// reaches most bytes; whole tells whether all is there.
func (t *Tree) Indented(n int32, most int, hide Hidden) (text string, whole bool) {
	w := indenter{Tree: t, most: most, hide: hide}
	w.value(n, "", "\n")
	return w.String(), !w.full()
}

// indenter writes JSON in lines.
type indenter struct {
	*Tree
	strings.Builder

	most int
	hide Hidden
}

func (w *indenter) full() bool { return w.Len() >= w.most }

// value writes one value; lines begin with newline.
func (w *indenter) value(n int32, way, newline string) {
	switch nd := &w.Nodes[n]; nd.Kind {
	case Text:
		w.text(nd.Text)
	case Null:
		w.WriteString("null")
	case Number, Boolean:
		w.WriteString(nd.Text)
	case List:
		w.members(n, way, newline, "[", "]")
	case Object:
		w.members(n, way, newline, "{", "}")
	}
}

// members writes what an object or array holds, as long as there is room.
func (w *indenter) members(n int32, way, newline, opens, closes string) {
	w.WriteString(opens)
	deeper := newline + "  "
	for c := w.Nodes[n].First; c != 0 && !w.full(); c = w.Nodes[c].Next {
		w.WriteString(deeper)
		inner := way
		if w.Nodes[n].Kind == Object {
			w.text(w.Nodes[c].Key)
			w.WriteString(": ")
			inner = Way(way, w.Nodes[c].Key)
		}
		if w.Nodes[n].Kind == Object && w.hide != nil && w.hide(way, w.Nodes[c].Key, c) {
			w.text(LeftOut)
		} else {
			w.value(c, inner, deeper)
		}
		if w.Nodes[c].Next != 0 {
			w.WriteByte(',')
		}
	}
	if w.full() {
		return
	}
	if w.Nodes[n].First != 0 {
		w.WriteString(newline)
	}
	w.WriteString(closes)
}

// Way is the way to a member: names joined with dots.
func Way(way, name string) string {
	if way == "" {
		return name
	}
	return way + "." + name
}

// text writes a JSON string, as much of it as there is room for.
func (w *indenter) text(s string) {
	w.WriteByte('"')
	for i := 0; i < len(s); {
		if w.full() {
			w.WriteString("…")
			return
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			w.WriteByte('\\')
			w.WriteRune(r)
		case r == '\n':
			w.WriteString(`\n`)
		case r == '\r':
			w.WriteString(`\r`)
		case r == '\t':
			w.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			w.WriteString(`\u00`)
			w.WriteString(strconv.FormatInt(int64(r)+0x100, 16)[1:])
		default:
			w.WriteString(s[i : i+size])
		}
		i += size
	}
	w.WriteByte('"')
}

// Flat gives the scalars at and below n by the names on the way to them, joined with dots, as written: a text, a
// whole number as int64, another number as float64, true or false; of arrays, and of names that meet, a list of these. Of hidden
// members, and beyond most scalars, there are none.
func (t *Tree) Flat(n int32, most int, hide Hidden) map[string]any {
	out := map[string]any{}
	t.flatten(n, "", &most, hide, out)
	return out
}

func (t *Tree) flatten(n int32, way string, left *int, hide Hidden, out map[string]any) {
	switch nd := &t.Nodes[n]; nd.Kind {
	case Object:
		for c := nd.First; c != 0; c = t.Nodes[c].Next {
			if hide == nil || !hide(way, t.Nodes[c].Key, c) {
				t.flatten(c, Way(way, t.Nodes[c].Key), left, hide, out)
			}
		}
	case List:
		if _, there := out[way]; !there {
			out[way] = []any{} // a list stays one, however few it holds
		}
		for c := nd.First; c != 0; c = t.Nodes[c].Next {
			t.flatten(c, way, left, hide, out)
		}
		if all, ok := out[way].([]any); ok && len(all) == 0 {
			delete(out, way)
		}
	case Null:
	case Text, Number, Boolean:
		if *left--; *left < 0 {
			return
		}
		switch there := out[way].(type) {
		case nil:
			out[way] = scalar(nd)
		case []any:
			out[way] = append(there, scalar(nd))
		default:
			out[way] = []any{there, scalar(nd)}
		}
	}
}

// scalar is a value that holds no others.
func scalar(nd *Node) any {
	switch nd.Kind {
	case Boolean:
		return nd.Text == "true"
	case Number:
		if n, err := strconv.ParseInt(nd.Text, 10, 64); err == nil {
			return n
		}
		if f, err := strconv.ParseFloat(nd.Text, 64); err == nil {
			return f
		}
	case Null, Text, List, Object:
	}
	return nd.Text
}
