package wire

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestKernelGivesUndeliveredBytesUp(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"_id":"~1"}`)
	}))
	defer server.Close()
	dial := Dial((&net.Dialer{Control: UserTimeout(3 * time.Second)}).DialContext, time.Second)
	conn, err := dial(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := below(conn).Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	var lookup error
	if err := raw.Control(func(fd uintptr) {
		got, lookup = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	}); err != nil || lookup != nil {
		t.Fatal(err, lookup)
	}
	if got != 3000 {
		t.Errorf("TCP_USER_TIMEOUT %d ms", got)
	}
}
