package whatif

import (
	"cmp"
	"slices"
	"time"
)

// outcome is what rules make of one detection, or of a part of a message that is none.
type outcome struct {
	rule     string // the route or silence that decided, as people name it
	verdict  verdict
	reason   string // why it is dropped or dead
	key      string // of its case; the organisation is part of it
	at       time.Time
	window   time.Duration // of the case; 0 or less is no limit
	severity int
	assignee string
}

// verdict is what becomes of a detection.
type verdict int

const (
	inCase verdict = iota
	asAlert
	dropped
	dead
)

// openCase is a case that may take more.
type openCase struct {
	start, last int64 // event times, ms
	window      int64 // ms; 0 or less is no limit
	severity    int
}

// takes tells whether an event time lies in the case's span.
func (c openCase) takes(at int64) bool {
	return c.window <= 0 || at >= c.start-c.window && at <= c.last+c.window
}

// Counts are what one set of rules makes of the stream.
type Counts struct {
	Detections int            `json:"detections"`
	Opened     int            `json:"opened"`
	Merged     int            `json:"merged"` // into a case that was there
	Alerts     int            `json:"alerts"`
	Dropped    int            `json:"dropped"`
	Reasons    map[string]int `json:"reasons"` // why
	Dead       int            `json:"deadLetters"`
	Severities map[string]int `json:"severities"` // of cases
	Assignees  map[string]int `json:"assignees"`  // of cases; "" is nobody
	Rules      map[string]int `json:"rules"`      // detections that each decided on
	Opens      map[string]int `json:"opens"`      // cases that each opened
}

// side is the world of one set of rules.
type side struct {
	Counts

	open map[string][]openCase // by key
	most int                   // keys that are remembered
	now  int64                 // the newest event time
}

// mostKeys bounds the keys of a side: a quarter of a gigabyte.
const mostKeys = 1 << 20

func newSide(most int) *side {
	return &side{open: map[string][]openCase{}, most: most, Counts: Counts{
		Reasons: map[string]int{}, Severities: map[string]int{}, Assignees: map[string]int{}, Rules: map[string]int{}, Opens: map[string]int{},
	}}
}

// take counts an outcome, and tells what it does.
func (s *side) take(o outcome) (did string) {
	if o.rule != "" {
		s.Rules[o.rule]++
	}
	switch o.verdict {
	case dropped:
		s.Dropped++
		s.Reasons[o.reason]++
		return "dropped (" + o.reason + ")"
	case dead:
		s.Dead++
		return "dead letter (" + o.reason + ")"
	case asAlert:
		s.Detections++
		s.Alerts++
		return "an alert"
	case inCase:
	}
	s.Detections++
	if s.merge(o) {
		s.Merged++
		return "in a case"
	}
	s.Opened++
	s.Opens[o.rule]++
	s.Severities[word(o.severity)]++
	s.Assignees[o.assignee]++
	return "in a case"
}

// mostOfKey is how many cases of a key may take more, as the ledger remembers them.
const mostOfKey = 16

// merge puts a detection into the case whose span holds it, the latest that begins before it; else opens one.
func (s *side) merge(o outcome) bool {
	at, all := o.at.UnixMilli(), s.open[o.key]
	s.now = max(s.now, at)
	best := -1
	for i, c := range all {
		if c.takes(at) && (best < 0 || better(c, all[best], at)) {
			best = i
		}
	}
	if best >= 0 {
		c := &all[best]
		c.last = max(c.last, at)
		if o.severity > c.severity {
			s.Severities[word(c.severity)]--
			s.Severities[word(o.severity)]++
			c.severity = o.severity
		}
		return true
	}
	all = append(all, openCase{start: at, last: at, window: o.window.Milliseconds(), severity: o.severity})
	s.open[o.key] = all[max(0, len(all)-mostOfKey):]
	if len(s.open) > s.most {
		s.forget()
	}
	return false
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
