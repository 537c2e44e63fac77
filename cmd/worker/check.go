package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"forager/cmd/worker/check"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
	"forager/filebound"
	"forager/pipeline/inspect"
)

// checkCmd is "worker check".
type checkCmd struct {
	configFlag

	Connect    bool
	MeasureLag bool
	Listen     time.Duration
	Conform    bool
	ConformKey string
	Monitor    string
	JSON       bool
}

func (c *checkCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "check", "Validate the configuration, and with --connect look at NATS and TheHive.", c.Run)
	c.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&c.Connect, "connect", false, "Also look at NATS and TheHive: permissions, settings, versions, rights. Changes nothing; ends with 1 when the worker would not work.")
	cmd.Flags().BoolVar(&c.MeasureLag, "measure-lag", false, "With --connect: open a case in TheHive, see how long a search by tag does not show it, and delete it. Takes up to hive.settle longer.")
	cmd.Flags().DurationVar(&c.Listen, "listen", 0, "With --connect: hear for so long whether alerts are published where the stream does not listen, and would be lost. Needs a user that may subscribe to everything.")
	cmd.Flags().BoolVar(&c.Conform, "conform", false, "With --connect: ask TheHive what nobody knows of it for sure, in some hundred cases that say so and are deleted again. At most ten minutes; not on a system that is busy.")
	cmd.Flags().StringVar(&c.ConformKey, "conform-key-file", "", "With --conform: the API key of another account of the organisation is in `FILE`, for what one account cannot ask.")
	cmd.Flags().StringVar(&c.Monitor, "nats-monitor", "", "With --connect: ask the monitoring port of a NATS server, http://host:8222, how soon it writes to its disk what it confirmed (sync_interval).")
	cmd.Flags().BoolVar(&c.JSON, "json", false, "With --connect: print the findings as JSON.")
	return cmd
}

// Run validates, and looks around.
func (c *checkCmd) Run(ctx context.Context, sh *shell.Shell) error {
	for _, f := range []struct {
		flag, with string
		given, has bool
	}{
		{"json", "connect", c.JSON, c.Connect}, {"measure-lag", "connect", c.MeasureLag, c.Connect}, {"listen", "connect", c.Listen != 0, c.Connect}, {"nats-monitor", "connect", c.Monitor != "", c.Connect},
		{"conform", "connect", c.Conform, c.Connect}, {"conform-key-file", "conform", c.ConformKey != "", c.Conform},
	} {
		if f.given && !f.has {
			return shell.Misuse(fmt.Errorf("--%s: goes with --%s", f.flag, f.with))
		}
	}
	files := rulefiles.NewWitness()
	cfg, err := c.loadBy(files, sh, config.ToNATS, config.ToHive, config.ToWebhook, config.ToIntake)
	traces := service.CheckTraces(sh.Env)
	if err := config.Join(service.Mistakes(cfg, err, files), traces); err != nil {
		return err
	}
	finding, err := service.CheckSpool(cfg)
	if err != nil {
		return err
	}
	if finding != "" {
		sh.Say("%s", finding)
	}
	for _, line := range service.Exposed(cfg) {
		sh.Say("%s", line)
	}
	if !c.JSON {
		out := terminal.Out(sh)
		out.Line(0, terminal.Plain.Of("configuration: "), terminal.Good.Of("ok"))
		if err := out.Failed(); err != nil {
			return err
		}
	}
	if c.Connect {
		return c.look(ctx, sh, cfg)
	}
	return nil
}

// look inspects the servers and fails when the worker would not work.
func (c *checkCmd) look(ctx context.Context, sh *shell.Shell, cfg *config.Config) error {
	progress := terminal.Begin(sh, "looking at NATS and TheHive")
	defer progress.End()
	found, err := c.findings(ctx, cfg, progress)
	if err != nil {
		return err
	}
	works := check.Worst(found) != inspect.LevelBroken
	report := check.Report{Works: works, Findings: found}
	var left []string
	switch {
	case !c.Conform:
	case !check.HiveWorks(found):
		sh.Say("--conform: TheHive was not asked: first mend what is broken there")
	default:
		progress.Wait("asking TheHive what nobody knows, for ten minutes at most")
		if report.Conform, left, err = c.conform(ctx, cfg); err != nil {
			return err
		}
	}
	progress.End()
	if c.JSON {
		err = report.Write(sh.Out)
	} else {
		err = check.Print(terminal.Out(sh), found)
	}
	if err == nil && !c.JSON && report.Conform != nil {
		err = check.PrintConformance(terminal.Out(sh), *report.Conform, left)
	}
	for _, l := range left {
		sh.Say("a case is left in TheHive: %s", l)
	}
	switch {
	case err != nil:
		return err
	case !works:
		return check.ErrNotWorking
	default:
		return context.Cause(ctx) // told to stop before it had looked at everything
	}
}

// findings are those of both servers, and of all that was asked for besides.
func (c *checkCmd) findings(ctx context.Context, cfg *config.Config, progress *terminal.Progress) ([]inspect.Finding, error) {
	found, err := check.Inspect(ctx, cfg, check.InspectWithin)
	for _, more := range []struct {
		wanted bool
		what   string
		look   func() ([]inspect.Finding, error)
	}{
		{c.Monitor != "", "asking the monitoring port", func() ([]inspect.Finding, error) { return check.Monitored(ctx, c.Monitor) }},
		{c.MeasureLag, "measuring the lag of searches", func() ([]inspect.Finding, error) { return check.Lag(ctx, cfg, found) }},
		{c.Listen > 0, "listening for " + c.Listen.String(), func() ([]inspect.Finding, error) { return check.Listen(ctx, cfg, c.Listen) }},
	} {
		if err != nil || !more.wanted {
			continue
		}
		progress.Wait(more.what)
		var others []inspect.Finding
		others, err = more.look()
		found = append(found, others...)
	}
	return found, err
}

// conform asks TheHive.
func (c *checkCmd) conform(ctx context.Context, cfg *config.Config) (*check.Conformance, []string, error) {
	key := ""
	if c.ConformKey != "" {
		raw, err := filebound.Read(c.ConformKey, 64<<10)
		if err != nil {
			return nil, nil, shell.Misuse(fmt.Errorf("--conform-key-file: %w", err))
		}
		key = strings.TrimSpace(string(raw))
	}
	seen, left, err := check.Conform(ctx, cfg, key)
	return &seen, left, err
}
