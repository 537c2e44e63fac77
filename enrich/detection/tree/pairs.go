package tree

import (
	"fmt"
	"strings"

	"forager/enrich/detection/malformed"
)

// ParsePairs reads `k="v", k=v` onto a tree, as Splunk writes events to an index: names repeat,
// each time with one more value; what stands before the first name is nobody's.
func (t *Tree) ParsePairs(src string) (int32, error) {
	root, err := t.Add(Node{Kind: Object})
	if err != nil {
		return 0, err
	}
	s := scanner{Tree: t, src: src}
	last := int32(0)
	for {
		name, value, ok := s.pair()
		if !ok {
			break
		}
		n, err := t.Add(Node{Kind: Text, Key: name, Text: value})
		if err != nil {
			return 0, err
		}
		last = s.Append(root, last, n)
		if int(t.Nodes[root].Count) > t.most.Keys {
			return 0, malformed.New(malformed.TooManyKeys, fmt.Sprintf("more than %d pairs", t.most.Keys))
		}
	}
	if last == 0 {
		return 0, malformed.New(malformed.InvalidJSON, "no pairs")
	}
	return root, nil
}

// pair reads the next name and value.
func (s *scanner) pair() (name, value string, ok bool) {
	for {
		equals := strings.IndexByte(s.src[s.pos:], '=')
		if equals < 0 {
			return "", "", false
		}
		before := s.src[s.pos : s.pos+equals]
		s.pos += equals + 1
		name = before[strings.LastIndexAny(before, ", \t\r\n\"")+1:]
		if name != "" {
			return name, s.pairValue(), true
		}
	}
}

// pairValue reads a value: quoted, with backslashes before quotes, or up to a comma or space.
func (s *scanner) pairValue() string {
	rest := s.src[s.pos:]
	if !strings.HasPrefix(rest, `"`) {
		end := strings.IndexAny(rest, ", \t\r\n")
		if end < 0 {
			end = len(rest)
		}
		s.pos += end
		return rest[:end]
	}
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			s.pos += i + 1
			return strings.ReplaceAll(rest[1:i], `\"`, `"`)
		}
	}
	s.pos = len(s.src)
	return rest[1:]
}
