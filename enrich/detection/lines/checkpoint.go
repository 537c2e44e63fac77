package lines

import (
	"regexp"
	"strings"
)

// checkPointStart is how Check Point's log exporter begins its fields: [name:"value"; …, or Name="value" after a bar.
var checkPointStart = regexp.MustCompile(`\[ ?[A-Za-z_][A-Za-z0-9_]{0,63}:"`)

// checkPoint reads [action:"Accept"; src:"10.0.0.1"; …] as {"checkpoint": {"action": …}}.
func checkPoint(s string) []Member {
	at := checkPointStart.FindStringIndex(s)
	if at == nil || at[0] > maxBefore {
		return nil
	}
	var out []Member
	for rest := strings.TrimLeft(s[at[0]+1:], " "); ; {
		name, after, ok := strings.Cut(rest, `:"`)
		if !ok || !isName(name) {
			break
		}
		value, next, ok := quotedCheckPoint(after)
		out = append(out, Member{Name: name, Text: value})
		if rest = strings.TrimLeft(next, " ;"); !ok {
			break
		}
	}
	if len(out) < 2 {
		return nil
	}
	return []Member{{Name: "checkpoint", Kind: Object, Members: out}}
}

// quotedCheckPoint reads a value up to its quotation mark: backslashes go before marks, bars and brackets.
func quotedCheckPoint(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s) && strings.IndexByte(`"\]=`, s[i+1]) >= 0:
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", false
}
