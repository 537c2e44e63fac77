package apply

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"forager/enrich"
	"forager/enrich/digest"
	"forager/hive"
)

// Everything that comes from an event passes package markdown before it stands in Markdown.

// maxListed is how many detections a case's description tells of.
const maxListed = 10

// description is the text of a new case: its first detection in full, those that came with it, and the markers that
// name them.
func description(plans []enrich.Plan) string {
	var b strings.Builder
	b.WriteString(plans[0].Description())
	rest := plans[1:]
	if plans[0].TellsAll() {
		told := tellAll(&b, rest)
		rest = rest[told:]
	}
	if n := min(len(rest), maxListed); n > 0 {
		sightings := make([]enrich.Sighting, 0, n)
		for _, p := range rest[:n] {
			sightings = append(sightings, p.Sighting())
		}
		b.WriteString("\nDetected with it:\n\n" + digest.Table(sightings))
	}
	if n := len(rest) - maxListed; n > 0 {
		b.WriteString(moreAtOnce(n))
	}
	b.WriteString(markersOnly(plans))
	return b.String()
}

// tellAll tells plans in full as long as there is room, and how many it told.
func tellAll(b *strings.Builder, plans []enrich.Plan) int {
	for i, p := range plans {
		text := p.Description()
		if i == maxListed || b.Len()+len(text) > maxDescription {
			return i
		}
		b.WriteString("\n" + text)
	}
	return len(plans)
}

func moreAtOnce(n int) string {
	return "\n… and " + strconv.Itoa(n) + " more detections at once.\n"
}

// markersOnly are the markers of a description.
func markersOnly(plans []enrich.Plan) string {
	var b strings.Builder
	for _, m := range firstMarkers(plans) {
		b.WriteString("\n" + m.String() + "\n")
	}
	return b.String()
}

// following says which case a new one follows, since TheHive does not show that one any more.
func following(old caseRef) string {
	return "Follows case #" + strconv.Itoa(old.Number) + ", which TheHive does not show to Forager any more.\n\n"
}

// maxDescription keeps descriptions far below TheHive's 1 MiB, in bytes.
const maxDescription = 256 << 10

// maxMarkers bounds the markers of a description; further rules get a comment of their own.
const maxMarkers = 50

func firstMarkers(plans []enrich.Plan) []marker {
	all := markersOf(plans)
	return all[:min(len(all), maxMarkers)]
}

// commentText is the comment of one rule and day: what tells of its first detection, and the numbers.
func commentText(told string, c commentRef, m marker, left map[string]int) string {
	times := "1 detection"
	if c.N != 1 {
		times = "at least " + strconv.Itoa(c.N) + " detections"
	}
	words := leftOutWords(left)
	if words != "" {
		words += ".\n\n"
	}
	return told + "\n\n" + times + ", first seen " + enrich.StampMilli(c.First) +
		", " + lastSeen + enrich.StampMilli(c.Last) + "\n\n" + words + m.String()
}

// numbers is how the numbers of a comment begin: the last such line is Forager's.
var numbers = regexp.MustCompile(`(?m)\n\n^(?:1 detection|at least [0-9]+ detections), first seen `)

// toldIn is what a comment tells before its numbers.
func toldIn(text string) string {
	all := numbers.FindAllStringIndex(text, -1)
	if all == nil {
		told, _, _ := strings.Cut(text, "\n")
		return told
	}
	return text[:all[len(all)-1][0]]
}

// Written is what would be written of a detection: the description of a case that it opens, and the comment in a
// case that does not know its rule.
func Written(p enrich.Plan) (opening, comment string) {
	all := []enrich.Plan{p}
	m := markersOf(all)[0]
	var ref commentRef
	ref.absorb(all, m)
	m.ids = ref.IDs
	return description(all), commentText(strings.TrimRight(p.Telling(), "\n"), ref, m, nil)
}

const lastSeen = "last seen "

// lastSeenIn reads the newest "last seen" of a comment that Forager wrote, with a fraction of a second or without; 0 when there is none.
func lastSeenIn(text string) int64 {
	at := strings.LastIndex(text, ", "+lastSeen) // the headline before it is an event's
	if at < 0 {
		return 0
	}
	word, _, _ := strings.Cut(text[at+len(", "+lastSeen):], "\n")
	t, err := time.Parse("2006-01-02 15:04:05 MST", strings.TrimSpace(word))
	if err != nil {
		return 0
	}
	return t.UnixMilli()
}

// A marker is the code span by which Forager finds its own comments and descriptions again:
//
//	`forager: rule=<hash> day=<YYYY-MM-DD> ids=<id,id,…>`
//
// It stands alone on a line. Ids of a sender are escaped, so that none can end the span or pose
// as another id. A comment that tells of a change of the case has "change=<what>" in place of the rule.
type marker struct {
	rule string // hash of the rule, or the change
	day  string
	ids  []string

	everyDay bool // it tells of the rule, whatever the day: not written down
}

// maxIDs is how many source ids a marker names.
const maxIDs = 20

var markerLine = regexp.MustCompile("^`forager: (?:rule=([0-9a-f]{32})|change=((?:severity|reopened)-[0-9]{1,15})) day=([0-9]{4}-[0-9]{2}-[0-9]{2}) ids=([^` ]*)`$")

func (m marker) String() string {
	word := "rule="
	if isChange(m.rule) {
		word = "change="
	}
	return "`forager: " + word + m.rule + " day=" + m.day + " ids=" + strings.Join(m.ids, ",") + "`"
}

// isChange tells a change from the hash of a rule.
func isChange(rule string) bool { return strings.Contains(rule, "-") }

// severityChange and reopenedChange name changes in markers: a case is raised to a severity once, and reopened once after
// each of its ends.
func severityChange(to int) string          { return "severity-" + strconv.Itoa(to) }
func reopenedChange(end hive.Millis) string { return "reopened-" + strconv.FormatInt(int64(end), 10) }

// severityText tells of a severity that is raised by a detection, whose table follows.
func severityText(from, to int, table string, m marker) string {
	return "**Severity raised from " + enrich.SeverityWord(from) + " to " + enrich.SeverityWord(to) + "**\n\n" + table + m.String()
}

// reopenedText tells of a case that is reopened.
func reopenedText(end hive.Millis, table string, m marker) string {
	return "**Reopened**, since something was detected after its end, " + enrich.Stamp(end.Time()) + "\n\n" + table + m.String()
}

// markersIn finds the markers of a text.
func markersIn(text string) []marker {
	var found []marker
	for line := range strings.Lines(text) {
		part := markerLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if part == nil {
			continue
		}
		m := marker{rule: part[1] + part[2], day: part[3]}
		if part[4] != "" {
			m.ids = strings.Split(part[4], ",")
		}
		found = append(found, m)
	}
	return found
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9._:/@=+-]{1,64}$`)

// markerID is how a source id is written in a marker: as it is when it is harmless, else its hash.
func markerID(id string) string {
	if plainID.MatchString(id) {
		return id
	}
	return "sha256-" + enrich.ShortHash(id)
}

// markersOf names plans by rule and day, in order.
func markersOf(plans []enrich.Plan) []marker {
	var all []marker
	for _, p := range plans {
		i := slices.IndexFunc(all, func(m marker) bool { return m.rule == p.RuleHash && m.day == p.Day })
		if i < 0 {
			all = append(all, marker{rule: p.RuleHash, day: p.Day})
			i = len(all) - 1
		}
		if id := markerID(p.SourceID); len(all[i].ids) < maxIDs && !slices.Contains(all[i].ids, id) {
			all[i].ids = append(all[i].ids, id)
		}
	}
	return all
}

func (m marker) name() string { return m.rule + "/" + m.day }

// tellsOf tells whether a plan is of the marker's rule, and day if that matters.
func (m marker) tellsOf(p enrich.Plan) bool {
	return p.RuleHash == m.rule && (m.everyDay || p.Day == m.day)
}
