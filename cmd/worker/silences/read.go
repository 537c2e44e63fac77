package silences

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"forager/enrich"
	"forager/enrich/digest"
)

// Rule is what a rule is called by events, so that a condition finds it.
type Rule struct {
	Format string
	Name   string // its rule.id; where events have none, rule.name, else the title
}

// Texts are those of Forager in one case.
type Texts struct {
	Description string
	Others      []string // comments and pages
}

// words are what Forager wrote of a detection that it tells in full.
var (
	headLine   = regexp.MustCompile(`^\*\*(.*)\*\* \((.+?)(?:, rule (.+))?, severity (low|medium|high|critical)\)$`)
	tableRow   = regexp.MustCompile(`^\| (Rule|Key) \| (.*) \|$`)
	ruleMarker = regexp.MustCompile("^`forager: rule=([0-9a-f]{32}) day=[0-9-]+ ids=[^` ]*`$")
)

// found is what the texts of a case say.
type found struct {
	hashes map[string]bool    // of its rules
	counts map[string]counted // of its rules, at least once
	named  map[string]Rule    // by hash: whose words have that hash
}

// counted are the detections of a rule in a case.
type counted struct {
	n, severity int
	users       []string
	all         bool // there are no other users
}

// readTexts reads what Forager wrote to a case. What others wrote there counts for nothing: a marker stands alone on its
// line, a page has its checksum, and words must have the hash of a marker.
func readTexts(t Texts) found {
	f := found{hashes: map[string]bool{}, counts: map[string]counted{}, named: map[string]Rule{}}
	for _, text := range append([]string{t.Description}, t.Others...) {
		f.told(strings.ReplaceAll(text, "\r\n", "\n"))
		f.page(text)
	}
	return f
}

// told reads markers, and what is told in full before them.
func (f found) told(text string) {
	format, severity := "", 1
	for line := range strings.SplitSeq(text, "\n") {
		if head := headLine.FindStringSubmatch(line); head != nil {
			format, severity = plain(head[2]), slices.Index([]string{"", "low", "medium", "high", "critical"}, head[4])
			f.name(format, plain(head[3]))
			f.name(format, plain(head[1]))
		} else if row := tableRow.FindStringSubmatch(line); row != nil && row[1] == "Rule" {
			f.name(format, plain(row[2]))
		} else if mark := ruleMarker.FindStringSubmatch(line); mark != nil {
			f.hashes[mark[1]] = true
			if _, known := f.counts[mark[1]]; !known {
				f.counts[mark[1]] = counted{n: 1, severity: severity}
			}
		}
	}
}

// name notes a word that may be a rule's; it is told by its hash which.
func (f found) name(format, word string) {
	if format != "" && word != "" {
		f.named[enrich.ShortHash(format, word)] = Rule{Format: format, Name: word}
	}
}

// page reads a page of detections, if the text is one that nobody changed.
func (f found) page(text string) {
	d, intact := digest.Parse(text)
	if !intact {
		return
	}
	for _, r := range d.Rules {
		row := counted{n: r.N, severity: r.Severity}
		for _, u := range r.Users {
			if name := plain(u.Text); whole(name) {
				row.users = append(row.users, name)
			}
		}
		row.all = len(r.Users) == 1 && len(row.users) == 1 && r.Users[0].N == r.N
		f.hashes[r.Hash], f.counts[r.Hash] = true, row
	}
}

// mostCell is how much of a user stands on the page, in UTF-16 units: what is as long may have been longer.
const mostCell = 48

// whole tells whether a name was not cut.
func whole(name string) bool {
	return name != "" && utf8.RuneCountInString(name) < mostCell-1 && !strings.HasSuffix(name, "…")
}

// hostOf is the host whose detections a case has: where its key is a host, and the only one.
func hostOf(description string) string {
	var hosts []string
	for line := range strings.Lines(description) {
		row := tableRow.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if row == nil || row[1] != "Key" {
			continue
		}
		kind, value, _ := strings.Cut(plain(row[2]), ":")
		if kind != "host" {
			return ""
		}
		hosts = append(hosts, value)
	}
	if hosts = slices.Compact(hosts); len(hosts) != 1 { // cases were merged
		return ""
	}
	return hosts[0]
}

// plain is a text that Forager wrote into Markdown: without the backslashes and the fences of code. Where it is wrong, the
// hash of what it gives is none.
func plain(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && isPunctuation(s[i+1]):
			i++
			b.WriteByte(s[i])
		case s[i] == '`':
			fence := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
			rest := s[i+fence:]
			end := strings.Index(rest, s[i:i+fence])
			if end < 0 {
				b.WriteString(s[i:])
				return b.String()
			}
			code := rest[:end]
			if len(code) > 2 && code[0] == ' ' && code[len(code)-1] == ' ' {
				code = code[1 : len(code)-1]
			}
			b.WriteString(code)
			i += fence + end + fence - 1
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// isPunctuation tells what a backslash may stand before.
func isPunctuation(c byte) bool {
	return '!' <= c && c <= '/' || ':' <= c && c <= '@' || '[' <= c && c <= '`' || '{' <= c && c <= '~'
}
