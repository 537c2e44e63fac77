package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"forager/cmd/worker/events"
	"forager/cmd/worker/explanation"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
	"forager/enrich"
	"forager/enrich/detection"
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
	JSON       bool
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
	flags.BoolVar(&c.JSON, "json", false, "Write one JSON line for each detection on a terminal, too, as is done elsewhere.")
	flags.BoolVar(&c.Strict, "strict", false, "End with 1 when an event would become a dead letter, for scripts that try a format or a forwarder.")
	cmd.Args, cmd.ValidArgsFunction = shell.Listed(&c.Files), nil // the shell completes files
	return cmd
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
	explanation.Explainer

	out     *json.Encoder
	people  *terminal.Screen // instead of out; nil: scripts read it
	cases   io.Writer        // for cases as they would be written; nil: lines are
	subject string

	seen, given int // events, and those that would become dead letters
	shown       int // lines for people
}

// explainer wires what explain needs: the worker's own decoder and planner, and no network.
func (c *explainCmd) explainer(sh *shell.Shell, cfg *config.Config) (*explainer, error) {
	files, asked := rulefiles.NewWitness(), new(rulefiles.Asked)
	router, rules := rulefiles.NewAskedRouter(cfg, files, asked)
	decoder, formats := rulefiles.NewDecoder(cfg, files, rulefiles.Trial{Format: c.Format, File: c.FormatFile, Why: c.Why})
	catalogue, bundles := rulefiles.NewCatalogue(cfg)
	if err := config.Join(rules, formats, bundles); err != nil {
		return nil, err
	}
	x := &explainer{
		Explainer: explanation.Explainer{
			Decoder: decoder, Planner: rulefiles.NewPlanner(cfg, catalogue, nil, router, time.Now),
			Most: int(cfg.Pipeline.MaxMessageBytes), Texts: c.Case, Related: cfg.Case.Related,
			Asked: func() (all []explanation.Lookup) {
				for _, a := range asked.Take() {
					all = append(all, explanation.Lookup(a))
				}
				return all
			},
		},
		out: json.NewEncoder(sh.Out), subject: c.Subject,
	}
	x.out.SetEscapeHTML(false)
	if people := terminal.Out(sh); people.Terminal() && !c.JSON {
		x.people = people
	}
	if c.Case {
		x.cases = sh.Out
	}
	return x, nil
}

// explain writes a line for each detection of an event, and for each part that is none.
func (x *explainer) explain(e events.Event) error {
	x.seen++
	now := time.Now()
	lines, err := x.Explain(e.File, detection.Message{Subject: x.subject, Body: e.Body, Time: now}, enrich.Origin{Time: now, Subject: x.subject})
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

func (x *explainer) write(line explanation.Line) error {
	switch {
	case x.cases != nil:
	case x.people != nil:
		if x.shown++; x.shown > 1 {
			x.people.Blank()
		}
		line.Show(x.people)
		return x.people.Failed()
	default:
		return x.out.Encode(line)
	}
	text := "title: " + line.Title + "\n\n--- description\n\n" + line.Opening + "\n--- comment in a case that does not know the rule\n\n" + line.Comment + "\n"
	if line.Dropped != nil {
		text = "no case: " + *line.Dropped + "\n"
	}
	_, err := fmt.Fprintf(x.cases, "=== %s\n\n%s\n", shell.Shown(line.File), text)
	return err
}
