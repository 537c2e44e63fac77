package claim

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// observed is what an acquirer sees of a foreign holder, by its own monotonic clock.
type observed struct {
	session  *session // that the token tried below names
	tried    string   // the token that we try to write
	sent     bool     // a write of it had no answer
	owed     []string // what is owed, and when it shows, should that have arrived
	due      time.Time
	over     bool      // it takes over from a holder that went silent
	revision uint64    // of a holder without a session
	since    time.Time // when that was seen first
	token    string    // of the holder that we see
	moved    time.Time // when we began, or last saw the entry change hands
	unknown  int       // writes and reads without an answer since the last time that others held it
	again    bool      // look again at once: what we remembered was stale
	met      bool      // somebody else claimed the entry since we last knew it
}

// Acquire waits until the entry of a name is held by the claim that it returns, or the context ends.
// The intent names the kinds of effects that may be done under the claim, see [Claim.Intend]; [AnyKind]
// is all. idle is called before each wait, so that the caller can give away what others could use
// meanwhile. The claim lasts until it is released or lost.
//
// Errors: [ErrStopping], or [ErrLost] if that is why the context ended; [ErrUnreachable] as the store
// says it, or after three requests in a row without an answer; [ErrNewer] and [ErrUnreadable] by what
// the entry is.
func (c *Claims) Acquire(ctx context.Context, name string, intent []string, idle func()) (*Claim, error) {
	o := observed{moved: time.Now()}
	defer func() { o.forgo(name) }()
	for {
		got, err := c.attempt(ctx, name, intent, &o)
		if err != nil {
			return nil, fmt.Errorf("claim %s: %w", name, err)
		}
		if got != nil && o.session.hold(got) {
			o.session, got.contended = nil, o.met
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

// prepare sees to it that the token to be written is one of a session that lives.
func (c *Claims) prepare(ctx context.Context, name string, o *observed) error {
	s, err := c.joined(ctx)
	if err != nil || s == o.session {
		return err
	}
	o.forgo(name)
	o.session, o.tried = s, s.issue()
	return nil
}

// forgo gives up the token that was not, or not surely, written.
func (o *observed) forgo(name string) {
	if o.session != nil {
		o.session.forgo(o.tried, name, o.sent)
	}
	o.session, o.sent = nil, false
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
func (c *Claims) attempt(ctx context.Context, name string, intent []string, o *observed) (*Claim, error) {
	if err := c.prepare(ctx, name, o); err != nil {
		return nil, o.excuse(ctx, err)
	}
	e, revision, err := c.look(ctx, name)
	absent := errors.Is(err, ErrNoEntry)
	switch {
	case absent:
	case errors.Is(err, ErrNewer), errors.Is(err, ErrUnreadable):
		return nil, err
	case err != nil:
		return nil, o.excuse(ctx, err)
	case e.head.Token == o.tried: // our write arrived, its answer did not
		return c.distrust(ctx, c.claimed(name, e, revision, o))
	}
	over, free, err := c.free(ctx, e, revision, o)
	switch {
	case err != nil:
		return nil, o.excuse(ctx, err)
	case !free:
		c.seen.drop(name)
		o.met, o.unknown = true, 0 // it answered, and nothing of ours is on its way
		return nil, nil
	}
	if absent {
		intent = []string{AnyKind} // absence may mean nothing, see distrust
	}
	cl, err := c.take(ctx, name, intent, e, revision, over, absent, o)
	if cl != nil && cl.entry.head.Fresh {
		return c.distrust(ctx, cl)
	}
	return cl, err
}

// free tells whether an entry can be taken, and since when its last holder did nothing any more.
func (c *Claims) free(ctx context.Context, e Entry, revision uint64, o *observed) (over time.Time, free bool, err error) {
	if !e.Held() {
		return time.Now(), true, nil
	}
	if o.token != e.head.Token {
		o.token, o.moved = e.head.Token, time.Now()
	}
	id, ok := sessionOf(e.head.Token)
	switch {
	case !ok:
		return time.Now(), o.dead(revision, c.leaseOf(e)), nil
	case id == o.session.id: // nobody else in this process, unless it still has the token
		return time.Now(), !o.session.has(e.head.Token), nil
	default:
		return c.dead(ctx, id)
	}
}

// claimed is the claim on an entry that holds our token.
func (c *Claims) claimed(name string, e Entry, revision uint64, o *observed) *Claim {
	return &Claim{
		name: name, entry: e, revision: revision, own: c, session: o.session, takenOver: o.over,
		owed: o.owed, due: o.due,
		writing: make(chan struct{}, 1), bound: make(map[int]context.CancelCauseFunc),
	}
}

// distrust asks, once the entry is made, whether its absence meant anything; so does whoever takes it from
// somebody who did not come to the answer. In a ledger that was made anew a holder may not have noticed
// yet that its session is gone: it is owed the lease, too.
func (c *Claims) distrust(ctx context.Context, cl *Claim) (*Claim, error) {
	trusted, err := c.store.Trusted(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	cl.entry.head.Fresh = false // in the store it stays until somebody writes what is owed
	if trusted {
		cl.entry.head.Dirty = len(cl.owed) > 0
		return cl, nil
	}
	wait := c.lease + c.settle
	cl.owed, cl.due = []string{AnyKind}, time.Now().Add(wait)
	cl.entry.head.Dirty, cl.entry.head.Settle = true, wait.Milliseconds()
	return cl, nil
}

// take writes our token at the revision seen. What is owed is counted from when the last holder can
// have done something last.
func (c *Claims) take(ctx context.Context, name string, intent []string, e Entry, revision uint64, over time.Time, absent bool, o *observed) (*Claim, error) {
	o.owed, o.due, o.over = e.kinds(), over.Add(max(c.settle, e.head.settling())), e.Held()
	mine := e
	all := union(intent, o.owed)
	mine.head = head{
		V: entryVersion, Token: o.tried, Epoch: e.head.Epoch + 1, Fresh: absent || e.head.Fresh, Dirty: absent || len(o.owed) > 0, Intent: &all,
		Lease: c.lease.Milliseconds(), Settle: c.settle.Milliseconds(),
	}
	if len(o.owed) > 0 {
		mine.head.Settle = max(mine.head.Settle, e.head.settling().Milliseconds())
	}
	value, err := mine.encode()
	if err != nil {
		return nil, err
	}
	before := o.sent
	o.sent = true // until there is an answer, and a panic is none
	next, err := c.store.Put(ctx, name, value, revision)
	switch {
	case errors.Is(err, ErrConflict):
		o.sent = before
		o.again = c.seen.drop(name)
		o.met = o.met || o.again
		return nil, nil
	case err != nil:
		c.seen.drop(name)
		return nil, o.excuse(ctx, err)
	}
	c.newest.note(next)
	return c.claimed(name, mine, next, o), nil
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
func (o *observed) excuse(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return Ended(ctx)
	case errors.Is(err, ErrStopping):
		return err
	}
	if o.unknown++; o.unknown < 3 && !errors.Is(err, ErrUnreachable) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// dead tells whether a holder without a session is: its revision has not changed, while we watched, for
// the lease that it wrote down.
func (o *observed) dead(revision uint64, lease time.Duration) bool {
	now := time.Now()
	if o.since.IsZero() || o.revision != revision {
		o.revision, o.since = revision, now
		return false
	}
	return now.Sub(o.since) >= lease
}
