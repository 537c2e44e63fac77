package intake

import (
	"io"
	"net"
	"testing"
	"time"
)

// exchange sends a text to a server, and gives what comes back until the server is done with it or has answered.
func exchange(t *testing.T, addr, text string, half bool) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Error(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && half {
		_ = tcp.CloseWrite()
	}
	answer := make([]byte, 1024)
	n, _ := conn.Read(answer)
	return string(answer[:n])
}
