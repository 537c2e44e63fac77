package casefind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
)

// Errors with which the command ends with 1.
var (
	ErrUnknown = errors.New("case find: not known")
	ErrPartly  = errors.New("case find: not everything could be asked: see the problems above")
)

// Configured reads the configuration that a flag names.
type Configured struct {
	AddTo func(*pflag.FlagSet)
	Load  func(w *rulefiles.Witness, sh *shell.Shell, connects ...string) (*config.Config, error)
	Since pflag.Value      // reads when something begins, as --since does elsewhere
	Begin func() time.Time // what Since read; zero: nothing
}

// week is how far the stream is read back unasked.
const week = 7 * 24 * time.Hour

type command struct {
	from Configured
	want Wanted
	most int
	json bool
}

// Command is "worker case find".
func Command(sh *shell.Shell, from Configured) *cobra.Command {
	c := &command{from: from}
	cmd := shell.Leaf(sh, "find", "Say where an alert went: its case, why it was dropped or given up, or what it waits for.", c.run)
	flags := cmd.Flags()
	from.AddTo(flags)
	flags.StringVar(&c.want.ID, "id", "", "The product's own `ID` of the alert.")
	flags.StringVar(&c.want.Key, "key", "", "`KEY` of its case, such as host:web01, or what is behind the colon.")
	flags.StringVar(&c.want.Host, "host", "", "`HOST` on which it happened.")
	flags.Uint64Var(&c.want.Sequence, "sequence", 0, "Its sequence in the stream; `N`.")
	flags.StringVar(&c.want.Hash, "hash", "", "`HASH` of the key (from the tag forager:…), of the message, of a file or of an observable.")
	flags.Var(from.Since, "since", "Read messages stored since then: 2026-03-01, 2026-03-01T08:00:00Z, or so long ago: 12h, 30d; default: 7d.")
	flags.IntVar(&c.most, "most", 20, "Tell of so many at most, the newest; `N`.")
	flags.BoolVar(&c.json, "json", false, "Write one JSON object.")
	return cmd
}

func (c *command) run(ctx context.Context, sh *shell.Shell) error {
	if c.most < 1 {
		return shell.Misuse(errors.New("--most: expected 1 or more"))
	}
	if err := c.want.check(); err != nil {
		return shell.Misuse(err)
	}
	files := rulefiles.NewWitness()
	cfg, err := c.from.Load(files, sh, config.ToNATS, config.ToHive)
	if err != nil {
		return err
	}
	c.want.FullHosts = cfg.Case.Host == "full"
	site, err := service.NewReplaySite(ctx, cfg, files, zap.NewNop())
	if err != nil {
		return err
	}
	defer site.Close()
	if err := site.Link.Reach(); err != nil {
		return fmt.Errorf("case find: %w", err)
	}
	since := c.from.Begin()
	if since.IsZero() {
		since = time.Now().Add(-week)
	}
	progress := terminal.Begin(sh, "asking NATS and TheHive")
	defer progress.End()
	f := &finder{site: site, want: &c.want, since: since, kept: newest{most: c.most}, progress: progress}
	answer := f.answer(ctx)
	progress.End()
	if err := c.write(sh, answer); err != nil {
		return fmt.Errorf("case find: %w", err)
	}
	switch {
	case len(f.out.Problems) > 0:
		return ErrPartly
	case len(f.out.Found) == 0:
		return ErrUnknown
	default:
		return nil
	}
}

func (c *command) write(sh *shell.Shell, a Answer) error {
	if !c.json {
		return Write(terminal.Out(sh), a)
	}
	out := json.NewEncoder(sh.Out)
	out.SetEscapeHTML(false)
	return out.Encode(a)
}
