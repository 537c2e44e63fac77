package lines

import (
	"regexp"
	"strings"
)

// Parts of Cisco's messages: %ASA-4-106023: …, %FTD-session-6-302013: …
var (
	ciscoStart = regexp.MustCompile(`%(ASA|FTD|PIX|FWSM|NGIPS)-(?:[A-Za-z]{1,16}-)?([0-7])-(\d{5,6}):? ?`)
	ciscoEnds  = regexp.MustCompile(`\b(src|dst|from|to|faddr|laddr|gaddr|[Hh]ost|source|destination|user|IP)\b[ =:]+"?'?\[?(?:[A-Za-z0-9_.-]{1,64}:)?(\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{2,40})(?:[/(](\d{1,5}))?`)
)

// cisco reads {"cisco": {"product", "level", "id", "message", "ext": {…}, "end": {"from": …, "to": …}}}: ext are the
// "Name: value" of security events, end the addresses of others by the word before each.
func cisco(s string) []Member {
	m := ciscoStart.FindStringSubmatchIndex(s)
	if m == nil || m[0] > maxBefore {
		return nil
	}
	message := strings.TrimSpace(s[m[1]:])
	all := []Member{
		{Name: "product", Text: s[m[2]:m[3]]}, {Name: "level", Text: s[m[4]:m[5]]}, {Name: "id", Text: s[m[6]:m[7]]}, {Name: "message", Text: message},
	}
	if ext := commaColons(message); ext != nil {
		return []Member{{Name: "cisco", Kind: Object, Members: append(all, Member{Name: "ext", Kind: Object, Members: ext})}}
	}
	var ends []Member
	for _, e := range ciscoEnds.FindAllStringSubmatch(message, maxEnds) {
		ends = append(ends, Member{Name: strings.ToLower(e[1]), Text: e[2]})
	}
	if len(ends) > 0 {
		all = append(all, Member{Name: "end", Kind: Object, Members: ends})
	}
	return []Member{{Name: "cisco", Kind: Object, Members: all}}
}

// maxBefore is what may stand before a format's start in a line, maxEnds how many addresses of a message are told.
const (
	maxBefore = 512
	maxEnds   = 16
)
