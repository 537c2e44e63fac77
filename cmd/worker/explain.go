package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"forager/cmd/worker/events"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/shell"
	"forager/config"
	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/detection/malformed"
)

// explainCmd is "worker explain".
type explainCmd struct {
	configFlag

	Format     string
	FormatFile string
	Subject    string
	Why        bool
	Case       bool
	Strict     bool
	Files      []string
}

func (c *explainCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "explain", "Show what events would become, and why; without a network.", c.Run,
		shell.Arg("[FILE…]", `Files or directories of events, JSON or one a line; "-" or none is standard input.`))
	flags := cmd.Flags()
	c.addTo(flags)
	flags.StringVar(&c.Format, "format", "", "Read every event as the format `NAME` instead of recognising it.")
	formatFile(flags, &c.FormatFile)
	flags.StringVar(&c.Subject, "subject", "explain", "`SUBJECT` that the events would come on, for formats that the configuration pins to subjects.")
	flags.BoolVar(&c.Why, "why", false, "Say where in the event each value was found.")
	flags.BoolVar(&c.Case, "case", false, "Print the case instead: title, description, and the comment in a case that does not know the rule, as they would be written.")
	flags.BoolVar(&c.Strict, "strict", false, "End with 1 when an event would become a dead letter, for scripts that try a format or a forwarder.")
	cmd.Args, cmd.ValidArgsFunction = shell.Listed(&c.Files), nil // the shell completes files
	return cmd
}

// explained is one line of the output: what one detection would become. The names of its keys
// are a contract with scripts; every key is always there.
type explained struct {
	File        string                `json:"file"`
	Format      string                `json:"format"`
	ID          string                `json:"id"`
	Time        string                `json:"time"` // RFC 3339, UTC, milliseconds
	Severity    int                   `json:"severity"`
	Title       string                `json:"title"`
	Host        string                `json:"host"`
	User        string                `json:"user"`
	Link        string                `json:"link"` // the way back to the sender's console; empty is none
	Happened    explainedHappened     `json:"happened"`
	Observables []explainedObservable `json:"observables"`
	Techniques  []explainedTechnique  `json:"techniques"`
	Tags        []string              `json:"tags"`
	Dropped     *string               `json:"dropped"`   // null when the detection would be applied
	Route       string                `json:"route"`     // that decided; empty is none
	RouteWhen   string                `json:"routeWhen"` // the condition that held; empty holds always
	Silence     string                `json:"silence"`   // that holds the detection back
	Faults      []string              `json:"faults"`    // rules that failed on it and gave way to the default
	CaseKey     string                `json:"caseKey"`
	Plan        []string              `json:"plan"`

	written string            // the case, as it would be written
	Why     []explainedOrigin `json:"why,omitempty"`
}

// explainedHappened is what happened, as far as the sender says it.
type explainedHappened struct {
	Process     string `json:"process,omitempty"`
	CommandLine string `json:"commandLine,omitempty"`
	Parent      string `json:"parent,omitempty"`
	File        string `json:"file,omitempty"`
	From        string `json:"from,omitempty"`
	To          string `json:"to,omitempty"`
	Action      string `json:"action,omitempty"`
}

type explainedObservable struct {
	DataType string   `json:"dataType"`
	Data     string   `json:"data"`
	Tags     []string `json:"tags"`
}

type explainedTechnique struct {
	Found  string `json:"found"`
	ID     string `json:"id"`
	Name   string `json:"name"`
	Tactic string `json:"tactic"`
	Note   string `json:"note"`
}

type explainedOrigin struct {
	Field string `json:"field"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// errUnread says that a file of several could not be read.
var errUnread = errors.New("some files could not be read")

// errStrict says that an event would be given up.
var errStrict = errors.New("explain: some events would become dead letters")

// Run explains every event. What would become a dead letter is said in its line, and is a failure with --strict alone.
func (c *explainCmd) Run(_ context.Context, sh *shell.Shell) error {
	cfg, err := c.load(sh)
	if err != nil {
		return err
	}
	x, err := c.explainer(sh, cfg)
	if err != nil {
		return err
	}
	var unread error
	for e, err := range events.Of(c.Files, sh.In) {
		if err != nil {
			sh.Say("%v", err)
			unread = errUnread
			continue
		}
		if err := x.explain(e); err != nil {
			return fmt.Errorf("write explanation: %w", err)
		}
	}
	if c.Strict && x.given > 0 {
		return errors.Join(unread, fmt.Errorf("%w: %d of %d", errStrict, x.given, x.seen))
	}
	return unread
}

// explainer turns events into lines, with the worker's own decoder and planner.
type explainer struct {
	decoder *detection.Decoder
	planner *enrich.Planner
	out     *json.Encoder
	cases   io.Writer // for cases as they would be written; nil: lines are
	subject string
	most    int // bytes of a message

	seen, given int // events, and those that would become dead letters
}

// explainer wires what explain needs: the worker's own decoder and planner, and no network.
func (c *explainCmd) explainer(sh *shell.Shell, cfg *config.Config) (*explainer, error) {
	files := rulefiles.NewWitness()
	router, rules := rulefiles.NewRouter(cfg, files)
	decoder, formats := rulefiles.NewDecoder(cfg, files, rulefiles.Trial{Format: c.Format, File: c.FormatFile, Why: c.Why})
	catalogue, bundles := rulefiles.NewCatalogue(cfg)
	if err := config.Join(rules, formats, bundles); err != nil {
		return nil, err
	}
	out := json.NewEncoder(sh.Out)
	out.SetEscapeHTML(false)
	var cases io.Writer
	if c.Case {
		cases = sh.Out
	}
	return &explainer{
		cases:   cases,
		decoder: decoder, planner: rulefiles.NewPlanner(cfg, catalogue, nil, router, time.Now), out: out,
		subject: c.Subject, most: int(cfg.Pipeline.MaxMessageBytes),
	}, nil
}

// explain writes a line for each detection of an event, and for each part that is none.
func (x *explainer) explain(e events.Event) error {
	x.seen++
	lines, err := x.lines(e)
	if err != nil {
		x.given++
	}
	for _, line := range lines {
		if err := x.write(line); err != nil {
			return err
		}
	}
	return nil
}

// lines are what an event becomes. The error is that of a part for which its message would become a
// dead letter; it is in the lines, too.
func (x *explainer) lines(e events.Event) (lines []explained, dead error) {
	if len(e.Body) > x.most {
		dead = fmt.Errorf("message too large: %d bytes, with pipeline.maxMessageBytes %d", len(e.Body), x.most)
		return []explained{refused(e, "", dead.Error())}, dead
	}
	now := time.Now()
	got, err := x.decoder.Decode(detection.Message{Subject: x.subject, Body: e.Body, Time: now})
	if err != nil {
		return []explained{refused(e, got.Format, reasonOf(err))}, unlessDropped(err)
	}
	for i, d := range got.Detections {
		plan, err := x.planner.Plan(d, enrich.Origin{Part: i, Time: now, Subject: x.subject})
		line := explanation(e, d)
		if err != nil {
			line.refuse(reasonOf(err))
			line.decided(plan, err)
			dead = cmp.Or(dead, unlessDropped(err))
		} else {
			line.add(plan)
			if x.cases != nil {
				line.written = writtenOf(plan)
			}
		}
		lines = append(lines, line)
	}
	for _, d := range got.Dropped {
		lines = append(lines, refused(e, d.Format, d.Reason))
	}
	for _, u := range got.Unreadable {
		lines = append(lines, refused(e, "", reasonOf(u)))
		dead = cmp.Or(dead, error(u))
	}
	return lines, dead
}

// unlessDropped is nil for what the configuration drops by name: such a message is acknowledged.
func unlessDropped(err error) error {
	if enrich.ClassOf(err) == enrich.Dropped {
		return nil
	}
	return err
}

func (x *explainer) write(line explained) error {
	if x.cases == nil {
		return x.out.Encode(line)
	}
	text := line.written
	if line.Dropped != nil {
		text = "no case: " + *line.Dropped + "\n"
	}
	_, err := fmt.Fprintf(x.cases, "=== %s\n\n%s\n", shell.Shown(line.File), text)
	return err
}

// writtenOf is a case as it would be written.
func writtenOf(p enrich.Plan) string {
	opening, comment := apply.Written(p)
	return "title: " + p.Title + "\n\n--- description\n\n" + opening + "\n--- comment in a case that does not know the rule\n\n" + comment + "\n"
}

// reasonOf gives the bounded reason of an error, with what it says for people.
func reasonOf(err error) string {
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
func refused(e events.Event, format, reason string) explained {
	line := explained{
		File: e.File, Format: format, Observables: []explainedObservable{}, Techniques: []explainedTechnique{},
		Tags: []string{}, Plan: []string{}, Faults: []string{},
	}
	line.refuse(reason)
	return line
}

func (l *explained) refuse(reason string) { l.Dropped = &reason }

// explanation is the line of a detection, before it is planned.
func explanation(e events.Event, d detection.Detection) explained {
	line := explained{
		File: e.File, Format: d.Format, ID: d.ID, Time: d.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Severity: int(d.Severity), Title: d.Title, Host: d.Host, User: d.User, Link: d.Link, Happened: explainedHappened(d.Happened),
		Observables: []explainedObservable{}, Techniques: []explainedTechnique{}, Tags: []string{}, Plan: []string{}, Faults: []string{},
	}
	for _, o := range d.Observables {
		line.Observables = append(line.Observables, explainedObservable{o.DataType, o.Data, notNil(o.Tags)})
	}
	for _, r := range d.Techniques {
		line.Techniques = append(line.Techniques, explainedTechnique{Found: r.Text})
	}
	for _, w := range d.Why {
		line.Why = append(line.Why, explainedOrigin(w))
	}
	return line
}

// add tells what the plan of the detection says.
func (l *explained) add(p enrich.Plan) {
	l.Severity, l.Title, l.Tags = p.Severity, p.Title, notNil(p.Tags)
	l.CaseKey, l.Plan = p.Key.String(), p.Steps()
	l.decided(p, nil)
	l.Techniques = l.Techniques[:0]
	for _, t := range p.Techniques {
		l.Techniques = append(l.Techniques, explainedTechnique{t.Found, t.ID, t.Name, t.Tactic, t.Note})
	}
}

// decided tells which rule did.
func (l *explained) decided(p enrich.Plan, err error) {
	l.Route, l.RouteWhen, l.Faults = p.Route, p.When, notNil(p.Faults)
	if d, ok := errors.AsType[*enrich.DroppedError](err); ok && d.Reason == enrich.ReasonSilenced {
		l.Silence = d.Detail
	}
}

func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
