package simulation

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/sourcegraph/conc"
)

// wires are the connections from one place to another. They can hang, break, and refuse new ones.
type wires struct {
	reach   func(ctx context.Context) (net.Conn, error) // connects to what is at their other end
	carrier *conc.WaitGroup

	mu      sync.Mutex
	open    map[*end]bool
	refuses bool
	shy     bool          // a new connection is refused while nothing flows: its client would hold a lock until it is made
	flows   chan struct{} // not nil: nothing flows before it is closed
}

var errRefused = errors.New("connection refused")

func newWires(carrier *conc.WaitGroup, reach func(context.Context) (net.Conn, error)) *wires {
	return &wires{reach: reach, carrier: carrier, open: map[*end]bool{}}
}

// end is the end of a connection that its client has.
type end struct {
	net.Conn

	inner net.Conn
	gone  chan struct{}
	once  sync.Once
}

// Close ends the connection; what was not carried yet never is.
func (e *end) Close() error {
	e.once.Do(func() { close(e.gone) })
	return errors.Join(e.Conn.Close(), e.inner.Close())
}

func (w *wires) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	w.mu.Lock()
	refuses := w.refuses || w.shy && w.flows != nil
	w.mu.Unlock()
	if refuses {
		return nil, errRefused
	}
	far, err := w.reach(ctx)
	if err != nil {
		return nil, err
	}
	near, inner := net.Pipe()
	e := &end{Conn: near, inner: inner, gone: make(chan struct{})}
	w.mu.Lock()
	w.open[e] = true
	w.mu.Unlock()
	there, back := newFlow(), newFlow()
	w.carrier.Go(func() { there.fill(inner) })
	w.carrier.Go(func() { w.empty(e, there, far) })
	w.carrier.Go(func() { back.fill(far) })
	w.carrier.Go(func() {
		w.empty(e, back, inner)
		w.mu.Lock()
		delete(w.open, e)
		w.mu.Unlock()
	})
	return e, nil
}

// flow is what is on its way in one direction. As the kernel's buffers do, it takes what comes even while nothing flows:
// who writes may hold a lock, and virtual time stands still while somebody waits for a lock.
type flow struct {
	mu   sync.Mutex
	data []byte
	over bool
	more chan struct{}
}

func newFlow() *flow { return &flow{more: make(chan struct{}, 1)} }

// fill takes all that comes.
func (f *flow) fill(from net.Conn) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		f.mu.Lock()
		f.data, f.over = append(f.data, buffer[:n]...), err != nil
		f.mu.Unlock()
		select {
		case f.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// empty hands on what came, until it ends.
func (w *wires) empty(e *end, f *flow, to net.Conn) {
	defer func() { _ = to.Close() }()
	for {
		f.mu.Lock()
		data, over := f.data, f.over
		f.data = nil
		f.mu.Unlock()
		if len(data) > 0 {
			if !w.wait(e) {
				return
			}
			if _, err := to.Write(data); err != nil {
				return
			}
			continue
		}
		if over {
			return
		}
		select {
		case <-f.more:
		case <-e.gone:
			return
		}
	}
}

// wait waits while nothing flows; false when the client is gone.
func (w *wires) wait(e *end) bool {
	w.mu.Lock()
	flows := w.flows
	w.mu.Unlock()
	if flows != nil {
		select {
		case <-flows:
		case <-e.gone:
		}
	}
	select {
	case <-e.gone:
		return false
	default:
		return true
	}
}

// hang stops all that flows, until it is thawed.
func (w *wires) hang() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.flows == nil {
		w.flows = make(chan struct{})
	}
}

func (w *wires) thaw() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.flows != nil {
		close(w.flows)
		w.flows = nil
	}
}

// cut breaks all connections.
func (w *wires) cut() {
	w.mu.Lock()
	var all []*end
	for e := range w.open {
		all = append(all, e)
	}
	w.mu.Unlock()
	for _, e := range all {
		_ = e.Close()
	}
}

// refuse lets new connections fail, or not.
func (w *wires) refuse(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuses = on
}

// counter is where connections in memory are accepted.
type counter struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newCounter() *counter { return &counter{conns: make(chan net.Conn), done: make(chan struct{})} }

func (c *counter) reach(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case c.conns <- far:
		return near, nil
	case <-c.done:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept gives the next connection.
func (c *counter) Accept() (net.Conn, error) {
	select {
	case conn := <-c.conns:
		return conn, nil
	case <-c.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (c *counter) Close() error {
	c.once.Do(func() { close(c.done) })
	return nil
}

// Addr is in memory.
func (c *counter) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }
