//go:build !linux

package wire

import (
	"syscall"
	"time"
)

// UserTimeout does nothing where the kernel has no TCP_USER_TIMEOUT: there the
// write deadline alone bounds delivery, and only until the kernel took it all.
func UserTimeout(time.Duration) func(network, address string, conn syscall.RawConn) error {
	return nil
}
