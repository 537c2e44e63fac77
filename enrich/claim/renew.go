package claim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sourcegraph/conc/panics"
)

// startRenewing starts renewing a claim.
func (cl *Claim) startRenewing(ctx context.Context) {
	cl.writing = make(chan struct{}, 1)
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.bound = make(map[int]context.CancelCauseFunc)
	// Renewals go on while the work is being wound up, so they do not end with its context.
	renewing := context.WithoutCancel(ctx)
	cl.expiry = time.AfterFunc(cl.left(), func() { cl.lose(ErrLost) })
	cl.renewal = time.AfterFunc(cl.own.lease/3, func() { cl.renew(renewing) })
}

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

// left is how long the claim may still be relied upon; the lock is held.
func (cl *Claim) left() time.Duration {
	return cl.own.lease*2/3 - time.Since(cl.confirmed)
}

// Check is asked right before the first byte of every write: a holder that slept finds out by it.
// Error: ErrLost when the claim is lost, released, or no longer certain.
func (cl *Claim) Check() error {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.lost || cl.ended || cl.left() <= 0 {
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

// alive tells whether the claim is still to be renewed, and for how long it surely holds.
func (cl *Claim) alive() (time.Duration, bool) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.left(), !cl.ended && !cl.lost
}

// renew renews the claim; a panic on the way loses it, and is told as the cause.
func (cl *Claim) renew(ctx context.Context) {
	if r := panics.Try(func() { cl.renewOnce(ctx) }); r != nil {
		cl.lose(fmt.Errorf("%w: renew: %w", ErrLost, r.AsError()))
	}
}

// renewOnce writes the entry again, which keeps its revision moving.
func (cl *Claim) renewOnce(ctx context.Context) {
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	left, alive := cl.alive()
	if !alive {
		return
	}
	// A write that hangs must not outlast the certainty that the claim is ours.
	ctx, cancel := context.WithTimeout(ctx, min(left, cl.own.lease/3))
	defer cancel()
	sent := time.Now()
	err := cl.write(ctx, cl.entry)
	if errors.Is(err, ErrLost) {
		cl.lose(ErrLost)
		return
	}
	cl.schedule(sent, err == nil)
}

// schedule sets the timers after a renewal that was confirmed, or not.
func (cl *Claim) schedule(sent time.Time, confirmed bool) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.ended || cl.lost {
		return
	}
	next := cl.own.lease / 24
	if confirmed {
		cl.confirmed, next = sent, cl.own.lease/3
	}
	cl.expiry.Reset(max(cl.left(), 0))
	cl.renewal.Reset(next)
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
