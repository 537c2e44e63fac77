package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/config"
)

// configFlag is the flag of every command that reads a configuration.
type configFlag struct {
	Config  string
	Context string
}

func (f *configFlag) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.Context, "context", "", "`CONTEXT` of the nats command with address and credentials of NATS, as nats.context names it.")
	flags.StringVarP(&f.Config, "config", "c", "", "Configuration `FILE` (YAML); FORAGER_CONFIG names it too. Keys may also come from the environment.")
}

// load reads the configuration. Of servers that it is not told of, addresses and credentials may
// be missing.
func (f configFlag) load(sh *shell.Shell, connects ...string) (*config.Config, error) {
	c, err := f.loadBy(rulefiles.NewWitness(), sh, connects...)
	if err == nil && len(connects) > 0 {
		err = service.Unreadable(c)
	}
	return c, err
}

// loadBy reads the configuration through a witness.
func (f configFlag) loadBy(w *rulefiles.Witness, sh *shell.Shell, connects ...string) (*config.Config, error) {
	src := config.Source{Name: f.Config, Env: f.env(sh.Env), ReadFile: w.ReadFile, ReadSecret: w.ReadSecret, ReadDir: w.ReadDir, Connects: connects}
	if src.Name == "" {
		src.Name = variable(sh.Env, "FORAGER_CONFIG")
	}
	if src.Name != "" {
		text, err := w.ReadFile(src.Name)
		if err != nil {
			return nil, shell.Misuse(fmt.Errorf("read configuration: %w", err))
		}
		src.Text = text
	}
	return config.Load(src)
}

// env is the environment, with the context that the flag names.
func (f configFlag) env(env []string) []string {
	const name = "FORAGER_NATS_CONTEXT="
	if f.Context == "" {
		return env
	}
	return append(slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, name) }), name+f.Context)
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
