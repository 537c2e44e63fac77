package prove

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"forager/cmd/worker/terminal"
)

// Report is what a proof found. The names of its JSON keys are a contract with scripts.
type Report struct {
	Messages    int            `json:"messages"`
	InCases     int            `json:"inCases"`
	InAlerts    int            `json:"inAlerts"`  // of routes that want alerts
	ByJournal   int            `json:"byJournal"` // of these, such that nothing but the journal says so
	ByKey       int            `json:"byKey"`     // of these, such that nothing but the case's key is in the message
	Dropped     int            `json:"dropped"`
	Reasons     map[string]int `json:"reasons"` // why they were dropped
	DeadLetters int            `json:"deadLetters"`
	Waiting     int            `json:"waiting"`     // for the consumer, or below a threshold
	Removed     int            `json:"removed"`     // effects that an analyst took away
	Unaccounted int            `json:"unaccounted"` // settled, in no case, and without a journal nobody can say why
	Cases       int            `json:"cases"`
	Alerts      int            `json:"alerts"`
	Faults      []Fault        `json:"faults"`
	Unknown     []string       `json:"unknown"` // what the proof cannot know, in words
}

// Fault is something that is not as it was promised.
type Fault struct {
	Kind     Kind   `json:"kind"`
	Sequence uint64 `json:"sequence,omitempty"` // of the message
	Case     int    `json:"case,omitempty"`     // its number
	What     string `json:"what"`               // the evidence
}

// Kind is what is wrong, of a bounded vocabulary.
type Kind string

// The kinds of faults.
const (
	Lost                 Kind = "lost"
	EffectMissing        Kind = "effect missing"
	EffectDoubled        Kind = "effect doubled"
	WithoutMessage       Kind = "effect without message"
	DatedWrongly         Kind = "dated wrongly"
	CaseDoubled          Kind = "case doubled"
	CaseMissing          Kind = "case missing"
	LetterMissing        Kind = "letter missing"
	LetterDoubled        Kind = "letter doubled"
	LetterAltered        Kind = "letter altered"
	LetterWithoutMessage Kind = "letter without message"
	LineMissing          Kind = "line missing"
	LineAltered          Kind = "line altered"
	LineContradicts      Kind = "line contradicts"
	LineWithoutMessage   Kind = "line without message"
)

// mostFaults bounds what is kept of faults; the rest is counted.
const mostFaults = 100_000

func (p *proof) fault(f Fault) {
	if len(p.report.Faults) < mostFaults {
		p.report.Faults = append(p.report.Faults, f)
	}
}

func (r *Report) reason(why string) {
	if r.Reasons == nil {
		r.Reasons = map[string]int{}
	}
	r.Reasons[why]++
}

// finish says what is not known, and orders the faults.
func (r *Report) finish(p *proof) {
	for _, c := range p.cases {
		if c.alert == "" {
			r.Cases++
		} else {
			r.Alerts++
		}
	}
	say := func(so bool, what string) {
		if so {
			r.Unknown = append(r.Unknown, what)
		}
	}
	say(p.config.Journal.Stream == "", "there is no journal (journal.stream): of a message in no case nobody can say whether it was dropped, and why; nor whether one that was acknowledged had its effect before")
	say(p.config.Journal.Stream != "" && p.begun == 0, "the journal is empty")
	say(p.begun > p.place.first, fmt.Sprintf("the journal begins at message %d: of older ones nobody can say why they are in no case", p.begun))
	say(r.Unaccounted > 0, fmt.Sprintf("%d messages are settled and in no case; routes, silences or formats may have dropped them, or keyed them by what they made of the event", r.Unaccounted))
	say(len(p.config.AllowLists) > 0, "values on allow-lists are no observables: which, is not asked, so that no single observable is missed")
	say(!p.whole(), "the stream has not all that it ever had: effects without a message are not looked for")
	say(r.ByJournal > 0, fmt.Sprintf("of %d messages only the journal says in which case they are", r.ByJournal))
	say(r.ByKey > 0, fmt.Sprintf("of %d messages only the key says in which case they are: one that was dropped may be among them", r.ByKey))
	if r.Faults == nil {
		r.Faults = []Fault{}
	}
	slices.SortStableFunc(r.Faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Case, b.Case), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.What, b.What))
	})
}

// shownFaults are shown to people; scripts see all.
const shownFaults = 100

// Write writes a report for people: what is wrong first.
func Write(to *terminal.Screen, r Report) error {
	writeFaults(to, r.Faults)
	l := terminal.NewList(0)
	row := func(name, format string, args ...any) {
		l.Row(terminal.Heading.Of(name), terminal.Plain.Of(fmt.Sprintf(format, args...)))
	}
	row("messages", "%d", r.Messages)
	row("in cases", "%d of %d cases", r.InCases, r.Cases)
	if r.Alerts > 0 {
		row("in alerts", "%d of %d alerts", r.InAlerts, r.Alerts)
	}
	if r.Removed > 0 {
		row("removed by analysts", "%d observables and techniques", r.Removed)
	}
	row("dropped", "%d%s", r.Dropped, reasons(r.Reasons))
	row("dead letters", "%d", r.DeadLetters)
	row("waiting", "%d", r.Waiting)
	row("unaccounted", "%d", r.Unaccounted)
	faults := terminal.Good
	if len(r.Faults) > 0 {
		faults = terminal.Bad
	}
	l.Row(terminal.Heading.Of("faults"), faults.Of(strconv.Itoa(len(r.Faults))), terminal.Plain.Of(kinds(r.Faults)))
	for _, u := range r.Unknown {
		l.Row(terminal.Warning.Of("not known"), terminal.Plain.Of(u))
	}
	to.List(l)
	return to.Failed()
}

// writeFaults writes the first faults, each with its evidence.
func writeFaults(to *terminal.Screen, all []Fault) {
	if len(all) == 0 {
		return
	}
	t := terminal.NewTable(terminal.Column{}, terminal.Column{}, terminal.Column{}, terminal.Column{Fold: true})
	for _, f := range all[:min(len(all), shownFaults)] {
		t.Row(terminal.Bad.Of("! "+string(f.Kind)), terminal.Plain.Of(named("message", f.Sequence)), terminal.Plain.Of(named("case", uint64(max(f.Case, 0)))), terminal.Plain.Of(line1(f.What)))
	}
	to.Table(t)
	if more := len(all) - shownFaults; more > 0 {
		to.Line(0, terminal.Plain.Of(fmt.Sprintf("… %d more (--json shows all)", more)))
	}
	to.Blank()
}

// kinds are the kinds of faults, and how many there are of each.
func kinds(all []Fault) string {
	counts := map[Kind]int{}
	for _, f := range all {
		counts[f.Kind]++
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	return bracketed(parts)
}

func named(what string, n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s %d", what, n)
}

func reasons(all map[string]int) string {
	parts := make([]string, 0, len(all))
	for _, why := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, fmt.Sprintf("%s %d", line1(why), all[why]))
	}
	return bracketed(parts)
}

func bracketed(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// line1 is a stranger's text on one line, without what steers a terminal.
func line1(s string) string {
	const most = 300
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	for len(s) > most {
		_, last := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-last]
	}
	return s
}
