package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
	"forager/enrich/detection/canon"
	"forager/pipeline/deadletter"
	"forager/pipeline/stream"
)

// dlqCommands are "worker dlq": dead letters, for people.
func dlqCommands(sh *shell.Shell) *cobra.Command {
	return shell.Branch("dlq", "Look at dead letters, requeue or remove them.",
		(&dlqListCmd{}).command(sh),
		(&dlqShowCmd{}).command(sh),
		(&dlqRequeueCmd{}).command(sh),
		(&dlqPurgeCmd{}).command(sh),
	)
}

// letterChoice are the flags that choose dead letters.
type letterChoice struct {
	configFlag

	Reason string
	Format string
	Stream string
	Since  moment
	Until  moment
}

func (c *letterChoice) addTo(flags *pflag.FlagSet) {
	c.configFlag.addTo(flags)
	flags.StringVar(&c.Reason, "reason", "", "Only letters whose reason is exactly `TEXT`.")
	flags.StringVar(&c.Format, "format", "", "Only letters that the format `NAME` read.")
	flags.StringVar(&c.Stream, "stream", "", "Only letters from the stream `NAME`.")
	flags.Var(&c.Since, "since", "Only letters that died since then: 2026-03-01, 2026-03-01T08:00:00Z, or so long ago: 12h, 30d.")
	flags.Var(&c.Until, "until", "Only letters that died before then.")
}

func (c letterChoice) filter() deadletter.Filter {
	return deadletter.Filter{Reason: c.Reason, Format: c.Format, Stream: c.Stream, Since: c.Since.Time, Until: c.Until.Time}
}

// openLetters connects to the dead-letter stream. TheHive is not needed.
func (f configFlag) openLetters(ctx context.Context, sh *shell.Shell) (*deadletter.Queue, func(), error) {
	c, err := f.load(sh, config.ToNATS)
	if err != nil {
		return nil, nil, err
	}
	link, err := stream.Connect(ctx, service.Connection(c, zap.NewNop()), zap.NewNop())
	if err != nil {
		return nil, nil, shell.Misuse(err)
	}
	return deadletter.Open(link, c.DeadLetters.Stream), link.Close, nil
}

// dlqListCmd is "worker dlq ls".
type dlqListCmd struct {
	letterChoice

	All  bool
	JSON bool
}

func (c *dlqListCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "ls", "Count dead letters by reason; list them with --all, oldest first.", c.Run)
	c.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&c.All, "all", false, "Write a line for each letter.")
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Write one JSON line for each letter.")
	return cmd
}

// Run lists.
func (c *dlqListCmd) Run(ctx context.Context, sh *shell.Shell) error {
	letters, done, err := c.openLetters(ctx, sh)
	if err != nil {
		return err
	}
	defer done()
	if c.JSON {
		out := json.NewEncoder(sh.Out)
		for l, err := range letters.List(ctx, c.filter()) {
			if err != nil {
				return err
			}
			if err := out.Encode(letterLine(l)); err != nil {
				return fmt.Errorf("list dead letters: %w", err)
			}
		}
		return nil
	}
	progress := terminal.Begin(sh, "reading dead letters")
	defer progress.End()
	if c.All {
		return listLetters(progress.Out(sh), told(letters.List(ctx, c.filter()), progress))
	}
	groups, _, err := letters.Groups(ctx, c.filter(), math.MaxInt)
	if err != nil {
		return err
	}
	progress.End()
	return groupLetters(terminal.Out(sh), groups)
}

// told shows how many letters were read.
func told(all iter.Seq2[deadletter.Message, error], progress *terminal.Progress) iter.Seq2[deadletter.Message, error] {
	return func(yield func(deadletter.Message, error) bool) {
		progress.Step("reading dead letters", 0)
		for l, err := range all {
			progress.More()
			if !yield(l, err) {
				return
			}
		}
	}
}

// groupLetters writes how many letters died of what, and how many there are.
func groupLetters(to *terminal.Screen, groups []deadletter.Group) error {
	t := terminal.NewTable(terminal.Column{Name: "LETTERS", Right: true}, terminal.Column{Name: "REASON", Fold: true}, terminal.Column{Name: "STEP"},
		terminal.Column{Name: "ANSWER"}, terminal.Column{Name: "BYTES", Right: true, Spare: true}, terminal.Column{Name: "OLDEST", Spare: true}, terminal.Column{Name: "NEWEST"})
	letters, bytes := 0, 0
	for _, g := range groups {
		letters, bytes = letters+g.Count, bytes+g.Bytes
		answer := ""
		if g.Status != 0 {
			answer = strconv.Itoa(g.Status)
		}
		t.Row(terminal.Number(g.Count), terminal.Bad.Of(canon.Line(g.Reason, 60)), terminal.Plain.Of(canon.Line(g.Step, 30)), terminal.Plain.Of(answer), terminal.Number(g.Bytes),
			terminal.Plain.Of(g.Oldest.UTC().Format(time.RFC3339)), terminal.Plain.Of(g.Newest.UTC().Format(time.RFC3339)))
	}
	t.Row(terminal.Number(letters), terminal.Heading.Of("in all"), terminal.Span{}, terminal.Span{}, terminal.Number(bytes))
	to.Table(t)
	return to.Failed()
}

func listLetters(to *terminal.Screen, all iter.Seq2[deadletter.Message, error]) error {
	t := terminal.NewTable(terminal.Column{Name: "LETTER", Right: true}, terminal.Column{Name: "DIED"}, terminal.Column{Name: "REASON", Fold: true},
		terminal.Column{Name: "FORMAT", Spare: true}, terminal.Column{Name: "SUBJECT", Spare: true, Cut: true}, terminal.Column{Name: "DETAIL", Fold: true})
	var failed error
	for l, err := range all {
		if err != nil {
			failed = err
			break
		}
		t.Row(terminal.Number(l.Number), terminal.Plain.Of(l.Died.UTC().Format(time.RFC3339)), terminal.Bad.Of(canon.Line(l.Reason, 60)),
			terminal.Plain.Of(canon.Line(l.Format, 30)), terminal.Plain.Of(canon.Line(l.Subject, 60)), terminal.Plain.Of(canon.Line(l.Detail, 120)))
	}
	to.Table(t)
	return errors.Join(to.Failed(), failed)
}

// shownLetter is a dead letter as JSON. The names of its keys are a contract with scripts.
type shownLetter struct {
	Letter   uint64              `json:"letter"`
	Died     time.Time           `json:"died"`
	Reason   string              `json:"reason"`
	Class    string              `json:"class"`
	Step     string              `json:"step"`
	Status   int                 `json:"status"`
	Detail   string              `json:"detail"`
	Attempts int                 `json:"attempts"`
	Format   string              `json:"format"`
	Subject  string              `json:"subject"`
	Stream   string              `json:"stream"`
	Sequence uint64              `json:"sequence"`
	Stored   time.Time           `json:"stored"`
	Worker   string              `json:"worker"`
	Requeued int                 `json:"requeued"`
	Bytes    int                 `json:"bytes"`
	Header   map[string][]string `json:"header,omitempty"`
	Body     string              `json:"body,omitempty"` // invalid UTF-8 replaced: --body writes the bytes
}

func letterLine(l deadletter.Message) shownLetter {
	return shownLetter{
		Letter: l.Number, Died: l.Died.UTC(), Reason: l.Reason, Class: l.Class, Step: l.Step, Status: l.Status, Detail: l.Detail,
		Attempts: l.Attempts, Format: l.Format, Subject: l.Subject, Stream: l.Stream, Sequence: l.Sequence,
		Stored: l.Stored.UTC(), Worker: l.Worker, Requeued: l.Requeued, Bytes: len(l.Body),
	}
}

// dlqShowCmd is "worker dlq show".
type dlqShowCmd struct {
	configFlag

	Letter uint64
	Body   bool
}

func (c *dlqShowCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "show", "Show one dead letter with its reason and its original bytes.", c.Run,
		shell.Arg("LETTER", "Number of the letter, from ls."))
	c.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&c.Body, "body", false, "Write the original bytes and nothing else.")
	cmd.Args = shell.Reads(func(args []string) error {
		numbers, err := letterNumbers(args)
		switch {
		case err != nil:
			return err
		case len(numbers) == 0:
			return errors.New("expected the number of a LETTER, from ls")
		}
		c.Letter = numbers[0]
		return shell.AtMost(1, args)
	})
	return cmd
}

// writeBody writes the bytes as they are, but to a terminal, which would obey them.
func writeBody(sh *shell.Shell, body []byte) error {
	to := sh.RawOut
	if terminal.Is(to) {
		to = sh.Out
	}
	_, err := to.Write(body)
	return err
}

// letterNumbers reads what ls calls the letters.
func letterNumbers(args []string) (numbers []uint64, err error) {
	for _, arg := range args {
		n, err := strconv.ParseUint(arg, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is no LETTER: expected its number, from ls", shell.Shown(arg))
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// Run shows.
func (c *dlqShowCmd) Run(ctx context.Context, sh *shell.Shell) error {
	letters, done, err := c.openLetters(ctx, sh)
	if err != nil {
		return err
	}
	defer done()
	l, err := letters.Get(ctx, c.Letter)
	if err != nil {
		return err
	}
	if c.Body {
		return writeBody(sh, l.Body)
	}
	line := letterLine(l)
	line.Header, line.Body = l.Header, string(l.Body)
	out := json.NewEncoder(sh.Out)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(line)
}
