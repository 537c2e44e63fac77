package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
)

// ErrPartly is why "worker status" ends with 1.
var ErrPartly = errors.New("not everything could be asked: see the problems above")

// Configured reads the configuration that a flag names.
type Configured struct {
	AddTo func(*pflag.FlagSet)
	Load  func(sh *shell.Shell, connects ...string) (*config.Config, error)
}

// Command is "worker status".
func Command(sh *shell.Shell, from Configured) *cobra.Command {
	asJSON := false
	cmd := shell.Leaf(sh, "status", "Replicas, backlog, dead letters and TheHive, on one screen.", func(ctx context.Context, sh *shell.Shell) error {
		c, err := from.Load(sh, config.ToNATS, config.ToHive)
		if err != nil {
			return err
		}
		return run(ctx, sh, c, asJSON)
	})
	from.AddTo(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "Write one JSON object.")
	return cmd
}

func run(ctx context.Context, sh *shell.Shell, c *config.Config, asJSON bool) error {
	progress := terminal.Begin(sh, "asking NATS and TheHive")
	s := Gather(ctx, c)
	progress.End()
	if asJSON {
		if err := json.NewEncoder(sh.Out).Encode(s); err != nil {
			return fmt.Errorf("status: %w", err)
		}
	} else if err := Write(terminal.Out(sh), s); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	if !s.Whole() {
		return ErrPartly
	}
	return nil
}
