package setup

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"forager/cmd/worker/shell"
)

// Looks runs "worker check --connect" on a configuration file.
type Looks func(ctx context.Context, sh *shell.Shell, config string) error

// initCmd is "worker init".
type initCmd struct {
	answers

	noCheck bool
}

// Command is "worker init". What it wrote is looked at by look.
func Command(sh *shell.Shell, look Looks) *cobra.Command {
	c := &initCmd{}
	cmd := shell.Leaf(sh, "init", "Write a first configuration, and look whether it works.", func(ctx context.Context, sh *shell.Shell) error {
		return c.run(ctx, sh, look)
	})
	flags := cmd.Flags()
	flags.StringVar(&c.dir, "dir", ".", "Existing `DIRECTORY` to write to.")
	flags.StringVar(&c.nats, "nats", "", "`ADDRESS` of NATS; "+defaultNATS+" when it is not given.")
	flags.StringVar(&c.context, "context", "", "`CONTEXT` of the nats command with address and credentials of NATS.")
	flags.StringVar(&c.creds, "nats-creds-file", "", "`FILE` with the credentials for NATS.")
	flags.BoolVar(&c.ownStreams, "own-streams", false, "You make the streams yourself: a script with the nats commands is written.")
	flags.StringVar(&c.hive, "hive", "", "`ADDRESS` of TheHive; "+defaultHive+" when it is not given.")
	flags.StringVar(&c.keyFile, "hive-key-file", "", "`FILE` that holds the API key of Forager's account in TheHive; thehive.key beside the configuration when it is not given.")
	flags.StringVar(&c.organisation, "organisation", "", "`NAME` of the organisation that gets the cases; the account's own when it is not given.")
	flags.StringVar(&c.forwarder, "forwarder", "", "First sender over HTTP: its files are written, with a secret of its own. `NAME` is one of "+strings.Join(forwarderNames(), ", ")+".")
	flags.StringVar(&c.intake, "intake", "", "`HOST:PORT` at which this sender reaches Forager; "+defaultIntake+" when it is not given.")
	flags.BoolVar(&c.noCheck, "no-check", false, "Do not look at NATS and TheHive afterwards.")
	return cmd
}

// run asks what it was not told, writes, and looks.
func (c *initCmd) run(ctx context.Context, sh *shell.Shell, look Looks) error {
	if q := questionsOf(sh); q != nil {
		if err := c.ask(q); err != nil {
			return fmt.Errorf("init: %w", err)
		}
	}
	if err := c.complete(); err != nil {
		return shell.Misuse(err)
	}
	files, err := c.files()
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	if err := write(c.dir, files); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	for _, f := range files {
		if _, err := fmt.Fprintf(sh.Out, "wrote %s: %s\n", filepath.Join(c.dir, filepath.FromSlash(f.name)), f.is); err != nil {
			return fmt.Errorf("init: %w", err)
		}
	}
	config := filepath.Join(c.dir, configName)
	var failed error
	if !c.noCheck {
		failed = look(ctx, sh, config)
	}
	return c.next(sh, config, failed)
}

// next says what to do now.
func (c *initCmd) next(sh *shell.Shell, config string, failed error) error {
	lines := []string{"worker run --config " + config}
	if c.sample != "" {
		lines = append(lines, "worker publish --config "+config+" --wait "+filepath.Join(c.dir, filepath.FromSlash(c.sample)))
	}
	if c.ownStreams {
		lines = append([]string{"sh " + filepath.Join(c.dir, streamsName)}, lines...)
	}
	if failed != nil {
		lines = append([]string{"worker check --config " + config + " --connect"}, lines...)
	}
	if _, err := fmt.Fprintf(sh.Out, "\nnext:\n  %s\n", strings.Join(lines, "\n  ")); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	return failed
}
