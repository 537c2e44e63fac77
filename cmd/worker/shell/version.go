package shell

import (
	"cmp"
	"runtime/debug"
	"slices"
)

// Version is what the build recorded: the module's version, and the commit where it is known.
func Version() string {
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
