package whatif

import (
	"cmp"
	"slices"
	"time"

	"forager/enrich"
)

// outcome is what rules make of one detection, or of a part of a message that is none.
type outcome struct {
	by       ruling // the route or silence that decided
	verdict  verdict
	reason   string // why it is dropped or dead
	key      string // of its case; the organisation is part of it
	at       time.Time
	window   time.Duration // of the case; 0 or less is no limit
	severity int
	assignee string

	wants  *enrich.Threshold // what must come together first; nil is nothing
	place  place
	stored time.Time // when its message came
}

// ruling names what decided.
type ruling struct{ kind, name string }

// String is what decided, as people name it; empty where nothing of the rules did.
func (r ruling) String() string {
	if r.name == "" {
		return r.kind
	}
	return r.kind + " " + r.name
}

// place tells the detections of a stream apart.
type place struct {
	sequence uint64
	part     int
}

// verdict is what becomes of a detection.
type verdict int

const (
	absent verdict = iota // the other side has more detections of the message
	inCase
	asAlert
	dropped
	dead
	below   // it waited for others in vain
	waits   // it waits at the end
	crowded // there is no room to wait
)

// fate is what became of a detection, as far as a change of it is told.
type fate struct {
	by       ruling
	verdict  verdict
	reason   string
	severity int
	assignee string
}

// openCase is a case that may take more.
type openCase struct {
	start, last int64 // event times, ms
	window      int64 // ms; 0 or less is no limit
	severity    int
	by          *Tally // of the rule that opened it
}

// takes tells whether an event time lies in the case's span.
func (c openCase) takes(at int64) bool {
	return c.window <= 0 || at >= c.start-c.window && at <= c.last+c.window
}

// side is the world of one set of rules.
type side struct {
	Counts

	rules   map[ruling]*Tally
	open    map[string][]openCase // by key
	most    int                   // keys that are remembered
	now     int64                 // the newest event time
	waiting waiting
}

// mostKeys bounds the keys of a side: a quarter of a gigabyte.
const mostKeys = 1 << 20

func newSide(most int) *side {
	return &side{
		Counts: Counts{Tally: *newTally(), Reasons: map[string]int{}},
		rules:  map[ruling]*Tally{}, open: map[string][]openCase{}, most: most, waiting: newWaiting(mostWaiting),
	}
}

// take counts an outcome, and tells what became of it: now, or when that is known.
func (s *side) take(o outcome, tell func(fate)) {
	s.over(o.stored)
	if o.by != (ruling{}) {
		s.each(o, func(t *Tally) { t.Detections++ })
	}
	switch {
	case o.verdict == dropped || o.verdict == dead:
		s.end(o, o.verdict, o.reason, tell)
	case o.wants != nil && !s.opened(o):
		s.wait(o, tell)
	default:
		s.into(o, tell)
	}
}

// each counts for all, and for the rule.
func (s *side) each(o outcome, count func(*Tally)) {
	count(&s.Tally)
	if o.by != (ruling{}) {
		count(s.rule(o.by))
	}
}

// rule is the tally of a rule.
func (s *side) rule(by ruling) *Tally {
	if s.rules[by] == nil {
		s.rules[by] = newTally()
	}
	return s.rules[by]
}

// counts are what was counted.
func (s *side) counts() Counts {
	c := s.Counts
	c.Rules = make(map[string]*Tally, len(s.rules))
	for by, t := range s.rules {
		c.Rules[by.String()] = t
	}
	return c
}

// end counts what comes into no case.
func (s *side) end(o outcome, v verdict, reason string, tell func(fate)) {
	s.each(o, func(t *Tally) {
		switch v {
		case dropped:
			t.Dropped++
		case dead:
			t.Dead++
		case below:
			t.Below++
		case waits:
			t.Waiting++
		case crowded:
			t.Crowded++
		case absent, inCase, asAlert:
		}
	})
	if v == dropped {
		s.Reasons[reason]++
	}
	tell(fate{by: o.by, verdict: v, reason: reason})
}

// into counts what comes into a case, or becomes an alert.
func (s *side) into(o outcome, tell func(fate)) {
	if o.verdict == asAlert {
		s.each(o, func(t *Tally) { t.Alerts++ })
		tell(fate{by: o.by, verdict: asAlert})
		return
	}
	if s.merge(o) {
		s.each(o, func(t *Tally) { t.Merged++ })
	} else {
		s.each(o, func(t *Tally) {
			t.Opened++
			t.Severities[word(o.severity)]++
			t.Assignees[o.assignee]++
		})
		s.begin(o)
	}
	tell(fate{by: o.by, verdict: inCase, severity: o.severity, assignee: o.assignee})
}

// mostOfKey is how many cases of a key may take more, as the ledger remembers them.
const mostOfKey = 16

// opened tells whether a detection has a case that takes it.
func (s *side) opened(o outcome) bool { return o.verdict == inCase && s.caseOf(o) != nil }

// caseOf is the case whose span holds a detection, the latest that begins before it; nil is none.
func (s *side) caseOf(o outcome) (best *openCase) {
	at, all := o.at.UnixMilli(), s.open[o.key]
	for i := range all {
		if all[i].takes(at) && (best == nil || better(all[i], *best, at)) {
			best = &all[i]
		}
	}
	return best
}

// merge puts a detection into its case, if there is one.
func (s *side) merge(o outcome) bool {
	at, c := o.at.UnixMilli(), s.caseOf(o)
	s.now = max(s.now, at)
	if c == nil {
		return false
	}
	c.last = max(c.last, at)
	if o.severity > c.severity {
		for _, t := range []*Tally{&s.Tally, c.by} {
			raise(t.Severities, word(c.severity), word(o.severity))
		}
		c.severity = o.severity
	}
	return true
}

// raise counts a case under another word.
func raise(counts map[string]int, from, to string) {
	if counts[from]--; counts[from] == 0 {
		delete(counts, from)
	}
	counts[to]++
}

// begin opens a case.
func (s *side) begin(o outcome) {
	at := o.at.UnixMilli()
	all := append(s.open[o.key], openCase{start: at, last: at, window: o.window.Milliseconds(), severity: o.severity, by: s.rule(o.by)})
	s.open[o.key] = all[max(0, len(all)-mostOfKey):]
	if len(s.open) > s.most {
		s.forget()
	}
}

// better tells whether a case is the one for a time rather than another.
func better(a, b openCase, at int64) bool {
	if (a.start <= at) != (b.start <= at) {
		return a.start <= at
	}
	if a.start <= at {
		return a.start > b.start
	}
	return a.start < b.start
}

// forget leaves out keys whose cases are over; and, if that is not enough, half of all, the oldest first.
func (s *side) forget() {
	for key, all := range s.open {
		if !slices.ContainsFunc(all, func(c openCase) bool { return c.window <= 0 || c.last+2*c.window >= s.now }) {
			delete(s.open, key)
		}
	}
	if len(s.open) <= s.most/2 {
		return
	}
	type aged struct {
		key  string
		last int64
	}
	keys := make([]aged, 0, len(s.open))
	for key, all := range s.open {
		keys = append(keys, aged{key, slices.MaxFunc(all, func(a, b openCase) int { return cmp.Compare(a.last, b.last) }).last})
	}
	slices.SortFunc(keys, func(a, b aged) int { return cmp.Or(cmp.Compare(a.last, b.last), cmp.Compare(a.key, b.key)) })
	for _, k := range keys[:len(keys)-s.most/2] {
		delete(s.open, k.key)
	}
}

// word is a severity in words.
func word(severity int) string {
	return [...]string{"low", "medium", "high", "critical"}[min(max(severity, 1), 4)-1]
}
