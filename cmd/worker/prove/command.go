package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
)

// ErrFaults is why "worker prove" ends with 1.
var ErrFaults = errors.New("not everything is where it was promised to be: see the faults above")

// Configured reads the configuration that a flag names.
type Configured struct {
	AddTo func(*pflag.FlagSet)
	Load  func(sh *shell.Shell, connects ...string) (*config.Config, error)
	Since pflag.Value      // reads when something begins, as --since does elsewhere
	Begin func() time.Time // what Since read; zero: nothing
}

// Command is "worker prove".
func Command(sh *shell.Shell, from Configured) *cobra.Command {
	asJSON := false
	cmd := shell.Leaf(sh, "prove", "Say of every stored message where it is: an auditor that shares no code with the worker.", func(ctx context.Context, sh *shell.Shell) error {
		c, err := from.Load(sh, config.ToNATS, config.ToHive)
		if err != nil {
			return err
		}
		return run(ctx, sh, c, Options{Since: from.Begin()}, asJSON)
	})
	from.AddTo(cmd.Flags())
	cmd.Flags().Var(from.Since, "since", "Judge messages stored since then: 2026-03-01, 2026-03-01T08:00:00Z, or so long ago: 12h, 30d; default: all.")
	cmd.Flags().BoolVar(&asJSON, "json", false, "Write one JSON object.")
	return cmd
}

func run(ctx context.Context, sh *shell.Shell, c *config.Config, o Options, asJSON bool) error {
	o.Progress = terminal.Begin(sh, "asking NATS and TheHive")
	r, err := Prove(ctx, c, o)
	o.Progress.End()
	if err != nil {
		return err
	}
	if asJSON {
		err = json.NewEncoder(sh.Out).Encode(r)
	} else {
		err = Write(terminal.Out(sh), r)
	}
	if err != nil {
		return fmt.Errorf("prove: %w", err)
	}
	if len(r.Faults) > 0 {
		return ErrFaults
	}
	return nil
}
