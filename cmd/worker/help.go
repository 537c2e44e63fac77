package main

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/alecthomas/kong"

	"forager/config"
)

// errHelped ends the reading of a command line that asks for help.
var errHelped = errors.New("help was shown")

// helpFlag shows help for the command before it.
type helpFlag bool

// BeforeReset is called by kong as soon as the flag is read.
func (h helpFlag) BeforeReset(at *kong.Context) error {
	if err := at.PrintUsage(false); err != nil {
		return fmt.Errorf("show help: %w", err)
	}
	return errHelped
}

// helpCmd is "worker help [COMMAND…]".
type helpCmd struct {
	Topic []string `arg:"" optional:"" help:"Command, or \"config\"."`
}

func (c *helpCmd) Run(sh *shell) error {
	if len(c.Topic) == 1 && c.Topic[0] == "config" {
		return config.WriteReference(sh.out)
	}
	parser, err := newParser(sh)
	if err != nil {
		return err
	}
	if _, err = parser.Parse(append(c.Topic, "--help")); !errors.Is(err, errHelped) {
		return &usageError{fmt.Errorf("no help: %w", err)}
	}
	return nil
}

// versionCmd is "worker version".
type versionCmd struct{}

func (c *versionCmd) Run(sh *shell) error {
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
