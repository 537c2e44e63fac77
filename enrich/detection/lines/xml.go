package lines

import (
	"encoding/xml"
	"regexp"
	"strings"
)

// MaxDepth is how deep elements of XML may be in one another, maxMembers how many names an element may have below it.
const (
	MaxDepth   = 64
	maxMembers = 256
)

// xmlStart is how a document begins.
var xmlStart = regexp.MustCompile(`<(?:\?xml[ ?]|[A-Za-z][A-Za-z0-9_.:-]{0,63}[ >/])`)

// FindXML is where a document begins in a text, at its start or after a syslog header; -1 is nowhere.
func FindXML(s string) int {
	at := xmlStart.FindStringIndex(s)
	if at == nil || at[0] > 4*maxBefore || !strings.Contains(s[at[0]:], "</") {
		return -1
	}
	before := strings.Trim(s[:at[0]], " \ufeff")
	if before == "" {
		return at[0]
	}
	if h, rest := CutHeader(s[:at[0]]); h == nil || strings.Trim(rest, " \ufeff:") != "" {
		return -1
	}
	return at[0]
}

// XML reads a document as an object of its root: attributes and elements are members, an element of text alone is
// that text, elements of one name are a list, text beside others is the member "text". What follows the root is
// left out. Nil where it is none, or nested deeper than [MaxDepth], or with more than 256 names in one element.
func XML(s string) []Member {
	d := xml.NewDecoder(strings.NewReader(s))
	d.Strict = false
	d.CharsetReader = nil // UTF-8 alone: bytes were made so before
	for {
		token, err := d.RawToken()
		if err != nil {
			return nil
		}
		if start, ok := token.(xml.StartElement); ok {
			root, ok := element(d, start, 1)
			if !ok {
				return nil
			}
			return []Member{root}
		}
	}
}

// element reads what is up to the end of an element that has begun.
func element(d *xml.Decoder, start xml.StartElement, depth int) (Member, bool) {
	out := Member{Name: start.Name.Local, Kind: Object}
	if depth > MaxDepth {
		return out, false
	}
	for _, a := range start.Attr {
		if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
			out.Members = append(out.Members, Member{Name: a.Name.Local, Text: a.Value})
		}
	}
	var said strings.Builder
	for {
		token, err := d.RawToken()
		if err != nil {
			return out, false
		}
		switch t := token.(type) {
		case xml.StartElement:
			inner, ok := element(d, t, depth+1)
			if !ok || len(out.Members) > maxMembers {
				return out, false
			}
			out.add(inner)
		case xml.CharData:
			said.Write(t)
		case xml.EndElement:
			if t.Name.Local != start.Name.Local {
				return out, false
			}
			out.say(strings.TrimSpace(said.String()))
			return out, true
		}
	}
}

// add adds an element; those of one name become a list.
func (m *Member) add(inner Member) {
	for i := range m.Members {
		have := &m.Members[i]
		if have.Name != inner.Name {
			continue
		}
		if have.Kind != List {
			one := *have
			*have = Member{Name: inner.Name, Kind: List, Members: []Member{one}}
		}
		have.Members = append(have.Members, inner)
		return
	}
	m.Members = append(m.Members, inner)
}

// say gives an element its text.
func (m *Member) say(s string) {
	switch {
	case len(m.Members) == 0:
		m.Kind, m.Text = Text, s
	case s != "":
		m.Members = append(m.Members, Member{Name: "text", Text: s})
	}
}
