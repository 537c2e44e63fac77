package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"forager/cmd/worker/events"
	"forager/cmd/worker/explanation"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/enrich/detection/draft"
)

// formatsTestCmd is "worker formats test".
type formatsTestCmd struct {
	configFlag

	Format     string
	FormatFile string
	JSON       bool
	Files      []string
}

func (c *formatsTestCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "test", "Hold a format against samples: ends with 1 when one is not read by it.", c.Run,
		shell.Arg("[FILE…]", `Files or directories of events, JSON or one a line; "-" or none is standard input.`))
	flags := cmd.Flags()
	c.addTo(flags)
	formatFile(flags, &c.FormatFile)
	flags.StringVar(&c.Format, "format", "", "Expect the format `NAME`; default: that of the format file, without one any.")
	flags.BoolVar(&c.JSON, "json", false, "Write one JSON line for each detection, dropped part and failure.")
	cmd.Args, cmd.ValidArgsFunction = shell.Listed(&c.Files), nil // the shell completes files
	return cmd
}

// tested is one line of "formats test --json". The names of its keys are a contract with scripts;
// every key is always there.
type tested struct {
	File        string                   `json:"file"`
	Passed      bool                     `json:"passed"`
	Reason      string                   `json:"reason"` // why it did not
	Format      string                   `json:"format"` // that read it
	Time        string                   `json:"time"`   // RFC 3339, UTC, milliseconds; empty: the event does not say it
	Severity    int                      `json:"severity"`
	Title       string                   `json:"title"`
	Host        string                   `json:"host"`
	Observables []explanation.Observable `json:"observables"`
	Marks       []string                 `json:"marks"`   // what was assumed
	Dropped     string                   `json:"dropped"` // the reason of a part that is no detection; empty for detections
}

// errTested says that samples were not read as they should be.
var errTested = errors.New("formats test: some samples were not read as expected")

// Run tests every sample, and fails at the end.
func (c *formatsTestCmd) Run(_ context.Context, sh *shell.Shell) error {
	t, err := c.tester(sh)
	if err != nil {
		return err
	}
	seen, failed := 0, 0
	for e, err := range events.Of(c.Files, sh.In) {
		seen++
		var lines []tested
		if err != nil {
			lines = []tested{failedSample(e.File, err.Error())}
		} else {
			lines = t.test(e)
		}
		if slices.ContainsFunc(lines, func(l tested) bool { return !l.Passed }) {
			failed++
		}
		for _, line := range lines {
			if err := t.write(line); err != nil {
				return fmt.Errorf("write result: %w", err)
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%w: %d of %d", errTested, failed, seen)
	}
	if !c.JSON {
		out := terminal.Out(sh)
		out.Line(0, terminal.Good.Of("passed"), terminal.Plain.Of(fmt.Sprintf(": %d of %d", seen, seen)))
		return out.Failed()
	}
	return nil
}

// tester reads samples, and knows of which format they are to be.
type tester struct {
	decoder *detection.Decoder
	want    string // name of a format; empty is any
	most    int    // bytes of a message
	write   func(tested) error
}

func (c *formatsTestCmd) tester(sh *shell.Shell) (*tester, error) {
	cfg, err := c.load(sh)
	if err != nil {
		return nil, err
	}
	decoder, err := rulefiles.NewDecoder(cfg, rulefiles.NewWitness(), rulefiles.Trial{File: c.FormatFile})
	if err != nil {
		return nil, err
	}
	t := &tester{decoder: decoder, want: c.Format, most: int(cfg.Pipeline.MaxMessageBytes)}
	out := terminal.Out(sh)
	t.write = func(line tested) error { return writeTestedText(out, line) }
	if c.JSON {
		t.write = func(line tested) error { return writeLine(sh.Out, line) }
	}
	if c.Format != "" && !slices.Contains(decoder.Formats(), c.Format) {
		return nil, shell.Misuse(fmt.Errorf("--format: %w", rulefiles.NoFormat(c.Format, decoder.Formats())))
	}
	if t.want == "" && c.FormatFile != "" {
		t.want = strings.TrimSuffix(filepath.Base(c.FormatFile), ".yaml")
	}
	return t, nil
}

// test gives a line for each detection of a sample, and for each part that is none. Formats are
// recognised, whatever formats.pins says of the subjects that the samples might come on.
func (t *tester) test(e events.Event) (lines []tested) {
	if len(e.Body) > t.most {
		return []tested{failedSample(e.File, fmt.Sprintf("message too large: %d bytes, with pipeline.maxMessageBytes %d", len(e.Body), t.most))}
	}
	got, err := t.decoder.Decode(detection.Message{Body: e.Body, Time: time.Now()})
	if err != nil {
		return []tested{failedSample(e.File, explanation.ReasonOf(err))}
	}
	for _, d := range got.Detections {
		lines = append(lines, t.judged(testedOf(e, d)))
	}
	for _, d := range got.Dropped {
		line := failedSample(e.File, "")
		line.Format, line.Dropped = d.Format, d.Reason
		lines = append(lines, t.judged(line))
	}
	for _, u := range got.Unreadable {
		lines = append(lines, failedSample(e.File, explanation.ReasonOf(u)))
	}
	return lines
}

// failedSample is the line of what is no detection.
func failedSample(file, reason string) tested {
	return tested{File: file, Reason: reason, Observables: []explanation.Observable{}, Marks: []string{}}
}

// judged says whether the format is the one that is expected.
func (t *tester) judged(line tested) tested {
	if line.Passed = t.want == "" || line.Format == t.want; !line.Passed {
		line.Reason = fmt.Sprintf("read as %s, not as %s", line.Format, t.want)
	}
	return line
}

// testedOf is the line of a detection.
func testedOf(e events.Event, d detection.Detection) tested {
	x := explanation.LineOf(e.File, d)
	line := tested{
		File: x.File, Format: x.Format, Time: x.Time, Severity: x.Severity, Title: x.Title, Host: x.Host,
		Observables: x.Observables, Marks: notNil(d.Marks),
	}
	if d.TimeReplaced {
		line.Time = ""
	}
	return line
}

// writeTestedText writes a result for people.
func writeTestedText(to *terminal.Screen, l tested) error {
	verdict := []terminal.Span{terminal.Plain.Of(shell.Shown(l.File) + ": ")}
	if l.Passed {
		verdict = append(verdict, terminal.Good.Of("ok"))
	} else {
		verdict = append(verdict, terminal.Bad.Of("FAILED"), terminal.Plain.Of(": "+l.Reason))
	}
	to.Line(2, verdict...)
	list := terminal.NewList(2)
	switch {
	case l.Dropped != "":
		list.Row(readName("format"), terminal.Plain.Of(l.Format))
		list.Row(readName("dropped"), terminal.Plain.Of(l.Dropped))
	case l.Format != "":
		l.describe(list)
	}
	to.List(list)
	return to.Failed()
}

// readName names what was read; all names are as wide as the widest.
func readName(name string) terminal.Span { return terminal.Heading.Of(fmt.Sprintf("%-11s", name)) }

// describe says what was read, and what was not.
func (l *tested) describe(list *terminal.List) {
	const none = "– none was found"
	row := func(name, value, otherwise string) {
		if value == "" {
			list.Row(readName(name), terminal.Warning.Of(otherwise))
			return
		}
		list.Row(readName(name), terminal.Plain.Of(value))
	}
	row("format", l.Format, none)
	row("time", l.Time, "– none was found: that of the message is taken")
	row("severity", []string{"", "1 low", "2 medium", "3 high", "4 critical"}[l.Severity], none)
	row("title", canon.Line(l.Title, 512), none)
	row("host", canon.Line(l.Host, 512), none)
	if len(l.Marks) > 0 {
		row("assumed", strings.Join(l.Marks, ", "), none)
	}
	for i, o := range l.Observables {
		name := "observables"
		if i > 0 {
			name = ""
		}
		text := o.DataType + " " + shell.Shown(o.Data)
		if len(o.Tags) > 0 {
			text += " (" + strings.Join(o.Tags, ", ") + ")"
		}
		row(name, text, none)
	}
	if len(l.Observables) == 0 {
		row("observables", "", none)
	}
}

// formatsDraftCmd is "worker formats draft".
type formatsDraftCmd struct {
	configFlag

	To    string
	Files []string
}

func (c *formatsDraftCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "draft", "Write a format file for alerts that no format knows, from samples of them; what is a guess is marked.", c.Run,
		shell.Arg("[FILE…]", `Files or directories of alerts of one kind, JSON or one a line; "-" or none is standard input.`))
	c.addTo(cmd.Flags())
	cmd.Flags().StringVar(&c.To, "to", "", "Write a new `FILE` (its name, without .yaml, is that of the format), and hold it against the samples; otherwise it goes to standard output.")
	cmd.Args, cmd.ValidArgsFunction = shell.Listed(&c.Files), nil // the shell completes files
	return cmd
}

// errNoSamples says that there is nothing to make a format of.
var errNoSamples = errors.New("formats draft: no event was read")

// draftName is what a draft is called that goes to standard output.
const draftName = "drafted"

// Run drafts.
func (c *formatsDraftCmd) Run(ctx context.Context, sh *shell.Shell) error {
	cfg, err := c.load(sh)
	if err != nil {
		return err
	}
	name := draftName
	if c.To != "" {
		if name = strings.TrimSuffix(filepath.Base(c.To), ".yaml"); !strings.HasSuffix(c.To, ".yaml") || name == "" {
			return shell.Misuse(fmt.Errorf("--to: %s: expected the name of a file that ends in .yaml", shell.Shown(c.To)))
		}
	}
	syntax := detection.NewSyntax(detection.Limits{Unpacked: int(cfg.Pipeline.MaxMessageBytes)})
	var samples [][]detection.Leaf
	for e, err := range events.Of(c.Files, sh.In) {
		if err != nil {
			return err
		}
		leaves, err := syntax.Leaves(e.Body)
		if err != nil {
			return fmt.Errorf("%s: %w", e.File, err)
		}
		samples = append(samples, leaves...)
	}
	if len(samples) == 0 {
		return errNoSamples
	}
	text := draft.Of(name, samples)
	if c.To == "" {
		_, err = io.WriteString(sh.Out, text)
		return err
	}
	if err := writeNew(c.To, text); err != nil {
		return fmt.Errorf("formats draft: %w", err)
	}
	return (&formatsTestCmd{configFlag: c.configFlag, FormatFile: c.To, Files: c.Files}).Run(ctx, sh)
}

// writeNew writes a file that is not there yet.
func writeNew(name, text string) error {
	if _, err := os.Lstat(name); err == nil {
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	return os.WriteFile(name, []byte(text), 0o600)
}
