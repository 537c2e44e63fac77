package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"
)

// versionCmd is "worker version".
type versionCmd struct{}

func (c *versionCmd) command(sh *shell) *cobra.Command {
	return leaf(sh, "version", "Show the version.", c.Run)
}

// Run shows it.
func (c *versionCmd) Run(_ context.Context, sh *shell) error {
	_, err := fmt.Fprintln(sh.out, "worker "+buildVersion()+" "+runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH)
	return err
}

// buildVersion is what the build recorded: the module's version, and the commit where it is known.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := cmp.Or(info.Main.Version, "(devel)")
	i := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "vcs.revision" })
	if i < 0 || len(info.Settings[i].Value) < 12 {
		return version
	}
	return version + " " + info.Settings[i].Value[:12]
}
