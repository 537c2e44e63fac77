package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/config"
	"forager/pipeline"
	"forager/pipeline/replay"
)

// replayCmd is "worker replay".
type replayCmd struct {
	configFlag

	Since   moment
	Until   moment
	Subject string
	Rate    float64
	DryRun  bool
	JSON    bool
	Again   bool
	Ignore  bool // live traffic
}

func (c *replayCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "replay", "Carry a part of the stream again, beside live traffic: what is there already stays as it is.", c.Run)
	flags := cmd.Flags()
	c.addTo(flags)
	flags.Var(&c.Since, "since", "Messages stored since then: 2026-03-01, 2026-03-01T08:00:00Z, or so long ago: 12h, 30d. Needed.")
	flags.Var(&c.Until, "until", "Messages stored before then; default: all there are when the replay is first begun.")
	flags.StringVar(&c.Subject, "subject", "", "Only messages of this `SUBJECT` (NATS wildcards); default: what the live consumer takes.")
	flags.Float64Var(&c.Rate, "rate", 0, "Carry `N` messages a second, in this process; default: as fast as live traffic and TheHive allow.")
	flags.BoolVar(&c.DryRun, "dry-run", false, "Only look at TheHive: write a line for each detection, saying what it would change; JSON, but on a terminal.")
	flags.BoolVar(&c.JSON, "json", false, "With --dry-run: write JSON on a terminal, too.")
	flags.BoolVar(&c.Again, "again", false, "Begin anew, although the same replay ran within the last hour, or still does.")
	flags.BoolVar(&c.Ignore, "ignore-live", false, "Do not wait for live traffic, as when no live worker runs; default: it comes first.")
	cmd.Args = shell.Reads(c.read)
	return cmd
}

// read refuses a replay of everything there is: nobody asks for that by leaving something out.
func (c *replayCmd) read(args []string) error {
	if c.JSON && !c.DryRun {
		return errors.New("--json: goes with --dry-run")
	}
	if c.Since.IsZero() {
		return errors.New("--since: missing: expected TIME after it")
	}
	return shell.AtMost(0, args)
}

// replayShare is the part of the calls in flight at TheHive that a replay takes: live traffic has
// the rest.
const replayShare = 4

// Run replays.
func (c *replayCmd) Run(ctx context.Context, sh *shell.Shell) error {
	files := rulefiles.NewWitness()
	cfg, err := c.loadBy(files, sh, config.ToNATS, config.ToHive)
	if err != nil {
		return err
	}
	cfg.Hive.Concurrency = max(cfg.Hive.Concurrency/replayShare, 1)
	show := newProgress(sh)
	defer show.end()
	cfg.Log.Level = show.level(cfg.Log.Level)
	log, err := service.NewLogger(cfg, show)
	if err != nil {
		return err
	}
	spans, err := service.StartTraces(ctx, sh.Env, log)
	if err != nil {
		return err
	}
	defer spans.Close(ctx)
	site, err := service.NewReplaySite(ctx, cfg, files, log)
	if err != nil {
		return err
	}
	defer site.Close()
	site.Options.Tracer = spans.Provider()
	site.Parts.Traced(spans.Provider())
	if err := site.Start(ctx); err != nil {
		return err
	}
	if c.DryRun {
		return c.dryRun(ctx, show.over(sh), site, show)
	}
	return c.carry(ctx, show.over(sh), site, show)
}

// what says which part of the stream is replayed. Times are cut to whole seconds, so that what is
// said of them can be given again.
func (c *replayCmd) what(told func(replay.State)) replay.Options {
	var live uint64 // the default
	if c.Ignore {
		live = math.MaxUint64
	}
	return replay.Options{
		Live: live, Since: c.Since.UTC().Truncate(time.Second), Until: c.Until.UTC().Truncate(time.Second),
		Subject: c.Subject, Rate: c.Rate, Again: c.Again, Told: told,
	}
}

// open finds out what is to be done, and says it.
func (c *replayCmd) open(ctx context.Context, sh *shell.Shell, site *service.ReplaySite, what replay.Options, applier pipeline.Applier) (*replay.Replay, error) {
	r, err := replay.Open(ctx, site.Link, site.Options, what, site.Rules, site.Rules, applier)
	if errors.Is(err, replay.ErrImpossible) {
		return nil, shell.Misuse(err)
	}
	if err != nil {
		return nil, err
	}
	span := r.Span()
	if span.Cut {
		sh.Say("stream %s begins at %s: what was there before is gone and not replayed", site.Options.Stream, span.Begins.UTC().Format(time.RFC3339))
	}
	switch {
	case span.Length() == 0:
		sh.Say("nothing was stored in that time")
	case span.Resumed:
		sh.Say("%s was begun before: it goes on, up to sequence %d (--again begins anew)", span.Consumer, span.Last)
	default:
		sh.Say("%s: sequences %d to %d", span.Consumer, span.First, span.Last)
	}
	return r, nil
}

// same are the flags that name this replay, wherever it is given.
func (c *replayCmd) same() string {
	what := c.what(nil)
	flags := "--since " + what.Since.Format(time.RFC3339)
	if !what.Until.IsZero() {
		flags += " --until " + what.Until.Format(time.RFC3339)
	}
	if c.Subject != "" {
		flags += " --subject '" + c.Subject + "'"
	}
	return flags
}

// carry replays in earnest.
func (c *replayCmd) carry(ctx context.Context, sh *shell.Shell, site *service.ReplaySite, show *progress) error {
	r, err := c.open(ctx, sh, site, c.what(show.tell), site.Applier)
	if err != nil {
		return err
	}
	state, err := r.Run(ctx)
	show.end()
	sh.Say("replayed here: %d carried, %d dropped, %d dead letters", state.Acked, state.Dropped, state.Dead)
	if errors.Is(err, replay.ErrUnfinished) {
		return fmt.Errorf("%w: within the hour it goes on with %s", err, c.same())
	}
	if err == nil && state.Resumed && state.Length() > 0 && state.Acked+state.Dropped+state.Dead == 0 {
		sh.Say("all of it was settled before; --again replays it once more")
	}
	return err
}
