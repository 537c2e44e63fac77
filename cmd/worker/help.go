package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"forager/cmd/worker/shell"
	"forager/config"
)

// errHelped ends the reading of a command line that asks for help.
var errHelped = errors.New("help was shown")

// errVersion says that the version was asked for, by a flag.
var errVersion = errors.New("version asked for")

// helpFlag is --help: it ends the reading where it stands.
type helpFlag struct{}

func (helpFlag) String() string { return "false" }

// Set is called as soon as the flag is read; flagError then shows the help.
func (helpFlag) Set(string) error { return errHelped }

// Type is what cobra wants a flag of this name to be.
func (helpFlag) Type() string { return "bool" }

// versionFlag is --version of the worker itself: it ends the reading where it stands.
type versionFlag struct{ helpFlag }

// Set is called as soon as the flag is read; flagError then shows the version.
func (versionFlag) Set(string) error { return errVersion }

// placeholder is what help shows for the value of a flag.
func placeholder(f *pflag.Flag) string {
	name, _ := pflag.UnquoteUsage(f)
	return name
}

// helpCmd is "worker help [COMMAND…]".
type helpCmd struct {
	Topic []string
}

func (c *helpCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "help", `Show help for a command; "config" lists every key of the configuration.`, nil,
		shell.Arg("[COMMAND…]", `Command, or "config".`))
	cmd.Args = shell.Listed(&c.Topic)
	cmd.RunE = func(at *cobra.Command, _ []string) error { return c.Run(at.Context(), sh, at.Root()) }
	cmd.ValidArgsFunction = func(at *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		of, _, err := at.Root().Find(args)
		if err != nil || len(args) == 0 {
			return append(shell.Names(at.Root()), "config"), cobra.ShellCompDirectiveNoFileComp
		}
		return shell.Names(of), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// Run shows the help of the command that the topic names below root.
func (c *helpCmd) Run(_ context.Context, sh *shell.Shell, root *cobra.Command) error {
	if len(c.Topic) == 1 && c.Topic[0] == "config" {
		return config.WriteReference(sh.Out)
	}
	of, rest, err := root.Find(c.Topic)
	if err != nil {
		return shell.Misuse(fmt.Errorf("no help: %w", err))
	}
	if len(rest) == 0 {
		return shell.WriteHelp(sh.Out, of)
	}
	if of.HasSubCommands() {
		err = shell.NoCommand(of, rest)
	} else {
		err = shell.Misuse(shell.AtMost(0, rest))
	}
	return fmt.Errorf("no help: %w", err)
}
