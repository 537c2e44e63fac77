package silences

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
)

// Configured reads the configuration that a flag names.
type Configured struct {
	AddTo func(*pflag.FlagSet)
	Load  func(sh *shell.Shell, connects ...string) (*config.Config, error)
	Since pflag.Value      // reads when something begins, as --since does elsewhere
	Begin func() time.Time // what Since read; zero: nothing
}

// Commands are "worker silences".
func Commands(sh *shell.Shell, from Configured) *cobra.Command {
	return shell.Branch("silences", "Propose silences from what analysts decided.", (&proposeCmd{from: from}).command(sh))
}

// proposeCmd is "worker silences propose".
type proposeCmd struct {
	from                 Configured
	options              Options
	cases                int
	lasting              time.Duration
	owner                string
	falseWords, trueOnes []string
	stream               bool
}

// month is how far cases are read back, and how long a silence lasts, unasked.
const month = 30 * 24 * time.Hour

func (c *proposeCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "propose", "Write silences for rules, hosts and users that were false positives each time; changes nothing.", c.run)
	f := cmd.Flags()
	c.from.AddTo(f)
	f.Var(c.from.Since, "since", "Only cases that were closed since then: 2026-03-01, 2026-03-01T08:00:00Z, or so long ago: 12h, 30d, which is the default.")
	f.IntVar(&c.options.Least, "least", 5, "False cases that a rule needs on one host, or of one user; `N`.")
	f.IntVar(&c.options.Wide, "wide", 100, "False cases that a rule needs to be silenced everywhere, on ten hosts at least; `N`.")
	f.IntVar(&c.cases, "cases", 10_000, "Cases that are read, at most, the newest first; `N`.")
	f.DurationVar(&c.lasting, "lasting", month, "How long the silences are to last; `TIME`.")
	f.StringVar(&c.owner, "owner", "to be named", "Who answers for the silences; `NAME`.")
	f.StringSliceVar(&c.falseWords, "false", nil, "Your own `STATUS` that means a false positive; may be given again.")
	f.StringSliceVar(&c.trueOnes, "true", nil, "Your own `STATUS` that means a true positive; may be given again.")
	f.BoolVar(&c.stream, "stream", true, "Say, too, what the silences would drop of what the stream holds since then; --stream=false does not ask NATS.")
	c.options.Hosts = 10
	return cmd
}

// run reads cases, and writes.
func (c *proposeCmd) run(ctx context.Context, sh *shell.Shell) error {
	if c.options.Least < 2 || c.options.Wide < c.options.Least || c.cases < 1 || c.lasting <= 0 {
		return shell.Misuse(errors.New("--least is 2 or more, --wide no less than it, --cases and --lasting above 0"))
	}
	cfg, err := c.from.Load(sh, config.ToHive)
	if err != nil {
		return err
	}
	client, err := service.NewClient(cfg)
	if err != nil {
		return shell.Misuse(err)
	}
	defer client.CloseIdle()
	now := time.Now()
	since := c.from.Begin()
	if since.IsZero() {
		since = now.Add(-month)
	}
	progress := terminal.Begin(sh, "asking TheHive")
	progress.Step("reading closed cases", 0)
	g, err := Gather(ctx, client, Reading{Since: since, Most: c.cases, False: c.falseWords, True: c.trueOnes}, progress.More)
	progress.End()
	if err != nil {
		return err
	}
	all := slices.DeleteFunc(Propose(g.Cases, c.options), func(p Proposal) bool { return g.Unnamed[p.Rule] })
	w := Writing{Owner: c.owner, Expires: now.Add(c.lasting), Since: since, Now: now, Taken: silenceNames(cfg)}
	if c.stream && len(all) > 0 {
		if w.Stream, err = tried(ctx, sh, cfg, Write(all, g, w), since); err != nil {
			fmt.Fprintf(sh.Err, "what the stream holds is not told: %v\n", err)
		}
	}
	fmt.Fprint(sh.Out, Write(all, g, w))
	c.tell(sh, all, g)
	return ctx.Err()
}

// tell says on standard error what was read, and what was left out.
func (c *proposeCmd) tell(sh *shell.Shell, all []Proposal, g Gathered) {
	fmt.Fprintf(sh.Err, "%d closed cases: %d false, %d true, %d nothing certain, %d duplicates; %d silences are proposed, nothing is changed\n",
		len(g.Cases), count(g.Cases, False), count(g.Cases, True), count(g.Cases, Unclear), count(g.Cases, Nothing), len(all))
	if len(g.Unnamed) > 0 {
		fmt.Fprintf(sh.Err, "%d rules are known by their hash alone, and not proposed: their words stand in no case that was read\n", len(g.Unnamed))
	}
	if g.Cut {
		fmt.Fprintf(sh.Err, "there are more cases: only the newest %d were read; raise --cases, or move --since\n", c.cases)
	}
}
