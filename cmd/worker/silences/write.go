package silences

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"forager/enrich"
	"forager/enrich/detection/canon"
)

// Writing says how proposals are written.
type Writing struct {
	Owner   string
	Expires time.Time // to the end of its day, UTC
	Since   time.Time // of the cases that were read
	Now     time.Time
	Taken   []string // names of silences that there are
	Stream  *Dropped // what the stream says of them; nil: it was not asked
}

// Dropped is what silences would drop of the messages that the stream holds.
type Dropped struct {
	Messages, Detections int
	Opened, Fewer        int            // cases that they open, and how many they would not
	By                   map[string]int // detections, by the silence's name
}

// Write writes proposals as a file of silences, with their evidence; those of rules without words are left out.
func Write(all []Proposal, g Gathered, w Writing) string {
	var b strings.Builder
	h := WouldHide(all, g.Cases)
	fmt.Fprintf(&b, "# Proposed on %s from %d cases closed since %s. Nothing of this is in force: read each, keep what you want in a\n"+
		"# file that rules.files names, and say who answers for it.\n"+
		"# Had all of it been in force, %d of %d false cases would not have been opened, and %d of %d true ones.\n",
		w.Now.UTC().Format(time.DateOnly), len(g.Cases), w.Since.UTC().Format(time.DateOnly), h.Cases[False], count(g.Cases, False), h.Cases[True], count(g.Cases, True))
	if s := w.Stream; s != nil {
		fmt.Fprintf(&b, "# Of %d detections that the stream holds since then they would drop %d; %d cases would be opened instead of %d.\n",
			s.Detections, s.dropped(), s.Opened-s.Fewer, s.Opened)
	}
	if len(all) == 0 {
		b.WriteString("silences: []\n")
		return b.String()
	}
	b.WriteString("silences:\n")
	names := map[string]int{}
	for _, name := range w.Taken {
		names[name]++
	}
	for _, p := range all {
		b.WriteString(p.text(g, w, names))
	}
	return b.String()
}

// count is how many cases have a verdict.
func count(cases []Case, v Verdict) (n int) {
	for _, c := range cases {
		if c.Verdict == v {
			n++
		}
	}
	return n
}

// text is one silence with its evidence.
func (p Proposal) text(g Gathered, w Writing, names map[string]int) string {
	rule := g.Rules[p.Rule]
	name := unlike(names, "proposed: "+canon.Clean(rule.Name, 80)+p.where())
	h := WouldHide([]Proposal{p}, g.Cases)
	var b strings.Builder
	fmt.Fprintf(&b, "  # %d cases were false positives, none was true%s: %s.\n", len(p.False), unclear(p.Unclear), numbers(p.False))
	fmt.Fprintf(&b, "  # Alone it would have hidden %d detections, and %d cases as a whole, closed from %s to %s.\n",
		h.Detections, h.Cases[False]+h.Cases[Unclear], p.First.UTC().Format(time.DateOnly), p.Last.UTC().Format(time.DateOnly))
	if w.Stream != nil {
		fmt.Fprintf(&b, "  # Of what the stream holds it would drop %d detections.\n", w.Stream.By[name])
	}
	fmt.Fprintf(&b, "  - name: %s\n    when: %s\n    owner: %s\n", quoted(name), quoted(p.condition(rule)), quoted(w.Owner))
	fmt.Fprintf(&b, "    reason: %s\n    expires: %s\n", quoted(fmt.Sprintf("%d of %d cases closed since %s were false positives, none was true", len(p.False), len(p.False)+len(p.Unclear), w.Since.UTC().Format(time.DateOnly))), w.Expires.UTC().Format(time.DateOnly))
	if p.Severity < 4 {
		fmt.Fprintf(&b, "    pierce: %s # none of them was that severe\n", enrich.SeverityWord(p.Severity+1))
	}
	return b.String()
}

// unlike is a name that no other silence has.
func unlike(names map[string]int, name string) string {
	one := name
	for n := 2; names[one] > 0; n++ {
		one = name + " (" + strconv.Itoa(n) + ")"
	}
	names[one]++
	return one
}

// dropped is how many detections all of them would drop.
func (d Dropped) dropped() (n int) {
	for _, one := range d.By {
		n += one
	}
	return n
}

// where says on which host, and of which user.
func (p Proposal) where() string {
	where := ""
	if p.Host != "" {
		where += " on " + canon.Clean(p.Host, 60)
	}
	if p.User != "" {
		where += " of " + canon.Clean(p.User, 60)
	}
	return where
}

// unclear says how many cases were nothing certain.
func unclear(all []int) string {
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf(", %d nothing certain (%s)", len(all), numbers(all))
}

// mostNumbers bounds the cases that are named.
const mostNumbers = 20

// numbers names cases, the newest where there are many.
func numbers(all []int) string {
	cut := ""
	if len(all) > mostNumbers {
		cut, all = "… ", all[len(all)-mostNumbers:]
	}
	texts := make([]string, 0, len(all))
	for _, n := range all {
		texts = append(texts, "#"+strconv.Itoa(n))
	}
	return cut + strings.Join(texts, " ")
}

// condition is what detections of the scope meet.
func (p Proposal) condition(r Rule) string {
	name := literal(r.Name)
	all := []string{
		"detection.format == " + literal(r.Format),
		`(detection.rule.id == ` + name + ` || detection.rule.id == "" && (detection.rule.name == ` + name + ` || detection.rule.name == "" && detection.title == ` + name + `))`,
	}
	if p.Host != "" {
		all = append(all, hostIs(p.Host))
	}
	if p.User != "" {
		all = append(all, "detection.user == "+literal(p.User))
	}
	return strings.Join(all, " && ")
}

// hostIs compares a host as keys do: without regard to case, and by its first label where that is all that is known.
func hostIs(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return "detection.host == " + literal(host)
	}
	return "(detection.host.lowerAscii() == " + literal(host) + " || detection.host.lowerAscii().startsWith(" + literal(host+".") + "))"
}

// literal is a text of CEL.
func literal(s string) string { return strconv.Quote(strings.ToValidUTF8(s, "\uFFFD")) }

// quoted is a text of YAML, of one line.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
