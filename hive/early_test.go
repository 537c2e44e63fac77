package hive_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"forager/hive"
)

// TestUploadRefusedEarlyIsReadAsRefused: a server that answers without reading
// the body and hangs up must not look like a lost connection.
func TestUploadRefusedEarlyIsReadAsRefused(t *testing.T) {
	t.Parallel()
	for range 10 {
		w := listen(t, func(w *wire, _ int, conn net.Conn) {
			r := bufio.NewReader(conn)
			for line, err := r.ReadString('\n'); err == nil && line != "\r\n"; {
				line, err = r.ReadString('\n')
			}
			w.requests.Add(1)
			_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
			reset(conn)
		})
		_, err := w.client(t).AddFile(t.Context(), "1", hive.NewObservable{DataType: "file"},
			hive.Upload{Name: "big", Body: strings.NewReader(strings.Repeat("x", 32<<20)), Size: 32 << 20})
		if e, ok := errors.AsType[*hive.Error](err); !ok || e.Status != 413 || !e.Refused() {
			t.Errorf("error %v", err)
		}
		if n := w.requests.Load(); n != 1 {
			t.Errorf("%d requests", n)
		}
	}
}

func TestUploadThatIsCutIsRefusedOnlyBeforeItsEnd(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	for name, c := range map[string]struct {
		take    int64 // what the server reads before it resets the connection
		refused bool
	}{
		"in the middle": {1 << 20, true},
		"at the end":    {1 << 40, false},
	} {
		for _, known := range []int64{size, 0} {
			w := listen(t, func(_ *wire, _ int, conn net.Conn) {
				req, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
				_, _ = io.CopyN(io.Discard, req.Body, c.take)
				reset(conn)
			})
			_, err := w.client(t).AddFile(t.Context(), "1", hive.NewObservable{DataType: "file"},
				hive.Upload{Name: "big", Body: strings.NewReader(strings.Repeat("x", size)), Size: known})
			t.Log(name, known, err)
			wantSent(t, err, true, c.refused)
		}
	}
}
