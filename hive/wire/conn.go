// Package wire has the connections below a client: it knows of each request whether a byte of it
// left, and keeps bytes that nobody stands behind any more from leaving.
//
// It promises connections that are verified and kept ([NewTransport]), that a [Guard] is asked right before the first byte of a request, that each write has
// an end ([Dial], and by [UserTimeout] the kernel's delivery of what was written), and that a
// [Passage] says after a failure whether anything can have arrived, and that nothing will.
package wire

import (
	"context"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// Dial makes dial give connections that guard, bound and count what is written.
func Dial(dial func(context.Context, string, string) (net.Conn, error), writeTimeout time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			// A connection that is given up must not deliver later what still
			// waits in the kernel: closing it drops that.
			_ = tcp.SetLinger(0)
		}
		return &guardedConn{Conn: conn, timeout: writeTimeout}, nil
	}
}

// guardedConn asks a guard before the first byte of a request, bounds each
// write and counts the bytes that the kernel took. Only here is it certain
// whether any left: net/http reports headers as written while they still lie
// in its buffer.
type guardedConn struct {
	net.Conn
	timeout time.Duration

	mu      sync.Mutex // held while writing
	guard   *Guard     // asked before the next byte, nil once it agreed
	written int64
	over    bool // nothing may be written any more
}

// Write is the embedded Write, once the guard agreed, with a deadline.
func (c *guardedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return 0, net.ErrClosed
	}
	if err := c.guard.Ask(); err != nil {
		return 0, err
	}
	c.guard = nil
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	c.written += int64(n)
	return n, err
}

// arm puts a guard before the next byte and returns how many went before.
func (c *guardedConn) arm(g *Guard) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.guard = g
	return c.written
}

// fence ends the connection and returns how many bytes were ever written. It
// waits for a write that is under way, which the closing cuts short: net/http
// may report a failure while its own goroutine is still about to write.
func (c *guardedConn) fence() int64 {
	_ = c.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	return c.written
}

// below finds the guarded connection below TLS, nil when there is none.
func below(conn net.Conn) *guardedConn {
	for conn != nil {
		switch c := conn.(type) {
		case *guardedConn:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
	return nil
}

// Passage follows one attempt on its way to the wire. The zero Passage has no guard.
type Passage struct {
	// Guard is asked before the first byte; nil: nobody is.
	Guard *Guard

	mu     sync.Mutex
	conn   *guardedConn
	before int64
	wrote  atomic.Bool
}

// Hooks are the callbacks for httptrace.
func (p *Passage) Hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.conn = below(info.Conn); p.conn != nil {
				p.before = p.conn.arm(p.Guard)
			}
		},
		WroteHeaders: func() { p.wrote.Store(true) },
	}
}

// Sent reports, after a failure, whether a byte may have left, and makes sure
// that none leaves later. Without a guarded connection, headers that were
// handed on count as sent.
func (p *Passage) Sent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		return p.conn.fence() != p.before
	}
	return p.wrote.Load()
}

// Fenced reports whether Sent made sure that nothing leaves later.
func (p *Passage) Fenced() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn != nil
}

// guardKey is the context key of WithGuard.
type guardKey struct{}

// WithGuard gives the returned context a check for the requests made with it, which GuardOf finds;
// nil removes an outer one.
func WithGuard(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, guardKey{}, check)
}

// GuardOf is a new guard of the context's check, for one attempt; nil when there is none.
func GuardOf(ctx context.Context) *Guard {
	if check, ok := ctx.Value(guardKey{}).(func() error); ok && check != nil {
		return &Guard{check: check}
	}
	return nil
}

// Guard is the check of one attempt; it remembers its refusal.
type Guard struct {
	check func() error

	mu  sync.Mutex
	err error
}

// Ask runs the check and gives its error. Once it failed, the attempt stays forbidden; a nil guard
// forbids nothing.
func (g *Guard) Ask() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = g.check()
	}
	return g.err
}

// Refusal is what the check said last, nil when it agreed or was never asked.
func (g *Guard) Refusal() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
