package whatif

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
	"forager/pipeline/history"
	"forager/pipeline/stream"
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

// Command is "worker whatif".
func Command(sh *shell.Shell, from Configured) *cobra.Command {
	c := &command{from: from}
	cmd := shell.Leaf(sh, "whatif", "What other routes, silences and formats would have made of what the stream holds.", c.run)
	from.AddTo(cmd.Flags())
	cmd.Flags().StringVar(&c.rules, "rules", "", "The new rules are in `DIR`: its *.yaml take the place of rules.files, its folder formats of formats.directories. What the configuration file itself has stays.")
	cmd.Flags().Var(from.Since, "since", "Read messages stored since then: 2026-03-01, 2026-03-01T08:00:00Z, or so long ago: 12h, 30d; default: 7d.")
	cmd.Flags().BoolVar(&c.json, "json", false, "Write one JSON object.")
	return cmd
}

type command struct {
	from  Configured
	rules string
	json  bool
}

func (c *command) run(ctx context.Context, sh *shell.Shell) error {
	since := c.from.Begin()
	if since.IsZero() {
		since = time.Now().Add(-week)
	}
	if i, err := os.Stat(c.rules); err != nil || !i.IsDir() {
		return shell.Misuse(fmt.Errorf("--rules: expected a directory with rules, not %q", c.rules))
	}
	dir, err := filepath.Abs(c.rules)
	if err != nil {
		return shell.Misuse(fmt.Errorf("--rules: %w", err))
	}
	cfg, old, now, err := c.both(sh, dir)
	if err != nil {
		return err
	}
	link, err := stream.Connect(ctx, service.Connection(cfg, zap.NewNop()), zap.NewNop())
	if err != nil {
		return shell.Misuse(err)
	}
	defer link.Close()
	if err := link.Reach(); err != nil {
		return fmt.Errorf("whatif: %w", err)
	}
	progress := terminal.Begin(sh, "whatif")
	defer progress.End()
	r, err := Compare(ctx, link, history.Span{Stream: cfg.NATS.Stream, Filters: cfg.NATS.Subjects, Since: since}, old, now, progress)
	if err != nil {
		return fmt.Errorf("whatif: %w", err)
	}
	progress.End()
	if c.json {
		return json.NewEncoder(sh.Out).Encode(r)
	}
	return Write(terminal.Out(sh), r)
}

// Compare says what two sets of rules make of what a span of a stream holds. How far it is, is told to progress. Errors: of NATS.
func Compare(ctx context.Context, link *stream.Link, span history.Span, old, now Rules, progress *terminal.Progress) (Report, error) {
	span.Begun = func(n uint64) { progress.Step("reading messages", n) }
	read := func(ctx context.Context, do func(history.Message) error) error {
		return history.Read(ctx, link, span, do)
	}
	return newComparison(span.Stream, old, now).run(ctx, read, time.Now, func(done int) { progress.At(uint64(done)) })
}

// both makes the rules in force, and those of the directory.
func (c *command) both(sh *shell.Shell, dir string) (cfg *config.Config, old, now Rules, err error) {
	cfg, old, err = c.make(sh)
	if err != nil {
		return nil, old, now, err
	}
	other := *sh
	other.Env = with(sh.Env, "FORAGER_RULES_FILES", dir)
	formats := filepath.Join(dir, "formats")
	i, err := os.Stat(formats)
	own := err == nil && i.IsDir() && !sameFormats(cfg.Formats.Directories, formats)
	if own {
		other.Env = with(other.Env, "FORAGER_FORMATS_DIRECTORIES", formats)
	}
	_, now, err = c.make(&other)
	if err == nil && !own {
		now.Decoder = old.Decoder // each message is read once
	}
	return cfg, old, now, err
}

// sameFormats tells whether a folder holds the format files that are in force, and no others.
func sameFormats(inForce []string, folder string) bool {
	if len(inForce) != 1 {
		return false
	}
	old, wrong := formatFiles(inForce[0])
	now, err := formatFiles(folder)
	return wrong == nil && err == nil && maps.Equal(old, now)
}

// formatFiles are the format files of a folder: their texts, by name.
func formatFiles(folder string) (map[string]string, error) {
	files := os.DirFS(folder)
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("read formats: %w", err)
	}
	all := make(map[string]string, len(names))
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read formats: %w", err)
		}
		all[name] = string(text)
	}
	return all, nil
}

// make makes the rules of a configuration.
func (c *command) make(sh *shell.Shell) (*config.Config, Rules, error) {
	files := rulefiles.NewWitness()
	cfg, err := c.from.Load(files, sh, config.ToNATS)
	if err != nil {
		return nil, Rules{}, err
	}
	router, wrong := rulefiles.NewRouter(cfg, files)
	decoder, formats := rulefiles.NewDecoder(cfg, files, rulefiles.Trial{})
	catalogue, bundles := rulefiles.NewCatalogue(cfg)
	if err := config.Join(wrong, formats, bundles); err != nil {
		return nil, Rules{}, err
	}
	return cfg, Rules{Decoder: decoder, Planner: rulefiles.NewPlanner(cfg, catalogue, nil, router, time.Now)}, nil
}

// with sets a variable.
func with(env []string, name, value string) []string {
	kept := slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, name+"=") })
	return append(kept, name+"="+value)
}
