package lines

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// cefStart is where CEF begins: by its name, or by its version alone, as some collectors leave it.
var cefStart = regexp.MustCompile(`(?:^|[\s:"'])(CEF: ?[0-9](?:\.[0-9])?\|)|^([01]\|(?:[^|\\]|\\.)*\|(?:[^|\\]|\\.)*\|(?:[^|\\]|\\.)*\|(?:[^|\\]|\\.)*\|(?:[^|\\]|\\.)*\|(?:[^|\\]|\\.)*\|)`)

// leefStart is where LEEF begins.
var leefStart = regexp.MustCompile(`(?:^|[\s:"'])(LEEF: ?[12](?:\.[0-9])?\|)`)

func findCEF(s string) int {
	if !strings.Contains(s, "|") {
		return -1
	}
	m := cefStart.FindStringSubmatchIndex(s)
	if m == nil {
		return -1
	}
	return max(m[2], m[4])
}

func findLEEF(s string) int {
	if !strings.Contains(s, "LEEF:") {
		return -1
	}
	m := leefStart.FindStringSubmatchIndex(s)
	if m == nil {
		return -1
	}
	return m[2]
}

// cefNames are the fields of CEF's header.
var cefNames = []string{"version", "deviceVendor", "deviceProduct", "deviceVersion", "signature", "name", "severity"}

// cef reads ArcSight's Common Event Format (version 0 and 1) as
// {"cef": {"version", "deviceVendor", …, "ext": {…}, "label": {…}}}.
func cef(s string) []Member {
	at := findCEF(s)
	if at < 0 {
		return nil
	}
	header, rest := headerOf("CEF", s[at:], cefNames)
	return event("cef", header, extensionOf(rest))
}

// leefNames are the fields of LEEF's header.
var leefNames = []string{"version", "vendor", "product", "productVersion", "eventId"}

// leef reads IBM's Log Event Extended Format (1.0 and 2.0) as
// {"leef": {"version", "vendor", …, "ext": {…}}}.
func leef(s string) []Member {
	at := findLEEF(s)
	if at < 0 {
		return nil
	}
	header, rest := headerOf("LEEF", s[at:], leefNames)
	if header == nil {
		return nil
	}
	sep := "\t"
	if strings.HasPrefix(header[0].Text, "2") {
		sep, rest = leefSeparator(rest)
	}
	return event("leef", header, leefAttributes(rest, sep))
}

// headerOf reads the named fields of a header, and gives what follows them; nil where there are too few.
func headerOf(format, src string, names []string) (header []Member, rest string) {
	src = strings.TrimLeft(strings.TrimPrefix(src, format+":"), " ")
	fields, rest := cutHeader(src, len(names))
	if len(fields) < len(names) {
		return nil, ""
	}
	header = make([]Member, len(names))
	for i, name := range names {
		header[i] = Member{Name: name, Text: fields[i]}
	}
	return header, rest
}

// event is a format's header and extension under its name; nil where there is no header.
func event(format string, header, ext []Member) []Member {
	if header == nil {
		return nil
	}
	all := append(header, Member{Name: "ext", Kind: Object, Members: ext})
	if labels := labelled(ext); len(labels) > 0 {
		all = append(all, Member{Name: "label", Kind: Object, Members: labels})
	}
	return []Member{{Name: format, Kind: Object, Members: all}}
}

// labelled are the values of custom fields (cs1, cn2, flexString1) under the names that their labels give.
func labelled(ext []Member) []Member {
	var labels map[string]string // by field
	for _, p := range ext {
		if field, ok := strings.CutSuffix(p.Name, "Label"); ok && field != "" && p.Text != "" {
			if labels == nil {
				labels = map[string]string{}
			}
			labels[field] = p.Text
		}
	}
	if labels == nil {
		return nil
	}
	var out []Member
	for _, p := range ext {
		if label, ok := labels[p.Name]; ok {
			out = append(out, Member{Name: label, Text: p.Text})
		}
	}
	return out
}

// cutHeader splits n fields at bars; a backslash takes the meaning from a bar or a backslash. The last
// field may end with the line.
func cutHeader(s string, n int) (fields []string, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && (s[i+1] == '|' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		case c == '|':
			fields = append(fields, strings.TrimSpace(b.String()))
			b.Reset()
			if len(fields) == n {
				return fields, s[i+1:]
			}
		default:
			b.WriteByte(c)
		}
	}
	return append(fields, strings.TrimSpace(b.String())), ""
}

// extensionOf reads CEF's pairs: a value ends where the next name begins, which is a word before an
// equals sign that no backslash is before.
func extensionOf(s string) []Member {
	var out []Member
	name, from := "", 0
	flush := func(end int) {
		if name != "" {
			out = append(out, Member{Name: name, Text: unescapeCEF(strings.TrimSpace(s[from:end]))})
		}
	}
	word := 0 // where the word before i begins
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			word = i + 1
		case c == '=' && i > word && isName(s[word:i]):
			flush(word)
			name, from = s[word:i], i+1
			word = len(s) + 1 // what follows the sign is no name before white space
		case c == '=':
			word = len(s) + 1
		}
	}
	flush(len(s))
	return out
}

// isName tells a name of an extension from what is before an equals sign in a value.
func isName(s string) bool {
	if s == "" || len(s) > 255 || s[0] >= '0' && s[0] <= '9' && len(s) == 1 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && strings.IndexByte("_.-[]:@#", c) >= 0, c == '_':
		default:
			return false
		}
	}
	return true
}

// unescapeCEF takes the backslashes before =, \, | and for the ends of lines.
func unescapeCEF(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch next := s[i+1]; next {
		case '=', '\\', '|':
			b.WriteByte(next)
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		default:
			b.WriteByte('\\')
			continue
		}
		i++
	}
	return b.String()
}

// leefSeparator reads LEEF 2.0's sixth field: a character, or its number ("0x5E", "x5e"); none is a tab.
func leefSeparator(s string) (sep, rest string) {
	field, after, ok := strings.Cut(s, "|")
	switch {
	case !ok || len(field) > len("0x10ffff"):
		return "\t", s
	case field == "":
		return "\t", after
	case utf8.RuneCountInString(field) == 1:
		return field, after
	}
	hex := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(field), "0"), "x")
	if n, err := strconv.ParseUint(hex, 16, 21); err == nil && n > 0 && utf8.ValidRune(rune(n)) && !strings.Contains(field, "=") {
		return string(rune(n)), after
	}
	return "\t", s
}

// leefAttributes splits at the separator; where relays made spaces of tabs, as CEF does.
func leefAttributes(s, sep string) []Member {
	if sep == "\t" && !strings.Contains(s, "\t") && strings.Count(s, "=") > 1 {
		return extensionOf(s)
	}
	var out []Member
	for one := range strings.SplitSeq(s, sep) {
		name, value, ok := strings.Cut(one, "=")
		if name = strings.TrimSpace(name); ok && name != "" {
			out = append(out, Member{Name: name, Text: strings.TrimSpace(value)})
		}
	}
	return out
}
