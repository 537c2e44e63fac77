//go:build !linux

package hive

import (
	"syscall"
	"time"
)

// userTimeout does nothing where the kernel has no TCP_USER_TIMEOUT: there the
// write deadline alone bounds delivery, and only until the kernel took it all.
func userTimeout(time.Duration) func(network, address string, conn syscall.RawConn) error {
	return nil
}
