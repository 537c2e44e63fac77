package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"forager/config"
)

// runCmd is "worker run".
type runCmd struct {
	configFlag
}

func (c *runCmd) command(sh *shell) *cobra.Command {
	cmd := leaf(sh, "run", "Carry detections to TheHive: the service.", c.Run)
	c.addTo(cmd.Flags())
	return cmd
}

// Run works until it is told to stop.
func (c *runCmd) Run(ctx context.Context, sh *shell) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	files := newWitness()
	read := func(w *witness) (*config.Config, error) { return c.read(sh, w) }
	cfg, err := read(files)
	if err != nil {
		return err
	}
	log, level, err := newLeveledLogger(cfg, sh.err)
	if err != nil {
		return err
	}
	spans, err := startTraces(ctx, sh.env, log)
	if err != nil {
		return err
	}
	defer spans.Close(ctx)
	options := pipelineOptions(cfg, log)
	options.Tracer = spans.Provider()
	s, err := newService(ctx, cfg, files, options)
	if err != nil {
		return cmp.Or(mistakes(cfg, nil, files), err) // a start stops at the first
	}
	defer s.Close()
	spans.CountLosses(s.parts.measures.metrics)
	s.hangup = hangup
	s.reloader = &reloader{live: s.live, config: cfg, files: files, load: read, build: s.parts.read, log: log, level: level}
	return s.serve(ctx, cfg)
}

// read reads the configuration, and looks for all that is wrong with it when something is.
func (c *runCmd) read(sh *shell, w *witness) (*config.Config, error) {
	cfg, err := c.loadBy(w, sh, config.ToNATS, config.ToHive, config.ToWebhook)
	if err != nil {
		return nil, mistakes(cfg, err, w)
	}
	if unreadable(cfg) != nil {
		return nil, mistakes(cfg, nil, w)
	}
	return cfg, nil
}

// serve runs the service behind its operations server, which answers from the first moment on.
func (s *service) serve(ctx context.Context, c *config.Config) (err error) {
	if c.Ops.Addr != "" {
		ops, err := listenOps(ctx, c.Ops, s, s.parts.measures.handler())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ops.Close()) }()
		s.log.Info("operations server listens", zap.String("addr", ops.addr))
	}
	s.log.Info("started", zap.String("version", buildVersion()), zap.String("stream", c.NATS.Stream), zap.String("consumer", c.NATS.Consumer))
	err = s.run(ctx)
	s.log.Info("stopped", zap.Error(err))
	return err
}
