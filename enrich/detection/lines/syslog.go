package lines

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Header is what stands before the message of a line, RFC 5424 or RFC 3164.
type Header struct {
	priority                     int // -1 where there is none
	time, host, app, process, id string
	structured                   []Member // RFC 5424's elements of structured data
}

// Parts of the headers. RFC 3164's are what senders make of it: a year, ISO 8601, no priority.
var (
	octetCount  = regexp.MustCompile(`^\d{1,7} <`)
	header5424  = regexp.MustCompile(`^1 (-|\d{4}-\d\d-\d\dT[0-9:.]{5,18}(?:Z|[+-]\d\d:?\d\d)) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) ?`)
	time3164    = regexp.MustCompile(`^((?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ 0-3]?\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,9})?(?: \d{4}\b)?|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?):? `)
	host3164    = regexp.MustCompile(`^([A-Za-z0-9_.:\[\]-]{1,255}) +(?:: )?`)
	tag3164     = regexp.MustCompile(`^([A-Za-z0-9_./@-]{1,64})(?:\[([^\]\s]{0,64})\])?: ?`)
	elementName = regexp.MustCompile(`^\[([^\s=\]"]{1,255})`)
	paramStart  = regexp.MustCompile(`^ +([^\s=\]"]{1,255})="`)
)

// CutHeader takes a syslog header off a line; nil where it has none.
func CutHeader(s string) (*Header, string) {
	if octetCount.MatchString(s) {
		s = s[strings.IndexByte(s, '<'):]
	}
	h := &Header{priority: -1}
	rest := s
	if strings.HasPrefix(s, "<") {
		number, after, ok := strings.Cut(s[1:], ">")
		if n, err := strconv.Atoi(number); ok && err == nil && len(number) <= 3 && 0 <= n && n <= 191 {
			h.priority, rest = n, after
		}
	}
	if m := header5424.FindStringSubmatch(rest); m != nil && h.priority >= 0 {
		h.time, h.host, h.app, h.process, h.id = nilValue(m[1]), nilValue(m[2]), nilValue(m[3]), nilValue(m[4]), nilValue(m[5])
		rest = h.structuredData(rest[len(m[0]):])
		return h, strings.TrimSpace(strings.TrimPrefix(rest, "\ufeff"))
	}
	rest = strings.TrimLeft(rest, " ")
	m := time3164.FindStringSubmatch(rest)
	if m == nil && h.priority < 0 {
		return nil, s
	}
	if m != nil {
		h.time, rest = m[1], strings.TrimLeft(rest[len(m[0]):], " ")
		if host := host3164.FindStringSubmatch(rest); host != nil && !isPayload(rest) && !strings.HasSuffix(host[1], ":") {
			h.host, rest = host[1], rest[len(host[0]):]
		}
	}
	if tag := tag3164.FindStringSubmatch(rest); tag != nil && !isPayload(rest) {
		h.app, h.process, rest = tag[1], tag[2], rest[len(tag[0]):]
	}
	return h, strings.TrimSpace(rest)
}

// isPayload tells a message that begins without a name before it.
func isPayload(s string) bool {
	return strings.HasPrefix(s, "{") || strings.HasPrefix(s, "CEF:") || strings.HasPrefix(s, "LEEF:")
}

func nilValue(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// structuredData reads the elements, and returns what follows.
func (h *Header) structuredData(s string) string {
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		return rest
	}
	for {
		name := elementName.FindStringSubmatch(s)
		if name == nil {
			return s
		}
		e, rest := Member{Name: name[1], Kind: Object}, s[len(name[0]):]
		for {
			m := paramStart.FindStringSubmatch(rest)
			if m == nil {
				break
			}
			value, after, ok := quotedParam(rest[len(m[0]):])
			if !ok {
				return s
			}
			e.Members, rest = append(e.Members, Member{Name: m[1], Text: value}), after
		}
		after, ok := strings.CutPrefix(strings.TrimLeft(rest, " "), "]")
		if !ok {
			return s
		}
		h.structured, s = append(h.structured, e), after
	}
}

// quotedParam reads a value up to its closing quotation mark; backslashes go before ", \ and ].
func quotedParam(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s) && strings.IndexByte(`"\]`, s[i+1]) >= 0:
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// Member is the header as a member "syslog"; message is what of the line nothing else has, or empty.
func (h *Header) Member(message string) Member {
	all := []Member{
		{Name: "time", Text: h.time}, {Name: "host", Text: h.host}, {Name: "app", Text: h.app}, {Name: "process", Text: h.process},
		{Name: "id", Text: h.id}, {Name: "message", Text: message},
	}
	if h.priority >= 0 {
		all = append(all, Member{Name: "facility", Text: strconv.Itoa(h.priority / 8)}, Member{Name: "severity", Text: strconv.Itoa(h.priority % 8)})
	}
	all = slices.DeleteFunc(all, func(m Member) bool { return m.Text == "" })
	if len(h.structured) > 0 {
		all = append(all, Member{Name: "structured", Kind: Object, Members: h.structured})
	}
	return Member{Name: "syslog", Kind: Object, Members: all}
}
