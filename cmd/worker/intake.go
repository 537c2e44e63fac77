package main

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/spf13/cobra"

	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/config"
)

// intakeCmd is "worker intake".
type intakeCmd struct {
	configFlag
}

func (c *intakeCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "intake", "Take events in over HTTP and hand them to the stream, without a worker; run does so, too.", c.Run)
	c.addTo(cmd.Flags())
	return cmd
}

// lazyGC lets the heap grow to five times what is in hand, which is bounded, before it is collected: what a
// request leaves behind is little, and collecting it each few milliseconds took a sixth of the processor.
const lazyGC = 400

// errNoSources says that there is nobody to take events from.
var errNoSources = errors.New("intake.sources: missing: who may send? worker help config says how to name them")

// Run takes events in until it is told to stop.
func (c *intakeCmd) Run(ctx context.Context, sh *shell.Shell) error {
	cfg, err := c.load(sh, config.ToNATS, config.ToIntake)
	if err != nil {
		return err
	}
	if len(cfg.Intake.Sources) == 0 || cfg.Intake.Addr == "" {
		return shell.Misuse(errNoSources)
	}
	log, err := service.NewLogger(cfg, sh.Err)
	if err != nil {
		return err
	}
	if variable(sh.Env, "GOGC") == "" {
		debug.SetGCPercent(lazyGC)
	}
	i, err := service.NewIntake(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer i.Close()
	return i.Serve(ctx, cfg)
}
