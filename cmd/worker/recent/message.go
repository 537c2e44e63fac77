package recent

import (
	"slices"
	"strings"
	"time"

	"forager/enrich"
	"forager/enrich/detection/canon"
	"forager/pipeline"
)

// Outcome is what became of a message, in one word.
type Outcome string

// The outcomes.
const (
	Applied Outcome = "applied"     // all of it is in TheHive
	Dropped Outcome = "dropped"     // it asked for nothing, for a reason that the configuration names
	Dead    Outcome = "dead letter" // it was given up
	Again   Outcome = "again"       // it went back, and comes again
)

// Outcomes are all outcomes, in the order in which people are told.
func Outcomes() []Outcome { return []Outcome{Applied, Dropped, Dead, Again} }

// outcomeOf tells what a settlement did.
func outcomeOf(s *pipeline.Settlement) Outcome {
	switch {
	case s.Action == pipeline.ActionDeadLetter:
		return Dead
	case s.Action != pipeline.ActionAck:
		return Again
	case s.Class == enrich.Dropped:
		return Dropped
	default:
		return Applied
	}
}

// Bounds of what is kept of a message.
const (
	mostText       = 160 // characters of a title or an error
	mostName       = 80  // of a host, a format, a subject
	mostTechniques = 8
	mostCases      = 4
)

// Message is what is kept of one settled message.
type Message struct {
	Stream     string
	Sequence   uint64    // in the stream
	At         time.Time // when it was settled
	Subject    string
	Format     string // empty: nobody could read it
	Title      string // of the first detection that was applied; empty without one
	Host       string // of the same
	Severity   int    // of the same, 1–4; 0 is none
	Techniques []string
	More       int // techniques beyond those
	Detections int
	Outcome    Outcome
	Reason     string // bounded words; empty where there is none
	Detail     string // what the error says; empty where there is none
	Tries      int    // failed applies
	Took       time.Duration
	Cases      []enrich.Landing
}

// messageOf copies what is kept, so that nothing of the event stays.
func messageOf(s *pipeline.Settlement, at time.Time) Message {
	m := Message{
		Stream: s.Stream, Sequence: s.Sequence, At: at, Subject: short(s.Subject, mostName), Format: short(s.Format, mostName),
		Detections: s.Plans, Outcome: outcomeOf(s), Tries: s.Tries, Took: s.Held,
		Cases: slices.Clone(s.Cases[:min(len(s.Cases), mostCases)]),
	}
	if s.Reason != "none" {
		m.Reason = short(s.Reason, mostName)
	}
	if s.Err != nil {
		m.Detail = short(s.Err.Error(), mostText)
	}
	if p := s.First; p != nil {
		m.Title, m.Severity, m.Host = short(p.Title, mostText), p.Severity, short(hostOf(p), mostName)
		m.Techniques, m.More = techniquesOf(p)
	}
	return m
}

// hostOf is the host that the plan's case is found by, else the one that its detection is about, else what the case
// is found by.
func hostOf(p *enrich.Plan) string {
	if p.Key.Kind == "host" {
		return p.Key.Value
	}
	for _, o := range p.Observables {
		if (o.DataType == "hostname" || o.DataType == "fqdn") && slices.Contains(o.Tags, "host") {
			return o.Data
		}
	}
	return p.Key.Value
}

// techniquesOf are the ids of a plan's techniques, each once.
func techniquesOf(p *enrich.Plan) (ids []string, more int) {
	for _, t := range p.Techniques {
		id := t.ID
		if id == "" {
			id = t.Reported
		}
		switch {
		case id == "" || slices.Contains(ids, id):
		case len(ids) == mostTechniques:
			more++
		default:
			ids = append(ids, strings.Clone(id))
		}
	}
	return ids, more
}

// short is a copy of a text, fit to be shown, of at most so many characters.
func short(text string, most int) string { return strings.Clone(canon.Line(text, most)) }
