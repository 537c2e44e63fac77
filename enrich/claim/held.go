package claim

import (
	"context"
	"errors"
)

// Bind gives a context that ends, with [ErrLost] as its cause, when the claim is lost: when another
// process took the entry, or the last confirmed renewal is two thirds of a lease old. Nothing that is
// done under the claim may outlive that. The function frees what the binding holds; it is called when
// the work is done.
func (cl *Claim) Bind(ctx context.Context) (context.Context, func()) {
	held, cancel := context.WithCancelCause(ctx)
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.lost || cl.ended {
		cancel(ErrLost)
		return held, func() {}
	}
	cl.binds++
	n := cl.binds
	cl.bound[n] = cancel
	return held, func() {
		cl.mu.Lock()
		defer cl.mu.Unlock()
		delete(cl.bound, n)
		cancel(nil)
	}
}

// Check is asked right before the first byte of every write: a holder that slept finds out by it.
// Error: ErrLost when the claim is lost, released, or no longer certain.
func (cl *Claim) Check() error {
	cl.mu.Lock()
	gone := cl.lost || cl.ended
	cl.mu.Unlock()
	if gone || !cl.session.certain() {
		return ErrLost
	}
	return nil
}

// lose cancels what runs under the claim, and says why.
func (cl *Claim) lose(cause error) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.ended || cl.lost {
		return
	}
	cl.lost = true
	for _, cancel := range cl.bound {
		cancel(cause)
	}
}

// write puts the entry at our revision.
func (cl *Claim) write(ctx context.Context, e Entry) error {
	value, err := e.encode()
	if err != nil {
		return err
	}
	revision, err := cl.own.put(ctx, cl.name, value, cl.revision, cl.mine)
	if err != nil {
		return err
	}
	cl.revision = revision
	cl.own.newest.note(revision)
	return nil
}

// mine tells whether what was read still has our token.
func (cl *Claim) mine(value []byte, _ uint64) error {
	e, err := ParseEntry(value)
	if err != nil || e.head.Token != cl.entry.head.Token {
		return ErrLost
	}
	return nil
}

// put writes an entry of ours at its revision, and gives the new one. A conflict may be an earlier write
// of our own whose answer was lost: then what is read back is ours, and the write is tried once more.
// Error: that of mine, [ErrLost] where there is no entry; of the store.
func (c *Claims) put(ctx context.Context, key string, value []byte, revision uint64, mine func([]byte, uint64) error) (uint64, error) {
	for range 2 {
		next, err := c.store.Put(ctx, key, value, revision)
		if !errors.Is(err, ErrConflict) {
			return next, err
		}
		now, at, err := c.store.Get(ctx, key)
		if errors.Is(err, ErrNoEntry) {
			return 0, ErrLost
		}
		if err != nil {
			return 0, err
		}
		if err := mine(now, at); err != nil {
			return 0, err
		}
		revision = at
	}
	return 0, ErrConflict
}
