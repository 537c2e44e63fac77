package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"forager/config"
	"forager/pipeline/inspect"
)

// configFlag is the flag of every command that reads a configuration.
type configFlag struct {
	Config string
}

func (f *configFlag) addTo(flags *pflag.FlagSet) {
	flags.StringVarP(&f.Config, "config", "c", "", "Configuration `FILE` (YAML); FORAGER_CONFIG names it too. Keys may also come from the environment.")
}

// load reads the configuration. Of servers that it is not told of, addresses and credentials may
// be missing.
func (f configFlag) load(sh *shell, connects ...string) (*config.Config, error) {
	c, err := f.loadBy(newWitness(), sh, connects...)
	if err == nil && len(connects) > 0 {
		err = unreadable(c)
	}
	return c, err
}

// loadBy reads the configuration through a witness.
func (f configFlag) loadBy(w *witness, sh *shell, connects ...string) (*config.Config, error) {
	src := config.Source{Name: f.Config, Env: sh.env, ReadFile: w.ReadFile, ReadSecret: w.ReadSecret, ReadDir: w.ReadDir, Connects: connects}
	if src.Name == "" {
		src.Name = variable(sh.env, "FORAGER_CONFIG")
	}
	if src.Name != "" {
		text, err := w.ReadFile(src.Name)
		if err != nil {
			return nil, &usageError{fmt.Errorf("read configuration: %w", err)}
		}
		src.Text = text
	}
	return config.Load(src)
}

// variable gives the last value of an environment variable.
func variable(env []string, name string) (value string) {
	for _, v := range env {
		if n, text, _ := strings.Cut(v, "="); n == name {
			value = text
		}
	}
	return value
}

// checkCmd is "worker check".
type checkCmd struct {
	configFlag

	Connect    bool
	MeasureLag bool
	JSON       bool
}

func (c *checkCmd) command(sh *shell) *cobra.Command {
	cmd := leaf(sh, "check", "Validate the configuration, and with --connect look at NATS and TheHive.", c.Run)
	c.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&c.Connect, "connect", false, "Also look at NATS and TheHive: permissions, settings, versions, rights. Changes nothing; ends with 1 when the worker would not work.")
	cmd.Flags().BoolVar(&c.MeasureLag, "measure-lag", false, "With --connect: open a case in TheHive, see how long a search by tag does not show it, and delete it. Takes up to hive.settle longer.")
	cmd.Flags().BoolVar(&c.JSON, "json", false, "With --connect: print the findings as JSON.")
	return cmd
}

// Run validates, and looks around.
func (c *checkCmd) Run(ctx context.Context, sh *shell) error {
	if c.JSON && !c.Connect {
		return &usageError{errors.New("--json: goes with --connect")}
	}
	if c.MeasureLag && !c.Connect {
		return &usageError{errors.New("--measure-lag: goes with --connect")}
	}
	files := newWitness()
	cfg, err := c.loadBy(files, sh, config.ToNATS, config.ToHive, config.ToWebhook)
	traces := checkTraces(sh.env)
	if err := config.Join(mistakes(cfg, err, files), traces); err != nil {
		return err
	}
	finding, err := checkSpool(cfg)
	if err != nil {
		return err
	}
	if finding != "" {
		sh.say("%s", finding)
	}
	for _, line := range exposed(cfg) {
		sh.say("%s", line)
	}
	if !c.JSON {
		if _, err := fmt.Fprintln(sh.out, "configuration: ok"); err != nil {
			return err
		}
	}
	if c.Connect {
		return c.look(ctx, sh, cfg)
	}
	return nil
}

// look inspects the servers and fails when the worker would not work.
func (c *checkCmd) look(ctx context.Context, sh *shell, cfg *config.Config) error {
	found, err := inspectBoth(ctx, cfg, inspectWithin)
	if err != nil {
		return err
	}
	if c.MeasureLag {
		more, err := measureLag(ctx, cfg, found)
		if err != nil {
			return err
		}
		found = append(found, more...)
	}
	works := worst(found) != inspect.LevelBroken
	if c.JSON {
		err = checkReport{works, found}.write(sh.out)
	} else {
		err = printFindings(sh.out, found)
	}
	switch {
	case err != nil:
		return err
	case !works:
		return errNotWorking
	default:
		return context.Cause(ctx) // told to stop before it had looked at everything
	}
}
