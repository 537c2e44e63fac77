package enrich

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/enrich/markdown"
)

// Everything that comes from an event passes package markdown before it stands in Markdown.

// Raw says which detections stand in the case as the event that was sent.
type Raw string

// The choices of [PlannerOptions].Raw.
const (
	RawFirst Raw = "first" // the first of the case, and of each rule
	RawAll   Raw = "all"   // all that the description tells of
	RawNone  Raw = "none"
)

// Description is the opening text of the case in Markdown, safe, without the marker. It is made
// each time it is asked for, since most detections open no case.
func (p Plan) Description() string {
	if p.text != nil {
		return *p.text + p.notes
	}
	return p.Telling() + p.notes
}

// Telling tells all of the detection in Markdown, safe: one line that says it, a table of who, where from, what and
// by which rule, the log line, and the event as it was sent.
func (p Plan) Telling() string {
	if p.said == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString(p.headline() + "\n\n" + p.table())
	if text := p.said.Description; text != "" && text != p.said.Title && text != p.said.Happened.CommandLine {
		b.WriteString("\n")
		if isLogged(text) {
			b.WriteString(NoMarker(markdown.Block(text, "")))
		} else {
			b.WriteString(markdown.Text(text) + "\n")
		}
	}
	b.WriteString(p.event())
	return b.String()
}

// headline says in one line what was detected, by what, and how bad it is.
func (p Plan) headline() string {
	rule := ""
	if id, name := p.said.Rule.ID, p.said.Rule.Name; id != "" && (name == "" || !strings.Contains(id, name)) {
		rule = ", rule " + markdown.Line(id)
	}
	return "**" + markdown.Line(p.Title) + "** (" + markdown.Line(p.Format) + rule + ", severity " + SeverityWord(p.Severity) + ")"
}

// SeverityWord is a severity of TheHive in words.
func SeverityWord(severity int) string {
	return [...]string{"low", "medium", "high", "critical"}[min(max(severity, 1), 4)-1]
}

// mostCell bounds a value in a table, in UTF-16 units; what is longer stands in the event.
const mostCell = 1000

// table is a table of two columns of what the detection says.
func (p Plan) table() string {
	d, h := p.said, p.said.Happened
	var b strings.Builder
	b.WriteString("| | |\n|---|---|\n")
	row := func(name, written string) {
		if written != "" {
			b.WriteString("| " + name + " | " + written + " |\n")
		}
	}
	value := func(s string) string { return markdown.Cell(canon.Line(s, mostCell)) }
	row("When", Stamp(p.At))
	row("Host", value(d.Host))
	row("User", value(d.User))
	row("From", value(cmp.Or(h.From, d.IP)))
	row("To", value(h.To))
	row("Process", value(h.Process))
	row("Command line", value(h.CommandLine))
	row("Parent", value(h.Parent))
	row("File", value(h.File))
	row("Action", value(h.Action))
	row("Rule", markdown.CellText(strings.TrimSpace(canon.Line(cmp.Or(d.Rule.Name, d.Rule.ID), mostCell))))
	row("Techniques", p.techniqueNames())
	row("Source", p.source())
	row("Key", value(p.Key.String()))
	row("Id", value(p.SourceID))
	for _, r := range p.rows {
		row(markdown.CellText(canon.Line(r.Name, mostCell)), value(r.Value))
	}
	for _, kind := range sortedKeys(d.LeftOut) {
		row("Left out", markdown.CellText(kind+": "+strconv.Itoa(d.LeftOut[kind])+" over the limit"))
	}
	return b.String()
}

// Stamp writes a time as people read it: UTC, without a fraction of nothing.
func Stamp(t time.Time) string {
	if t.Nanosecond() == 0 {
		return t.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return t.UTC().Format("2006-01-02 15:04:05.000 UTC")
}

// StampMilli is Stamp of milliseconds since 1970.
func StampMilli(ms int64) string { return Stamp(time.UnixMilli(ms)) }

// techniqueNames names the techniques that became procedures.
func (p Plan) techniqueNames() string {
	var all []string
	for _, t := range p.Techniques {
		if t.ID == "" {
			continue
		}
		name := t.Name
		if t.Tactic != "" {
			name += " (" + t.Tactic + ")"
		}
		all = append(all, techniqueCell(t.ID, name))
	}
	return strings.Join(all, ", ")
}

// techniqueCell writes a technique for a cell of a table.
func techniqueCell(id, name string) string {
	written := markdown.CellText(id)
	if strings.Trim(id, "T0123456789.") == "" {
		written = id // no host is called so
	}
	return strings.TrimSpace(written + " " + markdown.CellText(name))
}

// source names what sent the detection, and leads back to its console.
func (p Plan) source() string {
	s := markdown.CellText(canon.Line(cmp.Or(p.said.Source, p.Format), mostCell))
	if p.said.Link != "" {
		s += ", " + markdown.Link(p.said.Link)
	}
	return s
}

// event is the event as it was sent.
func (p Plan) event() string {
	if p.raw == RawNone {
		return ""
	}
	said := p.said.Original.Read()
	if said.Text == "" || !said.JSON && said.Text == p.said.Description {
		return ""
	}
	title, language := "Event as it was sent:", ""
	if said.JSON {
		language = "json"
	}
	if !said.Whole {
		title = "The first " + strconv.Itoa(detection.MaxOriginal>>10) + " KiB of the event as it was sent:"
	}
	return "\n" + title + "\n\n" + NoMarker(markdown.Block(said.Text, language))
}

// NoMarker keeps lines of an event in a block of code from passing for a marker of Forager's, by a space.
func NoMarker(block string) string {
	return strings.ReplaceAll(block, "\n`forager:", "\n `forager:")
}

// logged is how log lines begin, and what they hold.
var (
	loggedBegins = regexp.MustCompile(`^(?:<[0-9]+>|[{\[<]|[0-9]{4}-[0-9]{2}-[0-9]{2}|[A-Z][a-z]{2} +[0-9]{1,2} [0-9]{2}:|[0-9]{2}:[0-9]{2}:[0-9]{2})`)
	loggedHolds  = regexp.MustCompile(`(?s)\b[\w.-]+=\S.*\b[\w.-]+=\S|\]: |\t`)
)

// isLogged tells a log line from a sentence.
func isLogged(s string) bool { return loggedBegins.MatchString(s) || loggedHolds.MatchString(s) }

// Sighting is what a table of detections tells of one: short texts, as sent.
type Sighting struct {
	At       int64  // event time, ms
	Title    string // what happened; empty where that is the rule's name
	Rule     string // its name
	Severity int
	User     string
	From     string
	To       string
	Process  string
	File     string
	ID       string
	Link     string // to the sender's console

	Techniques []string // those that became procedures, written for a cell of a table, without commas
}

// mostSighting bounds each text of a sighting, in UTF-16 units.
const mostSighting = 80

// Sighting is what tables of detections tell of this one.
func (p Plan) Sighting() Sighting {
	s := Sighting{At: p.At.UnixMilli(), Severity: p.Severity, ID: canon.Line(p.SourceID, mostSighting)}
	for _, t := range p.Techniques {
		if written := techniqueCell(t.ID, strings.ReplaceAll(canon.Line(t.Name, mostSighting), ",", " ")); t.ID != "" && !slices.Contains(s.Techniques, written) {
			s.Techniques = append(s.Techniques, written)
		}
	}
	if p.said == nil {
		s.Rule = canon.Line(cmp.Or(p.Rule.Name, p.Title), mostSighting)
		return s
	}
	d, h := p.said, p.said.Happened
	s.Rule = canon.Line(cmp.Or(d.Rule.Name, d.Title, d.Rule.ID), mostSighting)
	if d.Title != d.Rule.Name {
		s.Title = canon.Line(d.Title, mostSighting)
	}
	s.User = canon.Line(d.User, mostSighting)
	s.From, s.To = canon.Line(cmp.Or(h.From, d.IP), mostSighting), canon.Line(h.To, mostSighting)
	s.Process, s.File = canon.Line(h.Process, mostSighting), canon.Line(h.File, mostSighting)
	if len(d.Link) <= mostLink {
		s.Link = d.Link
	}
	return s
}

// mostLink bounds the address of a sighting, in bytes; a longer one stands where the detection is told in full.
const mostLink = 300
