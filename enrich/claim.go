package enrich

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// claims takes, keeps and releases claims on ledger entries. A claim is a compare-and-set of a
// fresh token into the entry; it is alive as long as the entry's revision keeps changing.
type claims struct {
	ledger Ledger
	lease  time.Duration
	settle time.Duration
	seen   *recent // entries as last written here: saves a read, never decides
}

// claim is one entry held by this process.
type claim struct {
	name      string
	owed      time.Duration // settle that is owed before acting; 0 when the entry was clean
	takenOver bool          // taken over from a holder that went silent
	contended bool          // another replica was met on the entry
	own       *claims

	writing  chan struct{} // holds one token: whoever takes it owns the entry and its revision
	entry    entry
	revision uint64

	mu        sync.Mutex // of what follows; never held over a call
	confirmed time.Time  // before the last confirmed write was sent
	ended     bool
	lost      bool
	bound     map[int]context.CancelCauseFunc // contexts that end when the claim is lost
	binds     int
	renewal   *time.Timer
	expiry    *time.Timer
}

// observed is what an acquirer sees of a foreign holder, by its own monotonic clock.
type observed struct {
	revision uint64
	since    time.Time
	token    string    // of the holder that we see
	moved    time.Time // when we began, or last saw the entry change hands
	sent     time.Time // when the first of our writes without an answer was sent
	unknown  int       // writes and reads without an answer
	again    bool      // look again at once: what we remembered was stale
	met      bool      // somebody else claimed the entry since we last knew it
}

// acquire waits until the entry is ours, or the context ends; idle is called before each wait.
func (c *claims) acquire(ctx context.Context, name string, idle func()) (*claim, error) {
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
		if err := pause(ctx, d); err != nil {
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
func (c *claims) attempt(ctx context.Context, name, token string, o *observed) (*claim, error) {
	e, revision, err := c.look(ctx, name)
	absent := errors.Is(err, ErrNoEntry)
	switch {
	case absent:
	case errors.Is(err, errNewerEntry), errors.Is(err, errUnreadableEntry):
		return nil, err
	case err != nil:
		return nil, o.excuse(err)
	case e.Token == token: // our write arrived, its answer did not
		cl := &claim{
			name: name, entry: e, revision: revision, own: c,
			confirmed: o.sent, owed: c.owed(e, e.Dirty),
		}
		return cl, c.distrust(ctx, cl)
	case e.Token != "" && !o.dead(revision, e, c.leaseOf(e)):
		c.seen.drop(name)
		o.met = true
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
func (c *claims) distrust(ctx context.Context, cl *claim) error {
	trusted, err := c.ledger.Trusted(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLedger, err) // the token stays behind and runs out
	}
	if !trusted {
		cl.owed = c.lease + c.settle
		cl.entry.Dirty, cl.entry.Settle = true, cl.owed.Milliseconds()
	}
	return nil
}

// take writes our token at the revision seen.
func (c *claims) take(ctx context.Context, name, token string, e entry, revision uint64, o *observed) (*claim, error) {
	over, dirty := e.Token != "", e.dirty()
	mine := e
	mine.head = head{
		V: entryVersion, Token: token, Epoch: e.Epoch + 1, Dirty: dirty,
		Lease: c.lease.Milliseconds(), Settle: c.settle.Milliseconds(),
	}
	if dirty {
		mine.Settle = max(mine.Settle, e.settling().Milliseconds())
	}
	value, err := mine.encode()
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	next, err := c.ledger.Put(ctx, name, value, revision)
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
	return &claim{
		name: name, entry: mine, revision: next, own: c,
		confirmed: sent, takenOver: over, owed: c.owed(mine, dirty),
	}, nil
}

// leaseOf is the lease that a holder wrote down, within what is believed; without one that
// can be it is ours.
func (c *claims) leaseOf(e entry) time.Duration {
	if lease := e.lease(); lease >= shortestLease {
		return lease
	}
	return c.lease
}

// shortestLease is what the configuration allows.
const shortestLease = time.Second

// owed is how long the taker of a dirty entry waits before it looks and acts.
func (c *claims) owed(e entry, dirty bool) time.Duration {
	if !dirty {
		return 0
	}
	return max(c.settle, e.settling())
}

// look reads an entry, from memory if it was seen here: a stale one costs a conflict, no more.
func (c *claims) look(ctx context.Context, name string) (entry, uint64, error) {
	if e, revision, ok := c.seen.get(name); ok {
		return e, revision, nil
	}
	value, revision, err := c.ledger.Get(ctx, name)
	if err != nil {
		return entry{}, 0, err
	}
	e, err := parseEntry(value)
	return e, revision, err
}

// excuse forgives a few unanswered requests in a row; after that the ledger is unreachable.
func (o *observed) excuse(err error) error {
	if o.unknown++; o.unknown < 3 && !errors.Is(err, ErrLedger) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrLedger, err)
}

// dead tells whether a holder is: its revision has not changed, while we watched, for the lease
// that it wrote down.
func (o *observed) dead(revision uint64, e entry, lease time.Duration) bool {
	now := time.Now()
	if o.token != e.Token {
		o.token, o.moved = e.Token, now
	}
	if o.since.IsZero() || o.revision != revision {
		o.revision, o.since = revision, now
		return false
	}
	return now.Sub(o.since) >= lease
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return stopped(ctx)
	case <-t.C:
		return nil
	}
}

// between is a random duration in [low, high).
func between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	n, err := rand.Int(rand.Reader, big.NewInt(int64(high-low)))
	if err != nil {
		return low
	}
	return low + time.Duration(n.Int64())
}
