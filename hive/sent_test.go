package hive_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sourcegraph/conc"

	"forager/hive"
)

// wire is a server that is told what to do with each connection, byte by byte.
type wire struct {
	net.Listener
	accepted atomic.Int32
	requests atomic.Int32
}

// listen starts a wire. serve gets each connection and its number from 1.
func listen(t *testing.T, serve func(w *wire, n int, conn net.Conn)) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l}
	var running conc.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			n := int(w.accepted.Add(1))
			running.Go(func() {
				defer conn.Close()
				serve(w, n, conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return w
}

// client is a client of the wire.
func (w *wire) client(t *testing.T, change ...func(*hive.Options)) *hive.Client {
	t.Helper()
	o := hive.Options{URL: "http://" + w.Addr().String(), APIKey: testKey, Proxy: "direct"}
	for _, c := range change {
		c(&o)
	}
	return newClient(t, o)
}

// take reads one whole request; false when there is none.
func (w *wire) take(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	w.requests.Add(1)
	return err == nil
}

const okCase = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 36\r\n\r\n" + `{"_id":"~1","number":1,"title":"T" }`

func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// wantSent fails unless err is an *Error that says what is wanted.
func wantSent(t *testing.T, err error, sent, refused bool) {
	t.Helper()
	e, ok := errors.AsType[*hive.Error](err)
	if !ok {
		t.Fatalf("error %v (%T)", err, err)
	}
	if e.Sent != sent || e.Refused() != refused || e.Ambiguous() == refused {
		t.Errorf("sent %t refused %t ambiguous %t, want sent %t refused %t: %v", e.Sent, e.Refused(), e.Ambiguous(), sent, refused, err)
	}
}

func TestWriteOnKeptConnectionThatDiesIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for name, die := range map[string]func(net.Conn){
		"closed": func(c net.Conn) { _ = c.Close() },
		"reset":  reset,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := listen(t, func(w *wire, n int, conn net.Conn) {
				r := bufio.NewReader(conn)
				if n == 1 && w.take(r) {
					_, _ = io.WriteString(conn, okCase)
				}
				w.take(r) // the second request arrives whole, and is lost with its connection
				die(conn)
			})
			c := w.client(t)
			if _, err := c.CreateCase(t.Context(), hive.NewCase{Title: "first"}); err != nil {
				t.Fatal(err)
			}
			_, err := c.CreateCase(t.Context(), hive.NewCase{Title: "second"})
			wantSent(t, err, true, false)
			if n := w.requests.Load(); n != 2 {
				t.Errorf("server got %d requests, want 2", n)
			}
			if n := w.accepted.Load(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

func TestBodylessWriteOnKeptConnectionThatDiesIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := listen(t, func(w *wire, n int, conn net.Conn) {
		r := bufio.NewReader(conn)
		if n == 1 && w.take(r) {
			_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		}
		w.take(r)
	})
	c := w.client(t)
	if err := c.DeleteComment(t.Context(), "~1"); err != nil {
		t.Fatal(err)
	}
	wantSent(t, c.DeleteComment(t.Context(), "~2"), true, false)
	if n := w.requests.Load(); n != 2 {
		t.Errorf("server got %d requests, want 2", n)
	}
}

func TestReadOnKeptConnectionThatDiesSucceeds(t *testing.T) {
	t.Parallel()
	const body = `{"_id":"~1","number":1,"title":"T" }`
	w := listen(t, func(w *wire, n int, conn net.Conn) {
		r := bufio.NewReader(conn)
		if w.take(r) && n > 1 {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 36\r\n\r\n"+body)
		}
	})
	if _, err := w.client(t).Case(t.Context(), "1"); err != nil {
		t.Error(err)
	}
}

func TestWriteThatLosesItsAnswerIsAmbiguous(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"nothing":            "",
		"half a status line": "HTTP/1.1 20",
		"headers only":       "HTTP/1.1 201 Created\r\nContent-Length: 36\r\n\r\n",
		"half a body":        okCase[:len(okCase)-9],
		"half a chunk":       "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n24\r\n{\"_id\":",
		"garbage":            "SSH-2.0-OpenSSH_9.9\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := listen(t, func(w *wire, _ int, conn net.Conn) {
				w.take(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, answer)
			})
			_, err := w.client(t).CreateCase(t.Context(), hive.NewCase{Title: "T"})
			wantSent(t, err, true, false)
			if n := w.requests.Load(); n != 1 {
				t.Errorf("server got %d requests, want 1", n)
			}
		})
	}
}

func TestWriteThatTimesOutIsAmbiguousAndEndsInTime(t *testing.T) {
	t.Parallel()
	// On a busy machine a short time-out may pass before the request leaves:
	// the server says whether it has it, and only then the verdict is judged.
	for timeout := 50 * time.Millisecond; timeout < 10*time.Second; timeout *= 4 {
		taken := make(chan struct{})
		w := listen(t, func(w *wire, _ int, conn net.Conn) {
			if w.take(bufio.NewReader(conn)) {
				close(taken)
			}
			_, _ = io.Copy(io.Discard, conn) // until the client gives up
		})
		start := time.Now()
		_, err := w.client(t, func(o *hive.Options) { o.Timeout = timeout }).CreateCase(t.Context(), hive.NewCase{Title: "T"})
		took := time.Since(start)
		select {
		case <-taken:
			wantSent(t, err, true, false)
			if took > timeout+5*time.Second {
				t.Errorf("took %s, the time-out is %s", took, timeout)
			}
			return
		default:
		}
	}
	t.Error("no request ever left")
}

func TestGuardThatFailsAfterTheConnectionSendsNoByte(t *testing.T) {
	t.Parallel()
	calls := map[string]func(*hive.Client, func() error) error{
		"with a body": func(c *hive.Client, check func() error) error {
			_, err := c.CreateCase(hive.WithGuard(t.Context(), check), hive.NewCase{Title: "T"})
			return err
		},
		"delete": func(c *hive.Client, check func() error) error {
			return c.DeleteCase(hive.WithGuard(t.Context(), check), "~1")
		},
		"upload": func(c *hive.Client, check func() error) error {
			_, err := c.AddFile(hive.WithGuard(t.Context(), check), "~1", hive.NewObservable{DataType: "file"},
				hive.Upload{Name: "big", Body: strings.NewReader(strings.Repeat("x", 1<<20))})
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan int64, 1)
			w := listen(t, func(_ *wire, _ int, conn net.Conn) {
				n, _ := io.Copy(io.Discard, conn)
				ended <- n
			})
			lost := errors.New("claim lost")
			var asked atomic.Int32
			err := call(w.client(t), func() error {
				if asked.Add(1) == 1 { // held while the call waits for its connection
					return nil
				}
				return lost
			})
			if !errors.Is(err, lost) {
				t.Fatalf("error %v", err)
			}
			wantSent(t, err, false, true)
			if n := <-ended; n != 0 {
				t.Errorf("%d bytes sent", n)
			}
		})
	}
}

func TestRefusedConnectionIsRefusedAndTriedAgain(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	var attempts atomic.Int32
	c := newClient(t, hive.Options{URL: "http://" + address, APIKey: testKey, Proxy: "direct", Observe: func(hive.Call) { attempts.Add(1) }})
	_, err = c.CreateCase(t.Context(), hive.NewCase{Title: "T"})
	wantSent(t, err, false, true)
	if n := attempts.Load(); n < 3 || n > 6 {
		t.Errorf("%d attempts, want some, at most six", n)
	}
}

func TestUnknownCertificateIsRefusedAndNotTriedAgain(t *testing.T) {
	t.Parallel()
	var attempts atomic.Int32
	w := listen(t, func(_ *wire, _ int, conn net.Conn) { reset(conn) })
	c := newClient(t, hive.Options{URL: "https://" + w.Addr().String(), APIKey: testKey, Proxy: "direct", Observe: func(hive.Call) { attempts.Add(1) }})
	_, err := c.CreateCase(t.Context(), hive.NewCase{Title: "T"})
	e, ok := errors.AsType[*hive.Error](err)
	if !ok || !e.Refused() || e.Sent {
		t.Errorf("a failed handshake sends nothing of the request: %v", err)
	}
}
