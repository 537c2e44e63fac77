package hive

import (
	"context"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// boundedDial dials connections that guard, bound and count what is written.
func boundedDial(d *net.Dialer, writeTimeout time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
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
	guard   *guard     // asked before the next byte, nil once it agreed
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
	if err := c.guard.ask(); err != nil {
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
func (c *guardedConn) arm(g *guard) int64 {
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

// passage follows one attempt on its way to the wire.
type passage struct {
	guard *guard

	mu     sync.Mutex
	conn   *guardedConn
	before int64
	wrote  atomic.Bool
}

// hooks are the callbacks for httptrace.
func (p *passage) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.conn = below(info.Conn); p.conn != nil {
				p.before = p.conn.arm(p.guard)
			}
		},
		WroteHeaders: func() { p.wrote.Store(true) },
	}
}

// sent reports, after a failure, whether a byte may have left, and makes sure
// that none leaves later. Without a guarded connection, headers that were
// handed on count as sent.
func (p *passage) sent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		return p.conn.fence() != p.before
	}
	return p.wrote.Load()
}

// fenced reports whether sent made sure that nothing leaves later.
func (p *passage) fenced() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn != nil
}

// guardKey is the context key of WithGuard.
type guardKey struct{}

// WithGuard gives every write made with the returned context a check that runs
// right before the first byte of each attempt: after the wait for a free place
// and for a connection, and again before each attempt in place. When check
// fails the attempt is abandoned with nothing sent, and the call's [*Error]
// wraps what check returned. It runs more than once an attempt (before a
// connection is looked for, and when it is there), and must be quick and safe
// for concurrent use. On connections that are not of [NewTransport] only the
// first of the two is possible. A nil check removes an outer one.
func WithGuard(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, guardKey{}, check)
}

// guardOf is the context's check, nil when there is none.
func guardOf(ctx context.Context) *guard {
	if check, ok := ctx.Value(guardKey{}).(func() error); ok && check != nil {
		return &guard{check: check}
	}
	return nil
}

// guard is the check of one attempt; it remembers its refusal.
type guard struct {
	check func() error

	mu  sync.Mutex
	err error
}

// ask runs the check. Once it failed, the attempt stays forbidden.
func (g *guard) ask() error {
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

// refusal is what the check said last.
func (g *guard) refusal() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
