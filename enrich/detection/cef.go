package detection

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

// parseCEF reads ArcSight's Common Event Format (version 0 and 1) as
// {"cef": {"version", "deviceVendor", …, "ext": {…}, "label": {…}}}.
func (t *tree) parseCEF(src string) (int32, error) {
	header, rest, err := headerOf("CEF", src, cefNames)
	if err != nil {
		return 0, err
	}
	return t.textEvent("cef", header, extensionOf(rest))
}

// leefNames are the fields of LEEF's header.
var leefNames = []string{"version", "vendor", "product", "productVersion", "eventId"}

// parseLEEF reads IBM's Log Event Extended Format (1.0 and 2.0) as
// {"leef": {"version", "vendor", …, "ext": {…}}}.
func (t *tree) parseLEEF(src string) (int32, error) {
	header, rest, err := headerOf("LEEF", src, leefNames)
	if err != nil {
		return 0, err
	}
	sep := "\t"
	if strings.HasPrefix(header[0].value, "2") {
		sep, rest = leefSeparator(rest)
	}
	return t.textEvent("leef", header, leefAttributes(rest, sep))
}

// headerOf reads the named fields of a header, and gives what follows them.
func headerOf(format, src string, names []string) (header []pairOf, rest string, err error) {
	src = strings.TrimLeft(strings.TrimPrefix(src, format+":"), " ")
	fields, rest := cutHeader(src, len(names))
	if len(fields) < len(names) {
		return nil, "", malformed(InvalidJSON, "a header of "+format+" with too few fields")
	}
	header = make([]pairOf, len(names))
	for i, name := range names {
		header[i] = pairOf{name, fields[i]}
	}
	return header, rest, nil
}

// textEvent makes the object of a format's header and extension.
func (t *tree) textEvent(format string, header, ext []pairOf) (int32, error) {
	root, err := t.add(node{kind: object})
	if err != nil {
		return 0, err
	}
	n, err := t.putAll(root, 0, format, header)
	if err != nil {
		return 0, err
	}
	last, err := t.putAll(n, t.lastOf(n), "ext", ext)
	if err != nil {
		return 0, err
	}
	if labels := labelled(ext); len(labels) > 0 {
		_, err = t.putAll(n, last, "label", labels)
	}
	return root, err
}

// labelled are the values of custom fields (cs1, cn2, flexString1) under the names that their labels give.
func labelled(ext []pairOf) []pairOf {
	var labels map[string]string // by field
	for _, p := range ext {
		if field, ok := strings.CutSuffix(p.name, "Label"); ok && field != "" && p.value != "" {
			if labels == nil {
				labels = map[string]string{}
			}
			labels[field] = p.value
		}
	}
	if labels == nil {
		return nil
	}
	var out []pairOf
	for _, p := range ext {
		if label, ok := labels[p.name]; ok {
			out = append(out, pairOf{label, p.value})
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
func extensionOf(s string) []pairOf {
	var out []pairOf
	name, from := "", 0
	flush := func(end int) {
		if name != "" {
			out = append(out, pairOf{name, unescapeCEF(strings.TrimSpace(s[from:end]))})
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
	if len(s) > 255 || s[0] >= '0' && s[0] <= '9' && len(s) == 1 {
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
func leefAttributes(s, sep string) []pairOf {
	if sep == "\t" && !strings.Contains(s, "\t") && strings.Count(s, "=") > 1 {
		return extensionOf(s)
	}
	var out []pairOf
	for one := range strings.SplitSeq(s, sep) {
		name, value, ok := strings.Cut(one, "=")
		if name = strings.TrimSpace(name); ok && name != "" {
			out = append(out, pairOf{name, strings.TrimSpace(value)})
		}
	}
	return out
}
