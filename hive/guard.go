package hive

import (
	"context"
	"sync"
)

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
