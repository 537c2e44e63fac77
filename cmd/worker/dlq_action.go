package main

import (
	"context"
	"errors"
	"iter"

	"github.com/spf13/cobra"

	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/enrich/detection/canon"
	"forager/pipeline/deadletter"
)

// letterAction is what requeue and purge have in common: letters by number, or by what they are.
type letterAction struct {
	letterChoice

	All     bool
	DryRun  bool
	Letters []uint64
}

// action makes a command that does something to letters.
func (c *letterAction) action(sh *shell.Shell, name, help string, do func(context.Context, *shell.Shell) error) *cobra.Command {
	cmd := shell.Leaf(sh, name, help, do, shell.Arg("[LETTER…]", "Numbers of letters, from ls."))
	flags := cmd.Flags()
	c.addTo(flags)
	flags.BoolVar(&c.All, "all", false, "All letters that the flags choose; without any, all there are.")
	flags.BoolVar(&c.DryRun, "dry-run", false, "Say which, and do nothing.")
	cmd.Args = shell.Reads(c.read)
	return cmd
}

// read takes numbers of letters. Everything at once must be asked for.
func (c *letterAction) read(args []string) (err error) {
	if c.Letters, err = letterNumbers(args); err != nil {
		return err
	}
	chosen := c.filter() != deadletter.Filter{}
	switch {
	case len(c.Letters) > 0 && (c.All || chosen):
		return errors.New("name letters, or choose them by flags, not both")
	case len(c.Letters) == 0 && !c.All && !chosen:
		return errors.New("name letters, choose them by flags, or say --all")
	}
	return nil
}

// each does something to every chosen letter, and says how many there were.
func (c *letterAction) each(ctx context.Context, sh *shell.Shell, verb string, do func(*deadletter.Queue, deadletter.Message) error) error {
	letters, done, err := c.openLetters(ctx, sh)
	if err != nil {
		return err
	}
	defer done()
	count, word, meant := 0, verb, terminal.Good
	if c.DryRun {
		word, meant = "would be "+verb, terminal.Warning
	}
	progress := terminal.Begin(sh, "reading dead letters")
	defer progress.End()
	progress.Step(word, 0)
	out := progress.Out(sh)
	for l, err := range c.chosen(ctx, letters) {
		if err == nil && !c.DryRun {
			err = do(letters, l)
		}
		if err != nil {
			progress.End()
			sh.Say("%d %s before this", count, word)
			return err
		}
		count++
		progress.More()
		out.Line(2, terminal.Number(l.Number), terminal.Plain.Of(" "), meant.Of(word), terminal.Plain.Of(": "+canon.Line(l.Reason, 60)))
	}
	progress.End()
	sh.Say("%d %s", count, word)
	return out.Failed()
}

func (c *letterAction) chosen(ctx context.Context, letters *deadletter.Queue) iter.Seq2[deadletter.Message, error] {
	if len(c.Letters) == 0 {
		return letters.List(ctx, c.filter())
	}
	return func(yield func(deadletter.Message, error) bool) {
		for _, number := range c.Letters {
			if !yield(letters.Get(ctx, number)) {
				return
			}
		}
	}
}

// dlqRequeueCmd is "worker dlq requeue".
type dlqRequeueCmd struct{ letterAction }

func (c *dlqRequeueCmd) command(sh *shell.Shell) *cobra.Command {
	return c.action(sh, "requeue", "Publish the original messages again and remove the letters.", c.Run)
}

// Run requeues.
func (c *dlqRequeueCmd) Run(ctx context.Context, sh *shell.Shell) error {
	return c.each(ctx, sh, "requeued", func(from *deadletter.Queue, l deadletter.Message) error { return from.Requeue(ctx, l) })
}

// dlqPurgeCmd is "worker dlq purge".
type dlqPurgeCmd struct{ letterAction }

func (c *dlqPurgeCmd) command(sh *shell.Shell) *cobra.Command {
	return c.action(sh, "purge", "Remove dead letters for good.", c.Run)
}

// Run purges.
func (c *dlqPurgeCmd) Run(ctx context.Context, sh *shell.Shell) error {
	return c.each(ctx, sh, "purged", func(from *deadletter.Queue, l deadletter.Message) error { return from.Purge(ctx, l) })
}
