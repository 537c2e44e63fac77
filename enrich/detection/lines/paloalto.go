package lines

import (
	"regexp"
	"strings"
)

// paloAltoStart is how PAN-OS begins a line: a number, when it was received, the firewall's serial number, the type.
var paloAltoStart = regexp.MustCompile(`(?:^|[ :>"])(\d{0,3},\d{4}/\d\d/\d\d \d\d:\d\d:\d\d,[^,]{0,32},[A-Z][A-Z-]{2,20},)`)

// Fields of PAN-OS' lines, in their order; a dash is one that nobody needs. What follows the last is left out.
var (
	paloAltoThreat = []string{
		"-", "received", "serial", "type", "subtype", "-", "generated", "src", "dst", "natsrc", "natdst", "rule", "srcuser", "dstuser",
		"app", "vsys", "from", "to", "inboundInterface", "outboundInterface", "logAction", "-", "session", "count", "sport", "dport",
		"natsport", "natdport", "flags", "proto", "action", "misc", "threatid", "category", "severity", "direction", "seqno",
		"actionflags", "srcloc", "dstloc", "-", "contenttype", "pcapId", "filedigest", "cloud", "urlIdx", "userAgent", "filetype",
		"xff", "referer", "sender", "subject", "recipient", "reportid", "dg1", "dg2", "dg3", "dg4", "vsysName", "deviceName", "-",
		"srcUUID", "dstUUID", "httpMethod", "tunnelId", "monitorTag", "parentSession", "parentStart", "tunnel", "thrCategory",
		"contentver",
	}
	paloAltoCorrelation = []string{
		"-", "received", "serial", "type", "subtype", "-", "generated", "src", "srcuser", "vsys", "category", "severity", "dg1", "dg2",
		"dg3", "dg4", "vsysName", "deviceName", "vsysId", "objectname", "objectId", "evidence",
	}
	paloAltoOther = []string{
		"-", "received", "serial", "type", "subtype", "-", "generated",
	}
)

// paloAlto reads the CSV of PAN-OS as {"pan": {"type", "subtype", …}}.
func paloAlto(s string) []Member {
	at := paloAltoStart.FindStringSubmatchIndex(s)
	if at == nil || at[0] > maxBefore {
		return nil
	}
	fields := csvFields(s[at[2]:], false)
	names := paloAltoOther
	switch fields[3] {
	case "THREAT", "WILDFIRE", "URL":
		names = paloAltoThreat
	case "CORRELATION":
		names = paloAltoCorrelation
	}
	var out []Member
	for i, name := range names[:min(len(names), len(fields))] {
		if name != "-" && fields[i] != "" {
			out = append(out, Member{Name: name, Text: fields[i]})
		}
	}
	return []Member{{Name: "pan", Kind: Object, Members: out}}
}

// csvFields splits at commas that no quotation marks are around; a mark within is doubled. A mark that is never
// closed is one like others. Where spaced says so, a comma parts only before a space.
func csvFields(s string, spaced bool) []string {
	var out []string
	for {
		field, rest, more := csvField(s, spaced)
		out = append(out, field)
		if !more {
			return out
		}
		s = rest
	}
}

func csvField(s string, spaced bool) (field, rest string, more bool) {
	if strings.HasPrefix(s, `"`) {
		for i := 1; i < len(s); i++ {
			if s[i] != '"' {
				continue
			}
			if i+1 < len(s) && s[i+1] == '"' {
				i++
				continue
			}
			if i+1 == len(s) || s[i+1] == ',' {
				return strings.ReplaceAll(s[1:i], `""`, `"`), s[min(i+2, len(s)):], i+1 < len(s)
			}
			break
		}
	}
	if spaced {
		return strings.Cut(s, ", ")
	}
	return strings.Cut(s, ",")
}
