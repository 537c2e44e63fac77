package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"text/tabwriter"
	"time"

	"go.uber.org/zap"

	"forager/config"
	"forager/enrich/detection"
	"forager/pipeline"
)

// dlqCmd is "worker dlq": dead letters, for people.
type dlqCmd struct {
	Ls      dlqListCmd    `cmd:"" help:"List dead letters, oldest first."`
	Show    dlqShowCmd    `cmd:"" help:"Show one dead letter with its reason and its original bytes."`
	Requeue dlqRequeueCmd `cmd:"" help:"Publish the original messages again and remove the letters."`
	Purge   dlqPurgeCmd   `cmd:"" help:"Remove dead letters for good."`
}

// letterChoice are the flags that choose dead letters.
type letterChoice struct {
	configFlag

	Reason string `placeholder:"TEXT" help:"Only letters of this reason, exactly."`
	Format string `placeholder:"NAME" help:"Only letters that this format read."`
	Stream string `placeholder:"NAME" help:"Only letters from this stream."`
	Since  moment `placeholder:"T" help:"Only letters that died since then: 2026-03-01, 2026-03-01T08:00:00Z, or so long ago: 12h, 30d."`
	Until  moment `placeholder:"T" help:"Only letters that died before then."`
}

func (c letterChoice) filter() pipeline.LetterFilter {
	return pipeline.LetterFilter{Reason: c.Reason, Format: c.Format, Stream: c.Stream, Since: c.Since.Time, Until: c.Until.Time}
}

// openLetters connects to the dead-letter stream. TheHive is not needed.
func (f configFlag) openLetters(ctx context.Context, sh *shell) (*pipeline.Letters, func(), error) {
	c, err := f.load(sh, config.ToNATS)
	if err != nil {
		return nil, nil, err
	}
	link, err := pipeline.Connect(ctx, connection(c), zap.NewNop())
	if err != nil {
		return nil, nil, &usageError{err}
	}
	return pipeline.OpenLetters(link, c.DeadLetters.Stream), link.Close, nil
}

// dlqListCmd is "worker dlq ls".
type dlqListCmd struct {
	letterChoice

	JSON bool `name:"json" help:"Write one JSON line for each letter."`
}

// Run lists.
func (c *dlqListCmd) Run(ctx context.Context, sh *shell) error {
	letters, done, err := c.openLetters(ctx, sh)
	if err != nil {
		return err
	}
	defer done()
	if c.JSON {
		out := json.NewEncoder(sh.out)
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
	return listLetters(sh.out, letters.List(ctx, c.filter()))
}

func listLetters(w io.Writer, all iter.Seq2[pipeline.DeadLetter, error]) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LETTER\tDIED\tREASON\tFORMAT\tSUBJECT\tDETAIL")
	for l, err := range all {
		if err != nil {
			return errors.Join(t.Flush(), err)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", l.Number, l.Died.UTC().Format(time.RFC3339),
			detection.Clean(l.Reason, 60), detection.Clean(l.Format, 30), detection.Clean(l.Subject, 60), detection.Clean(l.Detail, 120))
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

func letterLine(l pipeline.DeadLetter) shownLetter {
	return shownLetter{
		Letter: l.Number, Died: l.Died.UTC(), Reason: l.Reason, Class: l.Class, Step: l.Step, Status: l.Status, Detail: l.Detail,
		Attempts: l.Attempts, Format: l.Format, Subject: l.Subject, Stream: l.Stream, Sequence: l.Sequence,
		Stored: l.Stored.UTC(), Worker: l.Worker, Requeued: l.Requeued, Bytes: len(l.Body),
	}
}

// dlqShowCmd is "worker dlq show".
type dlqShowCmd struct {
	configFlag

	Letter uint64 `arg:"" help:"Number of the letter, from ls."`
	Body   bool   `help:"Write the original bytes and nothing else."`
}

// Run shows.
func (c *dlqShowCmd) Run(ctx context.Context, sh *shell) error {
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
		_, err := sh.out.Write(l.Body)
		return err
	}
	line := letterLine(l)
	line.Header, line.Body = l.Header, string(l.Body)
	out := json.NewEncoder(sh.out)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(line)
}

// letterAction is what requeue and purge have in common: letters by number, or by what they are.
type letterAction struct {
	letterChoice

	All     bool     `help:"All letters that the flags choose; without any, all there are."`
	DryRun  bool     `help:"Say which, and do nothing."`
	Letters []uint64 `arg:"" optional:"" name:"letter" help:"Numbers of letters, from ls."`
}

// Validate is called by kong: everything at once must be asked for.
func (c *letterAction) Validate() error {
	chosen := c.filter() != pipeline.LetterFilter{}
	switch {
	case len(c.Letters) > 0 && (c.All || chosen):
		return errors.New("name letters, or choose them by flags, not both")
	case len(c.Letters) == 0 && !c.All && !chosen:
		return errors.New("name letters, choose them by flags, or say --all")
	}
	return nil
}

// each does something to every chosen letter, and says how many there were.
func (c *letterAction) each(ctx context.Context, sh *shell, verb string, do func(*pipeline.Letters, pipeline.DeadLetter) error) error {
	letters, done, err := c.openLetters(ctx, sh)
	if err != nil {
		return err
	}
	defer done()
	count, word := 0, verb
	if c.DryRun {
		word = "would be " + verb
	}
	for l, err := range c.chosen(ctx, letters) {
		if err == nil && !c.DryRun {
			err = do(letters, l)
		}
		if err != nil {
			sh.say("%d %s before this", count, word)
			return err
		}
		count++
		fmt.Fprintf(sh.out, "%d %s: %s\n", l.Number, word, detection.Clean(l.Reason, 60))
	}
	sh.say("%d %s", count, word)
	return nil
}

func (c *letterAction) chosen(ctx context.Context, letters *pipeline.Letters) iter.Seq2[pipeline.DeadLetter, error] {
	if len(c.Letters) == 0 {
		return letters.List(ctx, c.filter())
	}
	return func(yield func(pipeline.DeadLetter, error) bool) {
		for _, number := range c.Letters {
			if !yield(letters.Get(ctx, number)) {
				return
			}
		}
	}
}

// dlqRequeueCmd is "worker dlq requeue".
type dlqRequeueCmd struct{ letterAction }

// Run requeues.
func (c *dlqRequeueCmd) Run(ctx context.Context, sh *shell) error {
	return c.each(ctx, sh, "requeued", func(from *pipeline.Letters, l pipeline.DeadLetter) error { return from.Requeue(ctx, l) })
}

// dlqPurgeCmd is "worker dlq purge".
type dlqPurgeCmd struct{ letterAction }

// Run purges.
func (c *dlqPurgeCmd) Run(ctx context.Context, sh *shell) error {
	return c.each(ctx, sh, "purged", func(from *pipeline.Letters, l pipeline.DeadLetter) error { return from.Purge(ctx, l) })
}
