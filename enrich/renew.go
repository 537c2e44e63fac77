package enrich

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sourcegraph/conc/panics"

	"forager/hive"
)

// startRenewing starts renewing a claim.
func (cl *claim) startRenewing(ctx context.Context) {
	cl.writing = make(chan struct{}, 1)
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.bound = make(map[int]context.CancelCauseFunc)
	// Renewals go on while the work is being wound up, so they do not end with its context.
	renewing := context.WithoutCancel(ctx)
	cl.expiry = time.AfterFunc(cl.left(), func() { cl.lose(ErrLostClaim) })
	cl.renewal = time.AfterFunc(cl.own.lease/3, func() { cl.renew(renewing) })
}

// bind gives a context that ends with ErrLostClaim when the last confirmed renewal is two thirds
// of a lease old: nothing may outlive that.
func (cl *claim) bind(ctx context.Context) (context.Context, func()) {
	held, cancel := context.WithCancelCause(ctx)
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.lost || cl.ended {
		cancel(ErrLostClaim)
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

// calling gives the context for calls under the claim: it ends when the claim is lost, but not
// when the worker stops, so that a running call may finish; no write starts after either.
func (cl *claim) calling(ctx context.Context) (context.Context, func()) {
	calls, done := cl.bind(context.WithoutCancel(ctx))
	return hive.WithGuard(calls, func() error {
		if ctx.Err() != nil {
			return stopped(ctx)
		}
		return cl.check()
	}), done
}

// stopped says why a context ended, as a verdict: unless the claim was lost, the worker stops.
func stopped(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrLostClaim) {
		return cause
	}
	return ErrStopping
}

// left is how long the claim may still be relied upon; the lock is held.
func (cl *claim) left() time.Duration {
	return cl.own.lease*2/3 - time.Since(cl.confirmed)
}

// check is asked right before the first byte of every write.
func (cl *claim) check() error {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.lost || cl.ended || cl.left() <= 0 {
		return ErrLostClaim
	}
	return nil
}

// lose cancels what runs under the claim, and says why.
func (cl *claim) lose(cause error) {
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
func (cl *claim) alive() (time.Duration, bool) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.left(), !cl.ended && !cl.lost
}

// renew renews the claim; a panic on the way loses it, and is told as the cause.
func (cl *claim) renew(ctx context.Context) {
	if r := panics.Try(func() { cl.renewOnce(ctx) }); r != nil {
		cl.lose(fmt.Errorf("%w: renew: %w", ErrLostClaim, r.AsError()))
	}
}

// renewOnce writes the entry again, which keeps its revision moving.
func (cl *claim) renewOnce(ctx context.Context) {
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
	if errors.Is(err, ErrLostClaim) {
		cl.lose(ErrLostClaim)
		return
	}
	cl.schedule(sent, err == nil)
}

// schedule sets the timers after a renewal that was confirmed, or not.
func (cl *claim) schedule(sent time.Time, confirmed bool) {
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
func (cl *claim) write(ctx context.Context, e entry) error {
	value, err := e.encode()
	if err != nil {
		return err
	}
	for range 2 {
		revision, err := cl.own.ledger.Put(ctx, cl.name, value, cl.revision)
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
func (cl *claim) reread(ctx context.Context) error {
	value, revision, err := cl.own.ledger.Get(ctx, cl.name)
	if errors.Is(err, ErrNoEntry) {
		return ErrLostClaim
	}
	if err != nil {
		return err
	}
	e, err := parseEntry(value)
	if err != nil || e.Token != cl.entry.Token {
		return ErrLostClaim
	}
	cl.revision = revision
	return nil
}

// release gives the entry up: clean with what is known, or dirty when it is unknown what was done.
// A release that cannot be written leaves the token behind, and the next holder waits for the
// lease: slower, never wrong.
func (cl *claim) release(ctx context.Context, body any, dirty bool) error {
	if !cl.stop() {
		return ErrLostClaim
	}
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cl.own.lease/3)
	defer cancel()
	last, err := cl.entry.with(body)
	if err != nil {
		return err
	}
	last.Token, last.Dirty = "", dirty || cl.entry.Dirty
	if err := cl.write(ctx, last); err != nil {
		return err
	}
	cl.own.seen.set(cl.name, last, cl.revision)
	return nil
}

// stop ends the renewals; false when the claim was lost or ended before.
func (cl *claim) stop() bool {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.ended {
		return false
	}
	cl.ended = true
	cl.renewal.Stop()
	cl.expiry.Stop()
	return !cl.lost
}

// allow writes down that a call of this claim may take longer than others: whoever finds the
// entry after us waits so much longer, and only then looks and acts.
func (cl *claim) allow(ctx context.Context, longer time.Duration) error {
	if longer <= 0 {
		return nil
	}
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	cl.entry.Settle = max(cl.entry.Settle, (cl.own.settle + longer).Milliseconds())
	if err := cl.write(ctx, cl.entry); err != nil {
		return fmt.Errorf("%w: %w", ErrLedger, err)
	}
	return nil
}

// settled says that the time owed to a dirty entry has passed and its truth was listed: from
// here on the claim may end clean.
func (cl *claim) settled() {
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	cl.owed = 0
	cl.entry.Dirty = false
	cl.entry.Settle = cl.own.settle.Milliseconds()
}
