package apply_test

import (
	"context"
	"errors"
	"net"
	"time"

	"forager/enrich/claim"
)

var (
	errKilled = errors.New("killed")
	errLost   = errors.New("answer lost")
)

// wait waits, or ends with the context.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// mortal dials connections that die with the worker.
type mortal struct {
	*pipes
	dead <-chan struct{}
}

func (m mortal) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	select {
	case <-m.dead:
		return nil, net.ErrClosed
	default:
	}
	c, err := m.pipes.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return mortalConn{c, m.dead}, nil
}

type mortalConn struct {
	net.Conn
	dead <-chan struct{}
}

func (c mortalConn) Write(b []byte) (int, error) {
	select {
	case <-c.dead:
		return 0, net.ErrClosed
	default:
		return c.Conn.Write(b)
	}
}

// shaky is the ledger as a worker of a storm sees it.
type shaky struct {
	claim.Store
	s    *storm
	dead <-chan struct{}
}

func (l shaky) fault() error {
	select {
	case <-l.dead:
		return errKilled
	default:
	}
	if l.s.roll(0.02) {
		wait(context.Background(), l.s.below(3*time.Second))
	}
	if l.s.roll(0.02) {
		return errLost
	}
	return nil
}

func (l shaky) Put(ctx context.Context, key string, value []byte, expected uint64) (uint64, error) {
	if err := l.fault(); err != nil {
		return 0, err
	}
	revision, err := l.Store.Put(context.WithoutCancel(ctx), key, value, expected)
	if lost := l.fault(); lost != nil {
		return 0, lost
	}
	return revision, err
}

func (l shaky) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := l.fault(); err != nil {
		return nil, 0, err
	}
	return l.Store.Get(ctx, key)
}
