package wire

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// UserTimeout makes the kernel give a connection up when what was written to
// it stays unacknowledged for d (TCP_USER_TIMEOUT, in milliseconds), so that a
// partition cannot deliver a request long after its caller stopped waiting.
func UserTimeout(d time.Duration) func(network, address string, conn syscall.RawConn) error {
	return func(_, _ string, conn syscall.RawConn) error {
		var set error
		err := conn.Control(func(fd uintptr) {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
		if err != nil {
			return err
		}
		return set
	}
}
