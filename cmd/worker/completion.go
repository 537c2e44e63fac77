package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"forager/cmd/worker/shell"
)

// completionCmd is "worker completion".
type completionCmd struct {
	Shell string
}

// shells are those that cobra writes completion for.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func (c *completionCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "completion", "Write the script that lets a shell complete what is typed.", nil,
		shell.Arg("SHELL", "One of "+strings.Join(shells, ", ")+"."))
	cmd.Args = shell.Reads(func(args []string) error {
		if len(args) == 0 || !slices.Contains(shells, args[0]) {
			return fmt.Errorf("expected one of %s", shell.Quoted(shells))
		}
		c.Shell = args[0]
		return shell.AtMost(1, args)
	})
	cmd.ValidArgsFunction = cobra.FixedCompletions(shells, cobra.ShellCompDirectiveNoFileComp)
	cmd.RunE = func(at *cobra.Command, _ []string) error { return c.Run(at.Context(), sh, at.Root()) }
	return cmd
}

// Run writes the script for the commands below root.
func (c *completionCmd) Run(_ context.Context, sh *shell.Shell, root *cobra.Command) error {
	const described = true // each candidate comes with its help
	switch c.Shell {
	case "zsh":
		return root.GenZshCompletion(sh.Out)
	case "fish":
		return root.GenFishCompletion(sh.Out, described)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(sh.Out)
	default:
		return root.GenBashCompletionV2(sh.Out, described)
	}
}
