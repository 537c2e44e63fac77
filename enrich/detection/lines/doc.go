// Package lines reads lines that products send as text, so that a format file can read them like JSON.
//
// # Promise
//
// Reading is pure and linear in the length of the text. What comes out are members with names as the sender
// wrote them and values as texts; nothing is interpreted, and no name is invented but those listed here.
//
// # The way of a line
//
// [CutHeader] (syslog.go) takes RFC 5424 or 3164 off. [Read] tries, in this order, CEF and LEEF (cef.go), Cisco's
// %ASA and %FTD (cisco.go), Check Point's name:"value" (checkpoint.go), Palo Alto Networks' CSV (paloalto.go) and
// key=value (keyvalue.go). [ReadColons] (colons.go) reads what looks like nothing else: "Name: value" in lines or
// between commas. [XML] (xml.go) reads a document. JSON is the caller's.
//
// # Limits
//
// The caller bounds the text and the number of members. XML is bounded by [MaxDepth] here; it has neither entities
// nor documents from elsewhere.
//
// # Errors
//
// There are none: what is not read is nil.
package lines

// Kind is what a member holds.
type Kind uint8

// A member holds a text, others with names, or others without.
const (
	Text Kind = iota
	Object
	List
)

// Member is a name and what stands under it.
type Member struct {
	Name    string
	Text    string // of Kind Text
	Members []Member
	Kind    Kind
}

// Read reads a line without its syslog header; nil where it is of none of the formats.
func Read(s string) []Member {
	for _, read := range []func(string) []Member{cef, leef, cisco, checkPoint, paloAlto, pairs} {
		if m := read(s); m != nil {
			return m
		}
	}
	return nil
}
