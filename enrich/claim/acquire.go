package claim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// observed is what an acquirer sees of a foreign holder, by its own monotonic clock.
type observed struct {
	revision uint64
	since    time.Time
	token    string    // of the holder that we see
	moved    time.Time // when we began, or last saw the entry change hands
	sent     time.Time // when the first of our writes without an answer was sent
	unknown  int       // writes and reads without an answer since the last time that others held it
	again    bool      // look again at once: what we remembered was stale
	met      bool      // somebody else claimed the entry since we last knew it
}

// Acquire waits until the entry of a name is held by the claim that it returns, or the context ends.
// idle is called before each wait, so that the caller can give away what others could use meanwhile.
// The claim is renewed until it is released or lost.
//
// Errors: [ErrStopping], or [ErrLost] if that is why the context ended; [ErrUnreachable] as the store
// says it, or after three requests in a row without an answer; [ErrNewer] and [ErrUnreadable] by what
// the entry is.
func (c *Claims) Acquire(ctx context.Context, name string, idle func()) (*Claim, error) {
	token := rand.Text()
	o := observed{moved: time.Now()}
	for {
		got, err := c.attempt(ctx, name, token, &o)
		if err != nil {
			return nil, fmt.Errorf("claim %s: %w", name, err)
		}
		if got != nil {
			got.contended = o.met
			got.startRenewing(ctx)
			return got, nil
		}
		d := o.delay()
		if d > 0 {
			idle()
		}
		if err := Wait(ctx, d); err != nil {
			return nil, fmt.Errorf("claim %s: %w", name, err)
		}
	}
}

// delay spreads the tries: 2–10 ms for the third of a second after the entry was last seen to change
// hands, as it does where replicas share a hot key, 20–60 ms for two seconds, then 0.5–2 s.
func (o *observed) delay() time.Duration {
	if o.again {
		o.again = false
		return 0
	}
	switch quiet := time.Since(o.moved); {
	case quiet < 300*time.Millisecond:
		return between(2*time.Millisecond, 10*time.Millisecond)
	case quiet < 2*time.Second:
		return between(20*time.Millisecond, 60*time.Millisecond)
	default:
		return between(500*time.Millisecond, 2*time.Second)
	}
}

// attempt tries once: nil without error is "held elsewhere, try again".
func (c *Claims) attempt(ctx context.Context, name, token string, o *observed) (*Claim, error) {
	e, revision, err := c.look(ctx, name)
	absent := errors.Is(err, ErrNoEntry)
	switch {
	case absent:
	case errors.Is(err, ErrNewer), errors.Is(err, ErrUnreadable):
		return nil, err
	case err != nil:
		return nil, o.excuse(err)
	case e.head.Token == token: // our write arrived, its answer did not
		cl := &Claim{
			name: name, entry: e, revision: revision, own: c,
			confirmed: o.sent, owed: c.owed(e, e.head.Dirty),
		}
		return cl, c.distrust(ctx, cl)
	case e.head.Token != "" && !o.dead(revision, e, c.leaseOf(e)):
		c.seen.drop(name)
		o.met, o.unknown = true, 0 // it answered, and nothing of ours is on its way
		return nil, nil
	}
	cl, err := c.take(ctx, name, token, e, revision, o)
	if cl != nil && absent {
		return cl, c.distrust(ctx, cl)
	}
	return cl, err
}

// distrust asks, once the entry is made, whether its absence meant anything. In a ledger that was
// made anew a holder may not have noticed yet that its entry is gone: it is owed the lease, too.
func (c *Claims) distrust(ctx context.Context, cl *Claim) error {
	trusted, err := c.store.Trusted(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err) // the token stays behind and runs out
	}
	if !trusted {
		cl.owed = c.lease + c.settle
		cl.entry.head.Dirty, cl.entry.head.Settle = true, cl.owed.Milliseconds()
	}
	return nil
}

// take writes our token at the revision seen.
func (c *Claims) take(ctx context.Context, name, token string, e Entry, revision uint64, o *observed) (*Claim, error) {
	over, dirty := e.head.Token != "", e.Dirty()
	mine := e
	mine.head = head{
		V: entryVersion, Token: token, Epoch: e.head.Epoch + 1, Dirty: dirty,
		Lease: c.lease.Milliseconds(), Settle: c.settle.Milliseconds(),
	}
	if dirty {
		mine.head.Settle = max(mine.head.Settle, e.head.settling().Milliseconds())
	}
	value, err := mine.encode()
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	next, err := c.store.Put(ctx, name, value, revision)
	switch {
	case errors.Is(err, ErrConflict):
		o.again = c.seen.drop(name)
		o.met = o.met || o.again
		return nil, nil
	case err != nil:
		c.seen.drop(name)
		if o.sent.IsZero() {
			o.sent = sent
		}
		return nil, o.excuse(err)
	}
	return &Claim{
		name: name, entry: mine, revision: next, own: c,
		confirmed: sent, takenOver: over, owed: c.owed(mine, dirty),
	}, nil
}

// leaseOf is the lease that a holder wrote down, within what is believed; without one that
// can be it is ours.
func (c *Claims) leaseOf(e Entry) time.Duration {
	if lease := e.head.lease(); lease >= shortestLease {
		return lease
	}
	return c.lease
}

// shortestLease is what the configuration allows.
const shortestLease = time.Second

// owed is how long the taker of a dirty entry waits before it looks and acts.
func (c *Claims) owed(e Entry, dirty bool) time.Duration {
	if !dirty {
		return 0
	}
	return max(c.settle, e.head.settling())
}

// look reads an entry, from memory if it was seen here: a stale one costs a conflict, no more.
func (c *Claims) look(ctx context.Context, name string) (Entry, uint64, error) {
	if e, revision, ok := c.seen.get(name); ok {
		return e, revision, nil
	}
	value, revision, err := c.store.Get(ctx, name)
	if err != nil {
		return Entry{}, 0, err
	}
	e, err := parseEntry(value, c.fields)
	return e, revision, err
}

// excuse forgives a few unanswered requests in a row; after that the ledger is unreachable.
func (o *observed) excuse(err error) error {
	if o.unknown++; o.unknown < 3 && !errors.Is(err, ErrUnreachable) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// dead tells whether a holder is: its revision has not changed, while we watched, for the lease
// that it wrote down.
func (o *observed) dead(revision uint64, e Entry, lease time.Duration) bool {
	now := time.Now()
	if o.token != e.head.Token {
		o.token, o.moved = e.head.Token, now
	}
	if o.since.IsZero() || o.revision != revision {
		o.revision, o.since = revision, now
		return false
	}
	return now.Sub(o.since) >= lease
}
