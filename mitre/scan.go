package mitre

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// nextID finds the next technique id at or after from, in any spelling of it:
// "T" and four digits, and three more after one of "./_-". It gives the place.
func nextID(s string, from int) (start, end int) {
	for i := from; i+5 <= len(s); i++ {
		if s[i]|0x20 != 't' || !isDigit(s[i+1]) || !isDigit(s[i+2]) || !isDigit(s[i+3]) || !isDigit(s[i+4]) {
			continue
		}
		if i+5 < len(s) && isDigit(s[i+5]) || !freeLeft(s, i) {
			continue
		}
		end = i + 5
		if hasSub(s[end:]) {
			end += 4
		}
		return i, end
	}
	return -1, -1
}

// hasSub reports whether s starts with the second half of a sub-technique.
func hasSub(s string) bool {
	return len(s) >= 4 && strings.IndexByte("./_-", s[0]) >= 0 && isDigit(s[1]) && isDigit(s[2]) && isDigit(s[3]) &&
		(len(s) == 4 || !isDigit(s[4]))
}

// freeLeft reports whether an id may start at i: not inside a longer word
// ("CST0023"), and not in ATLAS's namespace ("AML.T0051").
func freeLeft(s string, i int) bool {
	if i == 0 {
		return true
	}
	r, _ := utf8.DecodeLastRuneInString(s[:i])
	if unicode.IsLetter(r) || unicode.IsDigit(r) {
		return false
	}
	return r != '.' || i < 4 || !strings.EqualFold(s[i-4:i], "aml.")
}

// canonical writes the id at s[start:end] as ATT&CK does.
func canonical(buf *[9]byte, s string) []byte {
	n := copy(buf[:], s)
	buf[0] = 'T'
	if n > 5 {
		buf[5] = '.'
	}
	return buf[:n]
}

// inPath reports whether the id at s[start:] is a segment of a path or
// address: "/atomics/T1055.012/bin". Those of ATT&CK's own site are ids, and
// so is one after a slash that follows another id, which ends at previous: that
// is a list.
func inPath(s string, start, previous int) bool {
	if start == 0 || s[start-1] != '/' && s[start-1] != '\\' || start-1 == previous {
		return false
	}
	before := strings.TrimRight(s[:start], `/\`)
	segment := before[strings.LastIndexAny(before, `/\`)+1:]
	for _, known := range [...]string{"techniques", "technique", "attack"} {
		if strings.EqualFold(segment, known) {
			return false
		}
	}
	return true
}

// isSeparator tells what stands between the parts of a list; a comma may also
// stand between an id and its name.
func isSeparator(r rune) bool {
	return r == ',' || r == ';' || r == '|' || r == '¦' || r == '\n' || r == '\r' || r == '\t'
}

func nextSeparator(s string) int { return strings.IndexFunc(s, isSeparator) }

// nextItem cuts the first item of a list off, at what separates items for
// sure: not commas, and quotes only where the text is a JSON array.
func nextItem(s string, array bool) (item, rest string) {
	for i := range len(s) {
		switch s[i] {
		case ';', '|', '\n', '\r', '\t':
			return s[:i], s[i+1:]
		case '"':
			if array {
				return s[:i], s[i+1:]
			}
		case 0xA6: // "¦"
			if i > 0 && s[i-1] == 0xC2 {
				return s[:i-1], s[i+1:]
			}
		}
	}
	return s, ""
}

// afterKey drops what stands before the value in "key=value", and a MISP
// tag's quotes.
func afterKey(s string) string { return trim(s[strings.LastIndexByte(s, '=')+1:]) }

// trim drops blanks, quotes and brackets at both ends; strings.Trim would
// build its set anew at each call, which shows here.
func trim(s string) string {
	for s != "" && isWrapping(s[0]) {
		s = s[1:]
	}
	for s != "" && isWrapping(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isWrapping(b byte) bool {
	switch b {
	case ' ', '"', '\'', '[', ']', '{', '}', '(', ')', '\\':
		return true
	}
	return false
}

// shape says what a word is that is neither technique nor tactic.
func shape(word string) Reason {
	word = afterKey(word)
	for _, p := range [...]string{"attack.", "mitre_", "mitre."} {
		if len(word) > len(p) && strings.EqualFold(word[:len(p)], p) {
			word = word[len(p):]
		}
	}
	if word == "" || word == "-" {
		return ReasonEmpty
	}
	if len(word) > 4 && strings.EqualFold(word[:4], "aml.") || len(word) > 6 && strings.EqualFold(word[:6], "capec-") {
		return ReasonFramework
	}
	letters := strings.IndexFunc(word, func(r rune) bool { return (r|0x20) < 'a' || (r|0x20) > 'z' })
	if letters < 1 || letters > 6 {
		return ReasonNot
	}
	number := strings.TrimSuffix(word[letters:], "/")
	if len(number) < 3 || len(number) > 6 || !digits(number) {
		return ReasonNot
	}
	switch strings.ToUpper(word[:letters]) {
	case "S", "G", "C", "M", "A", "DS", "DC", "DET", "AN":
		return ReasonObject
	case "T", "TA":
		return ReasonUnknown
	}
	if letters == 1 {
		return ReasonNot
	}
	return ReasonVendor
}
