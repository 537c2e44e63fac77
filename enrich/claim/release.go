package claim

import (
	"context"
	"fmt"
	"time"
)

// Release gives the entry up, with a new body, or the old one where body is nil. Dirty says that it is
// unknown what was done: then whoever claims the entry next is owed settle.
//
// Errors: ErrLost when the claim was lost or released before, and so for what was done meanwhile; those of
// the store. A release that cannot be written leaves the token behind, and the next holder waits for
// the lease: slower, never wrong.
func (cl *Claim) Release(ctx context.Context, body any, dirty bool) error {
	if !cl.stop() {
		return ErrLost
	}
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cl.own.lease/3)
	defer cancel()
	last, err := cl.entry.with(body)
	if err != nil {
		return err
	}
	last.head.Token, last.head.Dirty = "", dirty || cl.entry.head.Dirty
	if err := cl.write(ctx, last); err != nil {
		return err
	}
	cl.own.seen.set(cl.name, last, cl.revision)
	return nil
}

// stop ends the renewals; false when the claim was lost or ended before.
func (cl *Claim) stop() bool {
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

// Allow writes down that a call of this claim may take longer than others: whoever finds the entry
// after a crash waits so much longer, and only then looks and acts. Error: [ErrUnreachable].
func (cl *Claim) Allow(ctx context.Context, longer time.Duration) error {
	if longer <= 0 {
		return nil
	}
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	cl.entry.head.Settle = max(cl.entry.head.Settle, (cl.own.settle + longer).Milliseconds())
	if err := cl.write(ctx, cl.entry); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return nil
}

// Settled says that the time owed to a dirty entry has passed and what its last holder did was looked
// at: nothing is owed any more, and the claim may be released clean.
func (cl *Claim) Settled() {
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	cl.owed = 0
	cl.entry.head.Dirty = false
	cl.entry.head.Settle = cl.own.settle.Milliseconds()
}
