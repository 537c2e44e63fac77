package wire

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/sourcegraph/conc"
)

func TestConnectionAsksItsGuardOnceBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer far.Close()
	var reading conc.WaitGroup
	var got []byte
	reading.Go(func() { got, _ = io.ReadAll(far) })
	c := &guardedConn{Conn: near, timeout: time.Minute}
	asked := 0
	c.arm(&Guard{check: func() error { asked++; return nil }})
	for _, s := range []string{"ab", "c"} {
		if _, err := c.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.fence(); n != 3 || asked != 1 {
		t.Errorf("%d bytes, guard asked %d times", n, asked)
	}
	if _, err := c.Write([]byte("late")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after the fence: %v", err)
	}
	reading.Wait()
	if string(got) != "abc" {
		t.Errorf("far end got %q", got)
	}
}

func TestConnectionWritesNothingOnceItsGuardRefused(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer far.Close()
	c := &guardedConn{Conn: near, timeout: time.Minute}
	lost := errors.New("lost")
	held := false
	before := c.arm(&Guard{check: func() error {
		if held {
			return nil
		}
		return lost
	}})
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, lost) {
		t.Errorf("wrote %d, %v", n, err)
	}
	held = true // a refusal is final, whatever the guard says next
	if _, err := c.Write([]byte("x")); !errors.Is(err, lost) {
		t.Errorf("second write: %v", err)
	}
	if c.fence() != before {
		t.Error("bytes counted")
	}
}

func TestConnectionBoundsEachWrite(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe() // unbuffered: a write waits for its reader, who never comes
	defer far.Close()
	defer near.Close()
	c := &guardedConn{Conn: near, timeout: 10 * time.Millisecond}
	_, err := c.Write([]byte("x"))
	if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
		t.Errorf("error %v", err)
	}
}
