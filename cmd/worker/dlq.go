package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"golang.org/x/term"

	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
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
	if c.All {
		return listLetters(sh.Out, letters.List(ctx, c.filter()))
	}
	groups, _, err := letters.Groups(ctx, c.filter(), math.MaxInt)
	if err != nil {
		return err
	}
	return groupLetters(sh.Out, groups)
}

// groupLetters writes how many letters died of what, and how many there are.
func groupLetters(w io.Writer, groups []deadletter.Group) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LETTERS\tREASON\tSTEP\tANSWER\tBYTES\tOLDEST\tNEWEST")
	letters, bytes := 0, 0
	for _, g := range groups {
		letters, bytes = letters+g.Count, bytes+g.Bytes
		answer := ""
		if g.Status != 0 {
			answer = strconv.Itoa(g.Status)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%d\t%s\t%s\n", g.Count, canon.Clean(g.Reason, 60), canon.Clean(g.Step, 30), answer, g.Bytes,
			g.Oldest.UTC().Format(time.RFC3339), g.Newest.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(t, "%d\tin all\t\t\t%d\t\t\n", letters, bytes)
	return t.Flush()
}

func listLetters(w io.Writer, all iter.Seq2[deadletter.Message, error]) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LETTER\tDIED\tREASON\tFORMAT\tSUBJECT\tDETAIL")
	for l, err := range all {
		if err != nil {
			return errors.Join(t.Flush(), err)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", l.Number, l.Died.UTC().Format(time.RFC3339),
			canon.Clean(l.Reason, 60), canon.Clean(l.Format, 30), canon.Clean(l.Subject, 60), canon.Clean(l.Detail, 120))
	}
	return t.Flush()
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
	if f, ok := to.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
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
