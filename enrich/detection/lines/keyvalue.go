package lines

import (
	"regexp"
	"strings"
)

// pairsStart is how a line of pairs begins: two of them at least, the first with the line.
var pairsStart = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}=(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;"']*)[\s,;]+[A-Za-z_][A-Za-z0-9_.-]{0,63}=`)

// isPairs tells lines of key=value from others.
func isPairs(s string) bool {
	return strings.Count(s, "=") > 1 && pairsStart.MatchString(s)
}

// pairs reads a line of `key=value key="a \"b\"" key='c'` as members at the top; commas and semicolons may
// part them, words without a name belong to the value before them.
func pairs(s string) []Member {
	if !isPairs(s) {
		return nil
	}
	return fieldPairs(s)
}

// fieldPairs reads the pairs of a line.
func fieldPairs(line string) []Member {
	var out []Member
	open := -1 // where the value begins that words without a name belong to
	for s := strings.TrimLeft(line, betweenPairs); s != ""; s = strings.TrimLeft(s, betweenPairs) {
		at := len(line) - len(s)
		end := strings.IndexAny(s, " \t=\"")
		if end > 0 && s[end] == '=' && isName(s[:end]) {
			name, quoted := s[:end], false
			var value string
			value, s, quoted = fieldValue(s[end+1:])
			out = append(out, Member{Name: name, Text: value})
			if open = at + end + 1; quoted {
				open = -1
			}
			continue
		}
		if end = strings.IndexAny(s, " \t"); end < 0 {
			end = len(s)
		}
		if s = s[end:]; open >= 0 {
			out[len(out)-1].Text = strings.TrimLeft(line[open:at+end], betweenPairs)
		}
	}
	return out
}

// betweenPairs is what parts pairs.
const betweenPairs = " \t,;"

// fieldValue reads a quoted value, with backslashes before quotation marks and backslashes, or one up to
// white space; a comma or semicolon at its end parts pairs.
func fieldValue(s string) (value, rest string, quoted bool) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		if value, rest, ok := quotedField(s[1:], s[0]); ok {
			return value, rest, true
		}
	}
	end := strings.IndexAny(s, " \t")
	if end < 0 {
		end = len(s)
	}
	value, rest = s[:end], s[end:]
	if at := strings.IndexAny(value, ",;"); at >= 0 && at+1 < len(value) { // a=1,b=2
		if eq := strings.IndexByte(value[at+1:], '='); eq > 0 && isName(value[at+1:at+1+eq]) {
			return value[:at], s[at+1:], false
		}
	}
	return strings.TrimRight(value, ",;"), rest, false
}

func quotedField(s string, mark byte) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == mark:
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s) && (s[i+1] == mark || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
