//go:build unix

package service

import (
	"io/fs"
	"os"
	"syscall"
)

// permits tells whether the system's files have permissions for group and others.
const permits = true

// ours tells whether a file belongs to who runs this.
func ours(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}
