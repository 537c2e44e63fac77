package main

import (
	"cmp"
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/config"
)

// runCmd is "worker run".
type runCmd struct {
	configFlag
}

func (c *runCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "run", "Carry detections to TheHive: the service.", c.Run)
	c.addTo(cmd.Flags())
	return cmd
}

// Run works until it is told to stop.
func (c *runCmd) Run(ctx context.Context, sh *shell.Shell) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	files := rulefiles.NewWitness()
	read := func(w *rulefiles.Witness) (*config.Config, error) { return c.read(sh, w) }
	cfg, err := read(files)
	if err != nil {
		return err
	}
	log, level, err := service.NewLeveledLogger(cfg, sh.Err)
	if err != nil {
		return err
	}
	spans, err := service.StartTraces(ctx, sh.Env, log)
	if err != nil {
		return err
	}
	defer spans.Close(ctx)
	options := service.PipelineOptions(cfg, log)
	options.Tracer = spans.Provider()
	s, err := service.New(ctx, cfg, files, options)
	if err != nil {
		return cmp.Or(service.Mistakes(cfg, nil, files), err) // a start stops at the first
	}
	defer s.Close()
	spans.CountLosses(s.Metrics())
	s.ReloadsBy(hangup, cfg, files, read, level)
	return s.Serve(ctx, cfg)
}

// read reads the configuration, and looks for all that is wrong with it when something is.
func (c *runCmd) read(sh *shell.Shell, w *rulefiles.Witness) (*config.Config, error) {
	cfg, err := c.loadBy(w, sh, config.ToNATS, config.ToHive, config.ToWebhook, config.ToIntake)
	if err != nil {
		return nil, service.Mistakes(cfg, err, w)
	}
	if service.Unreadable(cfg) != nil {
		return nil, service.Mistakes(cfg, nil, w)
	}
	return cfg, nil
}
