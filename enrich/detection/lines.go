package detection

import (
	"bytes"
	"strings"

	"forager/enrich/detection/lines"
	"forager/enrich/detection/malformed"
	"forager/enrich/detection/tree"
)

// plainText makes a text of each line of a body that is no JSON; err where no line is one that is read.
// What begins as JSON and goes on as none stays broken.
func (u *unwrapper) plainText(body []byte, err error) (int32, error) {
	src := strings.TrimSpace(string(body))
	if src == "" || src[0] == '{' || src[0] == '[' || src[0] == '"' && !isLine(src) {
		return 0, err
	}
	known := lines.FindXML(src) >= 0 || isBlock(src)
	for one := range textLines(src) {
		if known = known || isLine(one); known {
			u.Reset()
			return u.Add(tree.Node{Kind: tree.Text, Text: src})
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
	h, rest := lines.CutHeader(s)
	return h != nil || lines.Read(rest) != nil || jsonAfter(rest) >= 0 || lines.ReadColons(rest) != nil
}

// isBlock tells lines of "Name: value" that are one record, a syslog header before the first or not.
func isBlock(s string) bool {
	_, rest := lines.CutHeader(s)
	return lines.IsBlock(rest)
}

// lines reads the lines of a text: one is itself, several are a list of texts; 0 where none is read.
func (u *unwrapper) lines(src string, outer envelope) (int32, envelope, error) {
	if at := lines.FindXML(src); at >= 0 {
		return u.document(src, at, outer)
	}
	if isBlock(src) {
		return u.line(src, outer)
	}
	first, last, count := int32(0), int32(0), 0
	for one := range textLines(src) {
		if count++; count > u.limits.Array {
			return 0, outer, malformed.New(malformed.TooManyKeys, "too many lines")
		}
		n, err := u.Add(tree.Node{Kind: tree.Text, Text: one})
		if err != nil {
			return 0, outer, err
		}
		if first == 0 {
			first = n
		} else {
			u.Nodes[last].Next = n
		}
		last = n
	}
	if count != 1 {
		n, err := u.Add(tree.Node{Kind: tree.List, First: first, Count: int32(min(count, u.limits.Array))})
		return n, outer, err
	}
	return u.line(u.TextOf(first), outer)
}

// line reads one line: JSON, or what package lines reads, in syslog or after anything else, or syslog alone.
func (u *unwrapper) line(src string, outer envelope) (int32, envelope, error) {
	h, rest := lines.CutHeader(src)
	if h != nil {
		outer = outer.by("syslog")
	}
	if strings.HasPrefix(rest, "{") {
		if n, err := u.ParseAll(rest); !malformed.Is(err, malformed.InvalidJSON) {
			return n, outer, err
		}
	}
	members := lines.Read(rest)
	if at := jsonAfter(rest); members == nil && at >= 0 {
		if n, err := u.ParseAll(rest[at:]); !malformed.Is(err, malformed.InvalidJSON) {
			return n, outer.by("prefix"), err
		}
	}
	if members == nil {
		members = lines.ReadColons(rest)
	}
	n, outer, err := u.record(h, members, rest, outer)
	u.sent(n, src)
	return n, outer, err
}

// record makes an object of what a line says, with its header; 0 where it says nothing.
func (u *unwrapper) record(h *lines.Header, members []lines.Member, rest string, outer envelope) (int32, envelope, error) {
	if h == nil && members == nil {
		return 0, outer, nil
	}
	n, err := u.Add(tree.Node{Kind: tree.Object})
	if err != nil {
		return 0, outer, err
	}
	if err := u.putMembers(n, members); err != nil || h == nil || u.Child(n, "syslog") != 0 {
		return n, outer, err
	}
	message := ""
	if members == nil {
		message = rest
	}
	_, err = u.putMember(n, u.lastOf(n), h.Member(message))
	return n, outer, err
}

// document reads XML, in syslog or not.
func (u *unwrapper) document(src string, at int, outer envelope) (int32, envelope, error) {
	members := lines.XML(src[at:])
	if members == nil {
		return 0, outer, nil
	}
	h, _ := lines.CutHeader(src[:at])
	if h != nil {
		outer = outer.by("syslog")
	}
	n, outer, err := u.record(h, members, "", outer.by("xml"))
	u.sent(n, src)
	return n, outer, err
}

// sent notes the text that a record was made of, where somebody wants to know.
func (u *unwrapper) sent(n int32, src string) {
	if u.telling != nil && n != 0 {
		u.telling.lines[n] = src
	}
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
func (u *unwrapper) put(parent, last int32, n tree.Node) (int32, error) {
	c, err := u.Add(n)
	if err != nil {
		return 0, err
	}
	u.Append(parent, last, c)
	if int(u.Nodes[parent].Count) > u.limits.Keys {
		return 0, malformed.New(malformed.TooManyKeys, "too many fields in a line")
	}
	return c, nil
}

// lastOf is the last member of an object; 0 is none.
func (u *unwrapper) lastOf(n int32) (last int32) {
	for c := u.Nodes[n].First; c != 0; c = u.Nodes[c].Next {
		last = c
	}
	return last
}

// putMembers adds what a text says to an object; the last of one name counts.
func (u *unwrapper) putMembers(n int32, members []lines.Member) (err error) {
	last := int32(0)
	for _, m := range members {
		if last, err = u.putMember(n, last, m); err != nil {
			return err
		}
	}
	if u.Nodes[n].Kind == tree.Object {
		u.Dedupe(n)
	}
	return nil
}

// putMember adds a member after the last; it returns its place.
func (u *unwrapper) putMember(parent, last int32, m lines.Member) (int32, error) {
	if m.Kind == lines.Text {
		return u.put(parent, last, tree.Node{Kind: tree.Text, Key: m.Name, Text: m.Text})
	}
	kind := tree.Object
	if m.Kind == lines.List {
		kind = tree.List
	}
	n, err := u.put(parent, last, tree.Node{Kind: kind, Key: m.Name})
	if err != nil {
		return 0, err
	}
	return n, u.putMembers(n, m.Members)
}
