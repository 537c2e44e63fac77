package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"forager/cmd/worker/events"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
	"forager/enrich/detection/canon"
	"forager/pipeline/intake"
	"forager/pipeline/stream"
)

// publishCmd is "worker publish".
type publishCmd struct {
	configFlag

	Subject string
	Wait    bool
	Within  time.Duration
	JSON    bool
	Files   []string
}

func (c *publishCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "publish", "Send events into the stream as a forwarder does, and see what becomes of each.", c.Run,
		shell.Arg("[FILE…]", `Files or directories of events, JSON or one a line; "-" or none is standard input.`))
	flags := cmd.Flags()
	c.addTo(flags)
	flags.StringVar(&c.Subject, "subject", "", "`SUBJECT` to send to; the first of nats.subjects, with test for its wildcard, when it is not given.")
	flags.BoolVar(&c.Wait, "wait", false, "Wait until a worker is done with each, and say which case it is in, or why in none; ends with 1 for a dead letter.")
	flags.DurationVar(&c.Within, "within", time.Minute, "How long to wait for one event.")
	flags.BoolVar(&c.JSON, "json", false, "Write one JSON line for each event.")
	cmd.Args, cmd.ValidArgsFunction = shell.Listed(&c.Files), nil // the shell completes files
	return cmd
}

// published is one event as JSON. The names of its keys are a contract with scripts.
type published struct {
	File     string          `json:"file"`
	Subject  string          `json:"subject"`
	Stream   string          `json:"stream"`
	Sequence uint64          `json:"sequence"`
	Outcome  string          `json:"outcome"` // stored, and with --wait: acknowledged, dropped, dead letter, waiting
	Cases    []publishedCase `json:"cases,omitempty"`
	Dropped  []string        `json:"dropped,omitempty"`
	Letter   uint64          `json:"letter,omitempty"` // number of the dead letter
	Reason   string          `json:"reason,omitempty"` // of the dead letter, or why it waits
}

type publishedCase struct {
	Number int    `json:"number"` // 0: TheHive shows no case with the tag of the key
	Title  string `json:"title"`
	Key    string `json:"key"`
	Waits  string `json:"waits,omitempty"` // what it waits for, below a threshold of its route
	Alert  string `json:"alert,omitempty"` // type;source;reference, where it is an alert and part of no case
}

// Outcomes of an event.
const (
	outcomeStored       = "stored"
	outcomeAcknowledged = "acknowledged"
	outcomeDropped      = "dropped"
	outcomeDeadLetter   = "dead letter"
	outcomeWaiting      = "waiting"
)

// errNotArrived says that an event did not get where it should.
var errNotArrived = errors.New("publish: some events became dead letters, or are not settled")

// Run sends.
func (c *publishCmd) Run(ctx context.Context, sh *shell.Shell) error {
	files, needed := rulefiles.NewWitness(), []string{config.ToNATS}
	if c.Wait {
		needed = append(needed, config.ToHive)
	}
	cfg, err := c.loadBy(files, sh, needed...)
	if err != nil {
		return err
	}
	if c.Subject == "" {
		c.Subject = testSubject(cfg.NATS.Subjects)
	}
	if c.Subject == "" || strings.ContainsAny(c.Subject, "*> \t\r\n") {
		return shell.Misuse(fmt.Errorf("--subject: %s is no subject to send to: words parted by dots, no wildcards", shell.Shown(c.Subject)))
	}
	send, err := c.open(ctx, cfg, files)
	if err != nil {
		return err
	}
	defer send.close()
	progress := terminal.Begin(sh, "publishing")
	defer progress.End()
	progress.Step("publishing", 0)
	out, over := progress.Out(sh), progress.Over(sh)
	var failed error
	for e, err := range events.Of(c.Files, sh.In) {
		if err != nil {
			over.Say("%v", err)
			failed = errUnread
			continue
		}
		p, err := send.one(ctx, e)
		if err != nil {
			return err
		}
		if p.Outcome == outcomeDeadLetter || p.Outcome == outcomeWaiting {
			failed = errNotArrived
		}
		progress.More()
		if err := c.say(over, out, p); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return failed
}

// testSubject is a subject of the stream for an event of a test.
func testSubject(subjects []string) string {
	if len(subjects) == 0 {
		return ""
	}
	return strings.NewReplacer("*", "test", ">", "test").Replace(subjects[0])
}

// sending is what sends, and looks what becomes of it.
type sending struct {
	*publishCmd
	store *intake.Store
	site  *service.ReplaySite // nil: nobody waits
	close func()
}

// open connects to NATS, and where somebody waits to TheHive.
func (c *publishCmd) open(ctx context.Context, cfg *config.Config, files *rulefiles.Witness) (s *sending, err error) {
	s = &sending{publishCmd: c}
	var link *stream.Link
	if c.Wait {
		if s.site, err = service.NewReplaySite(ctx, cfg, files, zap.NewNop()); err != nil {
			return nil, err
		}
		link, s.close = s.site.Link, s.site.Close
	} else {
		if link, err = stream.Connect(ctx, service.Connection(cfg, zap.NewNop()), zap.NewNop()); err != nil {
			return nil, shell.Misuse(err)
		}
		s.close = link.Close
	}
	if s.store, err = intake.New(link, intake.Options{Stream: cfg.NATS.Stream}); err != nil {
		s.close()
		return nil, shell.Misuse(err)
	}
	return s, nil
}

// one sends one event.
func (s *sending) one(ctx context.Context, e events.Event) (published, error) {
	at, err := s.store.Put(ctx, intake.Event{Subject: s.Subject, Header: map[string][]string{}, Body: e.Body})
	if err != nil {
		return published{}, fmt.Errorf("%s: %w", e.File, err)
	}
	p := published{File: e.File, Subject: s.Subject, Stream: at.Stream, Sequence: at.Sequence, Outcome: outcomeStored}
	if s.site == nil {
		return p, nil
	}
	within, cancel := context.WithTimeout(ctx, s.Within)
	defer cancel()
	became, err := s.site.Became(within, s.Subject, at.Sequence, e.Body)
	switch {
	case errors.Is(err, service.ErrUnsettled):
		p.Outcome, p.Reason = outcomeWaiting, err.Error()
	case err != nil:
		return p, err
	default:
		p.became(became)
	}
	return p, nil
}

func (p *published) became(b service.Became) {
	p.Dropped = b.Dropped
	for _, c := range b.Cases {
		p.Cases = append(p.Cases, publishedOf(c))
	}
	switch {
	case b.Letter != nil:
		p.Outcome, p.Letter, p.Reason = outcomeDeadLetter, b.Letter.Number, cmp.Or(b.Letter.Detail, b.Letter.Reason)
	case len(b.Cases) > 0:
		p.Outcome = outcomeAcknowledged
	default:
		p.Outcome = outcomeDropped
	}
}

func publishedOf(c service.BecameCase) publishedCase {
	if c.Alert.ID != "" {
		return publishedCase{Title: c.Alert.Title, Key: c.Key, Alert: c.Alert.Type + ";" + c.Alert.Source + ";" + c.Alert.SourceRef}
	}
	return publishedCase{Number: c.Found.Number, Title: c.Found.Title, Key: c.Key, Waits: c.Waits}
}

// say writes what became of an event.
func (c *publishCmd) say(sh *shell.Shell, to *terminal.Screen, p published) error {
	if c.JSON {
		return writeLine(sh.Out, p)
	}
	meaning, word, more := terminal.Plain, p.Outcome, ""
	switch p.Outcome {
	case outcomeStored:
		meaning, more = terminal.Good, " on "+p.Subject
	case outcomeDeadLetter:
		meaning, more = terminal.Bad, fmt.Sprintf(" %d: %s", p.Letter, canon.Line(p.Reason, 300))
	case outcomeDropped:
		meaning, more = terminal.Warning, ": "+strings.Join(p.Dropped, ", ")
	case outcomeWaiting:
		meaning, word = terminal.Warning, p.Reason
	case outcomeAcknowledged:
		meaning, word = terminal.Good, strings.Join(shownPlaces(p.Cases), "; ")
	}
	to.Line(2, terminal.Plain.Of(fmt.Sprintf("%s: %s %d: ", canon.Line(p.File, 200), p.Stream, p.Sequence)), meaning.Of(word), terminal.Plain.Of(more))
	return to.Failed()
}

func shownPlaces(cases []publishedCase) []string {
	var all []string
	for _, c := range cases {
		if c.Alert != "" {
			all = append(all, fmt.Sprintf("alert %s %s (%s)", canon.Line(c.Alert, 200), canon.Line(c.Title, 120), canon.Line(c.Key, 120)))
			continue
		}
		if c.Waits != "" {
			all = append(all, fmt.Sprintf("held: it waits for %s (%s)", canon.Line(c.Waits, 200), canon.Line(c.Key, 120)))
			continue
		}
		if c.Number == 0 {
			all = append(all, "acknowledged; TheHive shows no case of "+canon.Line(c.Key, 120))
			continue
		}
		all = append(all, fmt.Sprintf("case #%d %s (%s)", c.Number, canon.Line(c.Title, 120), canon.Line(c.Key, 120)))
	}
	return all
}
