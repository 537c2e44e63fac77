package tree

import (
	"fmt"
	"strings"

	"forager/enrich/detection/malformed"
)

// scanner reads JSON (RFC 8259) onto a tree, within limits, and keeps numbers as written.
type scanner struct {
	*Tree
	src string
	pos int
}

// Parse reads one JSON value that fills all of src, and reports its place in the tree.
func (t *Tree) Parse(src string) (int32, error) {
	s := scanner{Tree: t, src: src}
	n, err := s.value(0)
	if err != nil {
		return 0, err
	}
	if s.space(); s.pos != len(s.src) {
		return 0, s.broken("something follows the value")
	}
	return n, nil
}

// ParseAll reads one or more JSON values one after the other (NDJSON) as one array;
// a single value stays what it is.
func (t *Tree) ParseAll(src string) (int32, error) {
	s := scanner{Tree: t, src: src}
	root, err := s.value(0)
	if err != nil {
		return 0, err
	}
	if s.space(); s.pos == len(s.src) {
		return root, nil
	}
	if k := t.Nodes[root].Kind; k != Object && k != List {
		return 0, s.broken("something follows the value")
	}
	all, err := t.Add(Node{Kind: List, First: root, Count: 1})
	if err != nil {
		return 0, err
	}
	for last := root; s.pos < len(s.src); s.space() {
		next, err := s.value(0)
		if err != nil {
			return 0, err
		}
		t.Nodes[last].Next, last = next, next
		if t.Nodes[all].Count++; int(t.Nodes[all].Count) > t.most.Array {
			return 0, malformed.New(malformed.TooManyKeys, fmt.Sprintf("more than %d values in a row", t.most.Array))
		}
	}
	return all, nil
}

func (s *scanner) broken(why string) error {
	return malformed.New(malformed.InvalidJSON, fmt.Sprintf("%s at byte %d", why, s.pos))
}

func (s *scanner) space() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\n', '\r', '\t':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value(depth int) (int32, error) {
	s.space()
	if s.pos == len(s.src) {
		return 0, s.broken("the document ends early")
	}
	switch c := s.src[s.pos]; {
	case c == '"':
		v, err := s.quoted()
		if err != nil {
			return 0, err
		}
		return s.Add(Node{Kind: Text, Text: v})
	case c == '{' || c == '[':
		if depth >= s.most.Depth {
			return 0, malformed.New(malformed.TooDeep, fmt.Sprintf("nested deeper than %d at byte %d", s.most.Depth, s.pos))
		}
		if c == '{' {
			return s.object(depth)
		}
		return s.array(depth)
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	default:
		return s.word()
	}
}

func (s *scanner) word() (int32, error) {
	rest := s.src[s.pos:]
	switch {
	case strings.HasPrefix(rest, "null"):
		s.pos += len("null")
		return s.Add(Node{Kind: Null})
	case strings.HasPrefix(rest, "true"):
		s.pos += len("true")
		return s.Add(Node{Kind: Boolean, Text: "true"})
	case strings.HasPrefix(rest, "false"):
		s.pos += len("false")
		return s.Add(Node{Kind: Boolean, Text: "false"})
	}
	return 0, s.broken("no JSON value")
}

func (s *scanner) object(depth int) (int32, error) {
	n, err := s.Add(Node{Kind: Object})
	if err != nil {
		return 0, err
	}
	s.pos++ // {
	last := int32(0)
	for {
		if s.closes('}') {
			if last == 0 {
				return n, nil
			}
			return 0, s.broken("a comma without a member")
		}
		if s.pos == len(s.src) || s.src[s.pos] != '"' {
			return 0, s.broken("no member name")
		}
		key, err := s.quoted()
		if err != nil {
			return 0, err
		}
		if s.space(); s.pos == len(s.src) || s.src[s.pos] != ':' {
			return 0, s.broken("no colon after a member name")
		}
		s.pos++
		c, err := s.value(depth + 1)
		if err != nil {
			return 0, err
		}
		s.Nodes[c].Key = key
		last = s.Append(n, last, c)
		if int(s.Nodes[n].Count) > s.most.Keys {
			return 0, malformed.New(malformed.TooManyKeys, fmt.Sprintf("an object of more than %d members", s.most.Keys))
		}
		if more, err := s.more('}'); err != nil || !more {
			s.Dedupe(n)
			return n, err
		}
	}
}

func (s *scanner) array(depth int) (int32, error) {
	n, err := s.Add(Node{Kind: List})
	if err != nil {
		return 0, err
	}
	s.pos++ // [
	last := int32(0)
	if s.closes(']') {
		return n, nil
	}
	for {
		c, err := s.value(depth + 1)
		if err != nil {
			return 0, err
		}
		last = s.Append(n, last, c)
		if int(s.Nodes[n].Count) > s.most.Array {
			return 0, malformed.New(malformed.TooManyKeys, fmt.Sprintf("an array of more than %d values", s.most.Array))
		}
		if more, err := s.more(']'); err != nil || !more {
			return n, err
		}
	}
}

// closes consumes the closing bracket if it comes next.
func (s *scanner) closes(bracket byte) bool {
	if s.space(); s.pos < len(s.src) && s.src[s.pos] == bracket {
		s.pos++
		return true
	}
	return false
}

// more consumes a comma (true) or the closing bracket (false).
func (s *scanner) more(bracket byte) (bool, error) {
	if s.closes(bracket) {
		return false, nil
	}
	if s.pos < len(s.src) && s.src[s.pos] == ',' {
		s.pos++
		s.space()
		return true, nil
	}
	return false, s.broken("no comma and no closing bracket")
}

// number checks the grammar of a number and keeps its literal: nothing is rounded, nothing grows.
func (s *scanner) number() (int32, error) {
	start := s.pos
	if s.src[s.pos] == '-' {
		s.pos++
	}
	whole := s.digits()
	if whole == 0 || whole > 1 && s.src[s.pos-whole] == '0' {
		return 0, s.broken("no number")
	}
	if s.pos < len(s.src) && s.src[s.pos] == '.' {
		s.pos++
		if s.digits() == 0 {
			return 0, s.broken("no digit after the point")
		}
	}
	if s.pos < len(s.src) && (s.src[s.pos] == 'e' || s.src[s.pos] == 'E') {
		s.pos++
		if s.pos < len(s.src) && (s.src[s.pos] == '+' || s.src[s.pos] == '-') {
			s.pos++
		}
		if s.digits() == 0 {
			return 0, s.broken("no digit in the exponent")
		}
	}
	if s.pos-start > s.most.Number {
		return 0, malformed.New(malformed.InvalidJSON, fmt.Sprintf("a number of more than %d characters", s.most.Number))
	}
	return s.Add(Node{Kind: Number, Text: s.src[start:s.pos]})
}

func (s *scanner) digits() int {
	start := s.pos
	for s.pos < len(s.src) && '0' <= s.src[s.pos] && s.src[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - start
}
