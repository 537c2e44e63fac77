package detection

import (
	"bytes"
	"strings"
)

// plainText makes a text of each line of a body that is no JSON; err where no line is one that is read.
// What begins as JSON and goes on as none stays broken.
func (u *unwrapper) plainText(body []byte, err error) (int32, error) {
	src := strings.TrimSpace(string(body))
	if src == "" || src[0] == '{' || src[0] == '[' || src[0] == '"' && !isLine(src) {
		return 0, err
	}
	for one := range textLines(src) {
		if isLine(one) {
			u.reset()
			return u.add(node{kind: text, text: src})
		}
	}
	return 0, err
}

// expanded is a body that came as gzip, expanded; others are as they came.
func (u *unwrapper) expanded(body []byte) ([]byte, error) {
	if !isGzip(body) {
		return body, nil
	}
	plain, err := u.gunzip(body)
	return bytes.TrimPrefix(plain, []byte("\xef\xbb\xbf")), err
}

// textLines yields the lines that are not empty, without their ends, Unix or Windows.
func textLines(src string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for one := range strings.FieldsFuncSeq(src, func(r rune) bool { return r == '\n' || r == '\r' || r == 0 }) {
			if one = strings.TrimSpace(one); one != "" && !yield(one) {
				return
			}
		}
	}
}

// isLine tells whether a line looks like one that is read.
func isLine(s string) bool {
	h, rest := cutSyslog(s)
	return h != nil || findCEF(rest) >= 0 || findLEEF(rest) >= 0 || isPairs(rest) || jsonAfter(rest) >= 0
}

// lines reads the lines of a text: one is itself, several are a list of texts; 0 where none is read.
func (u *unwrapper) lines(src string, outer envelope) (int32, envelope, error) {
	first, last, count := int32(0), int32(0), 0
	for one := range textLines(src) {
		if count++; count > u.limits.Array {
			return 0, outer, malformed(TooManyKeys, "too many lines")
		}
		n, err := u.add(node{kind: text, text: one})
		if err != nil {
			return 0, outer, err
		}
		if first == 0 {
			first = n
		} else {
			u.nodes[last].next = n
		}
		last = n
	}
	if count != 1 {
		n, err := u.add(node{kind: list, first: first, count: int32(min(count, u.limits.Array))})
		return n, outer, err
	}
	return u.line(u.textOf(first), outer)
}

// line reads one line: JSON, CEF, LEEF or pairs, in syslog or after anything else, or syslog alone.
func (u *unwrapper) line(src string, outer envelope) (int32, envelope, error) {
	h, rest := cutSyslog(src)
	if h != nil {
		outer = outer.by("syslog")
	}
	var n int32
	var err error
	switch {
	case strings.HasPrefix(rest, "{"):
		n, err = u.parseAll(rest)
		if err == nil {
			return n, outer, nil
		}
	case findCEF(rest) >= 0:
		n, err = u.parseCEF(rest[findCEF(rest):])
	case findLEEF(rest) >= 0:
		n, err = u.parseLEEF(rest[findLEEF(rest):])
	case isPairs(rest):
		n, err = u.parseFields(rest)
	case jsonAfter(rest) >= 0:
		n, err = u.parseAll(rest[jsonAfter(rest):])
		if err == nil {
			return n, outer.by("prefix"), nil
		}
	}
	if err != nil && !isReason(err, InvalidJSON) {
		return 0, outer, err
	}
	if n == 0 || err != nil {
		if h == nil {
			return 0, outer, nil
		}
		if n, err = u.add(node{kind: object}); err != nil {
			return 0, outer, err
		}
		h.message = rest
	}
	if h != nil {
		err = u.addSyslog(n, h)
	}
	return n, outer, err
}

// maxPrefix is what may stand before JSON in a line.
const maxPrefix = 512

// jsonAfter is where an object begins that ends with the line, after something else; -1 is nowhere.
func jsonAfter(s string) int {
	at := strings.IndexByte(s, '{')
	if at < 0 || at > maxPrefix || !strings.HasSuffix(s, "}") || at+1 < len(s) && s[at+1] != '"' && s[at+1] != ' ' && s[at+1] != '}' {
		return -1
	}
	return at
}

// put adds a member to an object, after the last; it returns its place.
func (t *tree) put(parent, last int32, n node) (int32, error) {
	c, err := t.add(n)
	if err != nil {
		return 0, err
	}
	s := scanner{tree: t}
	s.append(parent, last, c)
	if int(t.nodes[parent].count) > t.most.Keys {
		return 0, malformed(TooManyKeys, "too many fields in a line")
	}
	return c, nil
}

// lastOf is the last member of an object; 0 is none.
func (t *tree) lastOf(n int32) (last int32) {
	for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
		last = c
	}
	return last
}

// pairOf is a name and a value of a line.
type pairOf struct{ name, value string }

// putAll adds an object of pairs under a name; the last of one name counts.
func (t *tree) putAll(parent, last int32, name string, pairs []pairOf) (int32, error) {
	n, err := t.put(parent, last, node{kind: object, key: name})
	if err != nil {
		return 0, err
	}
	c := int32(0)
	for _, p := range pairs {
		if c, err = t.put(n, c, node{kind: text, key: p.name, text: p.value}); err != nil {
			return 0, err
		}
	}
	t.dedupe(n)
	return n, nil
}
