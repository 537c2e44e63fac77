package stream

import (
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"forager/pipeline/natstest"
)

// TestAConnectionInWhichWritesAreStuckIsMadeAnew: a partition that swallows what is written, with the kernel's buffer
// full, is left for another connection at once; pings would need many minutes, since a stuck write holds their lock.
func TestAConnectionInWhichWritesAreStuckIsMadeAnew(t *testing.T) {
	server, err := natstest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	l := &Link{log: zap.NewNop(), closed: make(chan struct{})}
	options, err := Connection{URLs: []string{server.URL()}}.options(l)
	if err != nil {
		t.Fatal(err)
	}
	d, back := &dialer{}, make(chan struct{}, 1)
	nc, err := nats.Connect(server.URL(), append(options, nats.SetCustomDialer(d), nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	d.first.stuck.Store(true)
	if err := nc.Publish("x", nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-back:
	case <-time.After(10 * time.Second): // half of what the first ping needs
		t.Fatal("the client stays with a connection that takes nothing")
	}
}

// dialer remembers its first connection.
type dialer struct{ first *stuckable }

func (d *dialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	if err != nil || d.first != nil {
		return c, err
	}
	d.first = &stuckable{Conn: c}
	return d.first, nil
}

// stuckable is a connection that, stuck, takes no byte until the deadline of the write is over.
type stuckable struct {
	net.Conn
	stuck atomic.Bool
}

func (c *stuckable) Write(p []byte) (int, error) {
	if c.stuck.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	return c.Conn.Write(p)
}
