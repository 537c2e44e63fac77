package kvledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich/claim"
	"forager/pipeline/stream"
	"forager/retry"
)

// Options says which bucket a [Ledger] uses and how long it stays young. What is zero gets its default.
type Options struct {
	Bucket  string        // KV bucket with history 1, "FORAGER_LEDGER"
	Young   time.Duration // lease + settle: how long a bucket is not trusted that does not say it is initialised, 40 s
	Timeout time.Duration // of one operation, 5 s
	Recheck time.Duration // how often the bucket's age is asked again while it is trusted, 30 s
}

func (o Options) withDefaults() Options {
	o.Bucket = cmp.Or(o.Bucket, stream.DefaultBucket)
	o.Young = cmp.Or(o.Young, 40*time.Second)
	o.Timeout = cmp.Or(o.Timeout, stream.APITimeout)
	o.Recheck = cmp.Or(o.Recheck, 30*time.Second)
	return o
}

// Ledger is [claim.Store] on a JetStream KV bucket. It binds the bucket at the first use and
// again after the bucket was missing, so that it can be made while NATS is down. It never
// creates the bucket: [stream.Ensure] does, once.
//
// Beside the errors of the interface, all errors wrap [claim.ErrUnreachable] unless the caller's
// context ended first: of a time-out nobody knows whether the change took place, and while
// operations time out no claim can be kept either, so the gate is where it belongs.
type Ledger struct {
	link    *stream.Link
	options Options
	highest atomic.Uint64 // the highest revision that any answer named

	mu      sync.Mutex
	kv      jetstream.KeyValue
	made    time.Time // when the bucket was made, by the server's clock
	back    uint64    // the lowest revision that a write got although a higher one was known; 0 is none
	before  uint64    // and that higher one
	since   time.Time // when the bucket was seen to have gone back, by our monotonic clock
	trusted bool
	checked time.Time // when made was asked last, by our monotonic clock
}

var _ claim.Store = (*Ledger)(nil)

// New makes a ledger on a bucket, which need not exist yet. It makes no call.
func New(link *stream.Link, options Options) *Ledger {
	return &Ledger{link: link, options: options.withDefaults()}
}

// Get reads an entry, possibly from a replica that lags.
func (l *Ledger) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	err = l.patiently(ctx, func(ctx context.Context, kv jetstream.KeyValue) error {
		entry, err := kv.Get(ctx, encodeKey(key))
		if err == nil {
			value, revision = entry.Value(), entry.Revision()
		}
		return err
	})
	if err != nil {
		return nil, 0, l.failed(ctx, "get", key, err)
	}
	l.seen(revision)
	return value, revision, nil
}

// Put writes an entry at a revision; 0 expects none, or one that was purged.
func (l *Ledger) Put(ctx context.Context, key string, value []byte, expected uint64) (revision uint64, err error) {
	highest := l.highest.Load() // before it is sent: see notice
	err = l.patiently(ctx, func(ctx context.Context, kv jetstream.KeyValue) (err error) {
		if expected == 0 {
			revision, err = kv.Create(ctx, encodeKey(key), value)
		} else {
			revision, err = kv.Update(ctx, encodeKey(key), value, expected)
		}
		return err
	})
	if err != nil {
		return 0, l.failed(ctx, "put", key, err)
	}
	l.notice(revision, highest)
	l.seen(revision)
	return revision, nil
}

// Purge removes an entry at a revision, leaving a marker.
func (l *Ledger) Purge(ctx context.Context, key string, expected uint64) error {
	if expected == 0 { // the client would take 0 for "whatever is there"
		return fmt.Errorf("ledger purge %s: %w", key, claim.ErrConflict)
	}
	err := l.patiently(ctx, func(ctx context.Context, kv jetstream.KeyValue) error {
		return kv.Purge(ctx, encodeKey(key), jetstream.LastRevision(expected))
	})
	if err != nil {
		return l.failed(ctx, "purge", key, err)
	}
	return nil
}

// Trusted tells whether absence means that nothing was done. The bucket's age is the difference
// of two times of the server, so that no two clocks are compared. A bucket that was made anew
// is noticed by a revision that did not grow, by its disappearance in between, and at the
// latest after Recheck.
func (l *Ledger) Trusted(ctx context.Context) (bool, error) {
	l.mu.Lock()
	fresh := l.trusted && time.Since(l.checked) < l.options.Recheck
	l.mu.Unlock()
	if fresh {
		return true, nil
	}
	bounded, cancel := context.WithTimeout(ctx, l.options.Timeout)
	defer cancel()
	trusted, err := l.judge(bounded)
	if err != nil {
		return false, l.failed(ctx, "trust", stream.InitialisedKey, err)
	}
	return trusted, nil
}

// judge asks how old the bucket is and, while it is young, whether it says that it was
// initialised before anything was consumed.
func (l *Ledger) judge(ctx context.Context) (bool, error) {
	asked := time.Now()
	made, age, last, err := l.age(ctx)
	if err != nil {
		return false, err
	}
	trusted := age >= l.options.Young
	if !trusted {
		trusted, err = l.initialised(ctx)
		if err != nil {
			return false, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !made.Equal(l.made) { // another bucket: its revisions begin anew
		l.highest.Store(last)
		l.since = time.Time{}
	}
	trusted = trusted && (l.since.IsZero() || time.Since(l.since) >= l.options.Young)
	l.made, l.trusted, l.checked = made, trusted, asked
	return trusted, nil
}

func (l *Ledger) age(ctx context.Context) (made time.Time, age time.Duration, last uint64, err error) {
	kv, err := l.bind(ctx)
	if err != nil {
		return time.Time{}, 0, 0, err
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return time.Time{}, 0, 0, err
	}
	bucket, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return time.Time{}, 0, 0, errors.New("bucket status tells no age")
	}
	info := bucket.StreamInfo()
	now := info.TimeStamp
	if now.IsZero() { // servers before 2.10 do not say; our clock is better than none
		now = time.Now()
	}
	return info.Created, now.Sub(info.Created), info.State.LastSeq, nil
}

func (l *Ledger) initialised(ctx context.Context) (bool, error) {
	kv, err := l.bind(ctx)
	if err != nil {
		return false, err
	}
	_, err = kv.Get(ctx, stream.InitialisedKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, err
}

// patiently does one operation, and again for as long as Timeout while nobody takes it: between
// two leaders of the bucket's stream that lasts seconds, and what nobody took changed nothing.
// Of everything else, a time-out above all, the caller must know at once.
func (l *Ledger) patiently(ctx context.Context, do func(context.Context, jetstream.KeyValue) error) error {
	bounded, cancel := context.WithTimeout(ctx, l.options.Timeout)
	defer cancel()
	for {
		kv, err := l.bind(bounded)
		if err == nil {
			err = do(bounded, kv)
		}
		if !stream.IsUntaken(err) {
			return err
		}
		if !retry.Wait(bounded, untakenPause) {
			return err
		}
	}
}

// untakenPause lies between two tries of an operation that nobody took.
const untakenPause = 200 * time.Millisecond

// bind returns the bucket, looking it up when it is not bound. A failed look-up is not kept.
func (l *Ledger) bind(ctx context.Context) (jetstream.KeyValue, error) {
	l.mu.Lock()
	kv := l.kv
	l.mu.Unlock()
	if kv != nil {
		return kv, nil
	}
	kv, err := l.link.JetStream().KeyValue(ctx, l.options.Bucket)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kv = kv
	return kv, nil
}

// seen raises the highest revision.
func (l *Ledger) seen(revision uint64) {
	for {
		high := l.highest.Load()
		if revision <= high || l.highest.CompareAndSwap(high, revision) {
			return
		}
	}
}

// notice compares the revision of a successful write with the highest one known before it was
// sent: revisions of one bucket only grow, so this is another bucket, and what it lacks means
// nothing until it is old enough.
func (l *Ledger) notice(revision, before uint64) {
	if revision > before {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.back == 0 || revision < l.back {
		l.back = revision
	}
	l.before = max(l.before, before)
	l.trusted, l.since = false, time.Now()
	l.highest.Store(revision)
}

// Reached is the highest revision that any answer named, and the lowest that a write got although a higher one was
// known, 0 for none: the bucket went back then.
func (l *Ledger) Reached() (highest, back uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.highest.Load(), l.before), l.back
}

// Distrust says that the bucket went back, to a revision: for as long as it would be young, an entry that is missing
// means nothing.
func (l *Ledger) Distrust(last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trusted, l.since = false, time.Now()
	l.back, l.before = 0, 0
	l.highest.Store(last)
}

// failed turns an error of the client into one of the interface, and forgets the trust where
// the bucket is gone.
func (l *Ledger) failed(ctx context.Context, op, key string, err error) error {
	switch {
	case stream.IsWrongSequence(err), errors.Is(err, jetstream.ErrKeyRevisionMismatch), errors.Is(err, jetstream.ErrKeyExists):
		return fmt.Errorf("ledger %s %s: %w", op, key, claim.ErrConflict)
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted):
		return fmt.Errorf("ledger %s %s: %w", op, key, claim.ErrNoEntry)
	case ctx.Err() != nil:
		return fmt.Errorf("ledger %s %s: %w", op, key, ctx.Err())
	}
	if stream.IsMissing(err) || stream.IsUntaken(err) {
		l.mu.Lock()
		l.kv, l.trusted = nil, false
		l.mu.Unlock()
	}
	return fmt.Errorf("ledger %s %s: %w: %w", op, key, claim.ErrUnreachable, l.link.Explain(err))
}
