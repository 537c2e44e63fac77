package explanation

import (
	"cmp"
	"errors"
	"fmt"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/detection/malformed"
	"forager/enrich/related"
)

// Line is what one detection would become. The names of its keys
// are a contract with scripts; every key is always there.
type Line struct {
	File        string       `json:"file"`
	Format      string       `json:"format"`
	ID          string       `json:"id"`
	Time        string       `json:"time"` // RFC 3339, UTC, milliseconds
	Severity    int          `json:"severity"`
	Title       string       `json:"title"`
	Host        string       `json:"host"`
	User        string       `json:"user"`
	Link        string       `json:"link"` // the way back to the sender's console; empty is none
	Happened    Happened     `json:"happened"`
	Observables []Observable `json:"observables"`
	Techniques  []Technique  `json:"techniques"`
	Tags        []string     `json:"tags"`
	Dropped     *string      `json:"dropped"`   // null when the detection would be applied
	Route       string       `json:"route"`     // that decided; empty is none
	RouteWhen   string       `json:"routeWhen"` // the condition that held; empty holds always
	Silence     string       `json:"silence"`   // that holds the detection back
	Faults      []string     `json:"faults"`    // rules that failed on it and gave way to the default
	CaseKey     string       `json:"caseKey"`
	Plan        []string     `json:"plan"`
	Related     *Related     `json:"related"` // null: a case of it would not be looked at
	Lookups     []Lookup     `json:"lookups"` // rows that rules asked for, each once

	// Opening and Comment are, of a detection that would be applied, the description of a case that it opens and the
	// comment in a case that does not know its rule, in Markdown.
	Opening string `json:"-"`
	Comment string `json:"-"`

	Why []Origin `json:"why,omitempty"`
}

// Happened is what happened, as far as the sender says it.
type Happened struct {
	Process     string `json:"process,omitempty"`
	CommandLine string `json:"commandLine,omitempty"`
	Parent      string `json:"parent,omitempty"`
	File        string `json:"file,omitempty"`
	From        string `json:"from,omitempty"`
	To          string `json:"to,omitempty"`
	Action      string `json:"action,omitempty"`
}

// Observable is one that would be added to the case.
type Observable struct {
	DataType string   `json:"dataType"`
	Data     string   `json:"data"`
	Tags     []string `json:"tags"`
}

// Related says by which values other open cases would be looked for, should the detection open a case.
type Related struct {
	By      []Value   `json:"by"`
	LeftOut []LeftOut `json:"leftOut"`
}

// Value is one by which cases are looked for.
type Value struct {
	DataType string `json:"dataType"`
	Data     string `json:"data"`
}

// LeftOut is one by which they are not, though it is of a kind that says something.
type LeftOut struct {
	Value

	Why string `json:"why"`
}

// Lookup is a row that rules asked a table for.
type Lookup struct {
	Table string            `json:"table"`
	Key   string            `json:"key"`
	Row   map[string]string `json:"row"` // its cells by column; null: there is none
}

// Technique is one that would be recorded, and how it was found.
type Technique struct {
	Found  string `json:"found"`
	ID     string `json:"id"`
	Name   string `json:"name"`
	Tactic string `json:"tactic"`
	Note   string `json:"note"`
}

// Origin is where in the event a value was found.
type Origin struct {
	Field string `json:"field"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// Decoder reads messages.
type Decoder interface {
	Decode(m detection.Message) (detection.Result, error)
}

// Planner decides what detections ask for.
type Planner interface {
	Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error)
}

// Explainer explains messages with a worker's own decoder and planner.
type Explainer struct {
	Decoder Decoder // one that explains fills in Why
	Planner Planner
	Most    int  // bytes of a message; larger ones are refused
	Texts   bool // fill in Opening and Comment
	Related bool // new cases are linked with others

	Asked func() []Lookup // takes what the planner's rules asked since the last call; nil: not known
}

// Explain tells what a message becomes: a line for each detection, and for each part that is none. file names it for
// people; from is where it comes from. The error is that of a part for which it would become a dead letter.
func (x Explainer) Explain(file string, m detection.Message, from enrich.Origin) (lines []Line, dead error) {
	if len(m.Body) > x.Most {
		dead = fmt.Errorf("message too large: %d bytes, with pipeline.maxMessageBytes %d", len(m.Body), x.Most)
		return []Line{refused(file, "", dead.Error())}, dead
	}
	got, err := x.Decoder.Decode(m)
	if err != nil {
		return []Line{refused(file, got.Format, ReasonOf(err))}, unlessDropped(err)
	}
	for i, d := range got.Detections {
		from.Part = i
		line, err := x.line(file, d, from)
		lines, dead = append(lines, line), cmp.Or(dead, err)
	}
	for _, d := range got.Dropped {
		lines = append(lines, refused(file, d.Format, d.Reason))
	}
	for _, u := range got.Unreadable {
		lines = append(lines, refused(file, "", ReasonOf(u)))
		dead = cmp.Or(dead, error(u))
	}
	return lines, dead
}

// line is what one detection becomes.
func (x Explainer) line(file string, d detection.Detection, from enrich.Origin) (Line, error) {
	plan, err := x.Planner.Plan(d, from)
	line := LineOf(file, d)
	if x.Asked != nil {
		line.Lookups = append(line.Lookups, x.Asked()...)
	}
	if err != nil {
		line.refuse(ReasonOf(err))
		line.decided(plan, err)
		return line, unlessDropped(err)
	}
	line.add(plan)
	if x.Related && !plan.AsAlert {
		line.Related = relatedBy(plan)
	}
	if x.Texts {
		line.Opening, line.Comment = apply.Written(plan)
	}
	return line, nil
}

// relatedBy says by which values the plan's case would be looked for in others.
func relatedBy(p enrich.Plan) *Related {
	r := Related{By: []Value{}, LeftOut: []LeftOut{}}
	for _, o := range related.Of(p.Observables) {
		r.By = append(r.By, Value{o.DataType, o.Data})
	}
	for _, l := range related.Left(p.Observables) {
		r.LeftOut = append(r.LeftOut, LeftOut{Value{l.DataType, l.Data}, l.Why})
	}
	return &r
}

// unlessDropped is nil for what the configuration drops by name: such a message is acknowledged.
func unlessDropped(err error) error {
	if enrich.ClassOf(err) == enrich.Dropped {
		return nil
	}
	return err
}

// ReasonOf gives the bounded reason of an error, with what it says for people.
func ReasonOf(err error) string {
	reason := enrich.ReasonOf(err)
	if m, ok := errors.AsType[*malformed.Error](err); ok && m.Detail != "" {
		return reason + ": " + m.Detail
	}
	if d, ok := errors.AsType[*enrich.DroppedError](err); ok && d.Detail != "" {
		return reason + ": " + d.Detail
	}
	if m, ok := errors.AsType[*enrich.MalformedError](err); ok && m.Detail != "" {
		return reason + ": " + m.Detail
	}
	return reason
}

// refused is the line of an event that becomes nothing.
func refused(file, format, reason string) Line {
	line := Line{
		File: file, Format: format, Observables: []Observable{}, Techniques: []Technique{},
		Tags: []string{}, Plan: []string{}, Faults: []string{}, Lookups: []Lookup{},
	}
	line.refuse(reason)
	return line
}

func (l *Line) refuse(reason string) { l.Dropped = &reason }

// LineOf is the line of a detection, before it is planned.
func LineOf(file string, d detection.Detection) Line {
	line := Line{
		File: file, Format: d.Format, ID: d.ID, Time: d.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Severity: int(d.Severity), Title: d.Title, Host: d.Host, User: d.User, Link: d.Link, Happened: Happened(d.Happened),
		Observables: []Observable{}, Techniques: []Technique{}, Tags: []string{}, Plan: []string{}, Faults: []string{}, Lookups: []Lookup{},
	}
	for _, o := range d.Observables {
		line.Observables = append(line.Observables, Observable{o.DataType, o.Data, orEmpty(o.Tags)})
	}
	for _, r := range d.Techniques {
		line.Techniques = append(line.Techniques, Technique{Found: r.Text})
	}
	for _, w := range d.Why {
		line.Why = append(line.Why, Origin(w))
	}
	return line
}

// add tells what the plan of the detection says.
func (l *Line) add(p enrich.Plan) {
	l.Severity, l.Title, l.Tags = p.Severity, p.Title, orEmpty(p.Tags)
	l.CaseKey, l.Plan = p.Key.String(), p.Steps()
	l.decided(p, nil)
	l.Techniques = l.Techniques[:0]
	for _, t := range p.Techniques {
		l.Techniques = append(l.Techniques, Technique{t.Found, t.ID, t.Name, t.Tactic, t.Note})
	}
}

// decided tells which rule did.
func (l *Line) decided(p enrich.Plan, err error) {
	l.Route, l.RouteWhen, l.Faults = p.Route, p.When, orEmpty(p.Faults)
	if d, ok := errors.AsType[*enrich.DroppedError](err); ok && d.Reason == enrich.ReasonSilenced {
		l.Silence = d.Detail
	}
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
