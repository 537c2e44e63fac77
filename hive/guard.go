package hive

import (
	"context"
	"io"
	"sync"
)

// guardKey is the context key of WithGuard.
type guardKey struct{}

// WithGuard gives every write made with the returned context a check that runs
// right before the first byte of each attempt: after the wait for a free place
// and for a connection, and again before each attempt in place. When check
// fails the attempt is abandoned with nothing sent, and the call's [*Error]
// wraps what check returned. It may run more than once an attempt, and must be
// quick and safe for concurrent use. A nil check removes an outer one.
func WithGuard(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, guardKey{}, check)
}

// guardOf is the context's check, or one that always agrees.
func guardOf(ctx context.Context) func() error {
	if check, ok := ctx.Value(guardKey{}).(func() error); ok && check != nil {
		return check
	}
	return func() error { return nil }
}

// guardedBody asks the guard when the transport first reads the body. The
// transport has a connection by then and has buffered the headers, which fit
// its buffer, but written none of them; a failing read makes it drop both.
// That moves the check from before a dial, which may take seconds, to right
// before the first byte.
type guardedBody struct {
	source io.Reader
	check  func() error

	mu       sync.Mutex
	begun    bool
	guardErr error // the guard's refusal
	readErr  error // a failure of source
}

// Read asks the guard once, then reads.
func (b *guardedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.begun && b.guardErr == nil {
		if b.guardErr = b.check(); b.guardErr == nil {
			b.begun = true
		}
	}
	if b.guardErr != nil {
		return 0, b.guardErr
	}
	n, err := b.source.Read(p)
	if err != nil && err != io.EOF {
		b.readErr = err
	}
	return n, err
}

// Close leaves the source to its owner.
func (b *guardedBody) Close() error { return nil }

// state tells whether reading began, and what failed.
func (b *guardedBody) state() (begun bool, guardErr, readErr error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.begun, b.guardErr, b.readErr
}
