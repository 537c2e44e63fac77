package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"forager/cmd/worker/casefind"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
	"forager/enrich/apply"
	"forager/enrich/detection/canon"
	"forager/hive"
	"forager/pipeline/stream"
)

// caseCommands are "worker case": what Forager remembers of a case, for people.
func caseCommands(sh *shell.Shell) *cobra.Command {
	sought, since := new(configFlag), new(moment)
	return shell.Branch("case", "Where an alert went; what the ledger knows of a case; let a removed technique come back.",
		casefind.Command(sh, casefind.Configured{AddTo: sought.addTo, Load: func(w *rulefiles.Witness, sh *shell.Shell, connects ...string) (*config.Config, error) {
			return sought.loadBy(w, sh, connects...)
		}, Since: since, Begin: func() time.Time { return since.Time }}),
		(&caseShowCmd{}).command(sh),
		(&caseAllowCmd{}).command(sh),
	)
}

// caseChoice names a case.
type caseChoice struct {
	configFlag

	Number string
}

// numbered is how help shows the argument that names a case.
func numbered() shell.Argument {
	return shell.Arg("NUMBER", "Number of the case in TheHive, or its id (~…) when it is deleted.")
}

var isCase = regexp.MustCompile(`^~?[0-9]+$`)

// read takes the first argument; the others belong to the command.
func (c *caseChoice) read(args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, errors.New("expected the NUMBER of a case")
	}
	c.Number = strings.TrimPrefix(args[0], "#") // as it is written where people read it
	if !isCase.MatchString(c.Number) {
		return nil, fmt.Errorf("%s is no case: expected its number, or its id (~…)", shell.Shown(args[0]))
	}
	return args[1:], nil
}

// remembered is the ledger's side of a case, and TheHive's.
type remembered struct {
	applier *apply.Applier
	client  *hive.Client
	close   func()
}

// open connects to NATS and TheHive. Nothing is consumed, claimed or created.
func (c caseChoice) open(ctx context.Context, sh *shell.Shell) (*remembered, error) {
	files := rulefiles.NewWitness()
	cfg, err := c.loadBy(files, sh, config.ToNATS, config.ToHive)
	if err != nil {
		return nil, err
	}
	log := zap.NewNop()
	parts, err := service.NewParts(cfg, files, log)
	if err != nil {
		return nil, err
	}
	link, err := stream.Connect(ctx, service.Connection(cfg, log), log)
	if err != nil {
		return nil, shell.Misuse(err)
	}
	applier, err := service.NewApplier(cfg, parts, link, log)
	if err != nil {
		link.Close()
		return nil, err
	}
	client := parts.Client()
	return &remembered{applier: applier, client: client, close: func() { link.Close(); client.CloseIdle() }}, nil
}

// openCase connects, and finds the case that was named.
func (c caseChoice) openCase(ctx context.Context, sh *shell.Shell) (*remembered, hive.Case, error) {
	r, err := c.open(ctx, sh)
	if err != nil {
		return nil, hive.Case{}, err
	}
	found, err := r.find(ctx, c.Number)
	if err != nil {
		r.close()
		return nil, hive.Case{}, err
	}
	return r, found, nil
}

// find gives TheHive's id of the case, and the case; a deleted one has but its id.
func (r *remembered) find(ctx context.Context, number string) (hive.Case, error) {
	c, err := r.client.Case(ctx, number)
	if err == nil || !strings.HasPrefix(number, "~") {
		return c, err
	}
	return hive.Case{ID: number}, nil
}

// caseShowCmd is "worker case show".
type caseShowCmd struct {
	caseChoice

	JSON bool
}

func (c *caseShowCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "show", "Show what the ledger knows of a case: what Forager added, and what analysts removed.", c.Run, numbered())
	c.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Write one JSON object.")
	cmd.Args = shell.Reads(func(args []string) error {
		rest, err := c.read(args)
		return cmp.Or(err, shell.AtMost(0, rest))
	})
	return cmd
}

// Run shows.
func (c *caseShowCmd) Run(ctx context.Context, sh *shell.Shell) error {
	r, found, err := c.openCase(ctx, sh)
	if err != nil {
		return err
	}
	defer r.close()
	m, err := r.applier.ReadEntry(ctx, found.ID)
	if err != nil {
		return err
	}
	shown := shownCaseOf(found, m)
	if c.JSON {
		out := json.NewEncoder(sh.Out)
		out.SetEscapeHTML(false)
		return out.Encode(shown)
	}
	return shown.print(terminal.Out(sh))
}

// caseAllowCmd is "worker case allow".
type caseAllowCmd struct {
	caseChoice

	Techniques []string
	JSON       bool
}

func (c *caseAllowCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "allow", "Let techniques that an analyst removed from a case come back with the next detection.", c.Run,
		numbered(), shell.Arg("TECHNIQUE…", "Techniques, T1059 or T1059.001, for all their tactics."))
	c.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Write one JSON line for each removal that was lifted.")
	cmd.Args = shell.Reads(func(args []string) (err error) {
		if c.Techniques, err = c.read(args); err == nil && len(c.Techniques) == 0 {
			err = errors.New("expected a TECHNIQUE, or several, after the number")
		}
		return err
	})
	return cmd
}

// Run lifts removals.
func (c *caseAllowCmd) Run(ctx context.Context, sh *shell.Shell) error {
	r, found, err := c.openCase(ctx, sh)
	if err != nil {
		return err
	}
	defer r.close()
	for _, technique := range c.Techniques {
		lifted, err := r.applier.LiftRemoval(ctx, found.ID, technique)
		if err != nil {
			return err
		}
		for _, item := range lifted {
			if c.JSON {
				if err := json.NewEncoder(sh.Out).Encode(shownItem{item.Kind, item.Item}); err != nil {
					return fmt.Errorf("allow: %w", err)
				}
				continue
			}
			fmt.Fprintf(sh.Out, "case %d: %s may come back\n", found.Number, canon.Clean(item.Item, 120))
		}
	}
	return nil
}
