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
	"forager/config"
)

// ErrFaults is why "worker prove" ends with 1.
var ErrFaults = errors.New("not everything is where it was promised to be: see the faults above")

// Configured reads the configuration that a flag names.
type Configured struct {
	AddTo func(*pflag.FlagSet)
	Load  func(sh *shell.Shell, connects ...string) (*config.Config, error)
}

// Command is "worker prove".
func Command(sh *shell.Shell, from Configured) *cobra.Command {
	asJSON, since := false, ""
	cmd := shell.Leaf(sh, "prove", "Say of every stored message where it is: an auditor that shares no code with the worker.", func(ctx context.Context, sh *shell.Shell) error {
		after, err := beginning(since, time.Now())
		if err != nil {
			return shell.Misuse(err)
		}
		c, err := from.Load(sh, config.ToNATS, config.ToHive)
		if err != nil {
			return err
		}
		return run(ctx, sh, c, Options{Since: after}, asJSON)
	})
	from.AddTo(cmd.Flags())
	cmd.Flags().StringVar(&since, "since", "", "Judge messages stored since `TIME`: RFC 3339, or a duration such as 24h. Without it all.")
	cmd.Flags().BoolVar(&asJSON, "json", false, "Write one JSON object.")
	return cmd
}

// beginning reads a time, or how long ago it was.
func beginning(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("--since: impossible value %q: expected a time as 2026-03-02T08:00:00Z, or a duration such as 24h", text)
	}
	return t, nil
}

func run(ctx context.Context, sh *shell.Shell, c *config.Config, o Options, asJSON bool) error {
	r, err := Prove(ctx, c, o)
	if err != nil {
		return err
	}
	if asJSON {
		err = json.NewEncoder(sh.Out).Encode(r)
	} else {
		err = Write(sh.Out, r)
	}
	if err != nil {
		return fmt.Errorf("prove: %w", err)
	}
	if len(r.Faults) > 0 {
		return ErrFaults
	}
	return nil
}
