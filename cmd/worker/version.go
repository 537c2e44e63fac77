package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"forager/cmd/worker/shell"
)

// versionCmd is "worker version".
type versionCmd struct{}

func (c *versionCmd) command(sh *shell.Shell) *cobra.Command {
	return shell.Leaf(sh, "version", "Show the version.", c.Run)
}

// Run shows it.
func (c *versionCmd) Run(_ context.Context, sh *shell.Shell) error {
	_, err := fmt.Fprintln(sh.Out, "worker "+shell.Version()+" "+runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH)
	return err
}
