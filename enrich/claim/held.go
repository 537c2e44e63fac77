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

// write puts the entry at our revision. A conflict may be an earlier write of our own whose
// answer was lost: then the token read back is ours, and the write is tried once more.
func (cl *Claim) write(ctx context.Context, e Entry) error {
	value, err := e.encode()
	if err != nil {
		return err
	}
	for range 2 {
		revision, err := cl.own.store.Put(ctx, cl.name, value, cl.revision)
		if err == nil {
			cl.revision = revision
			cl.own.newest.note(revision)
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if err := cl.reread(ctx); err != nil {
			return err
		}
	}
	return ErrConflict
}

// reread adopts the revision of the entry if it is still ours.
func (cl *Claim) reread(ctx context.Context) error {
	value, revision, err := cl.own.store.Get(ctx, cl.name)
	if errors.Is(err, ErrNoEntry) {
		return ErrLost
	}
	if err != nil {
		return err
	}
	e, err := ParseEntry(value)
	if err != nil || e.head.Token != cl.entry.head.Token {
		return ErrLost
	}
	cl.revision = revision
	return nil
}
