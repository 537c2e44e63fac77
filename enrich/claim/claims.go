package claim

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Errors of claims on which callers decide. Others wrap them.
var (
	// ErrLost: another process holds the entry now, or ours could not be renewed in time.
	ErrLost = errors.New("claim lost")
	// ErrStopping: the caller's context ended while the claim was sound: the worker is shutting down.
	ErrStopping = errors.New("worker is stopping")
	// ErrUnreachable: the store does not answer.
	ErrUnreachable = errors.New("ledger unreachable")
)

// Options are what claims work with. All are needed.
type Options struct {
	// Lease is how long an entry whose revision does not change counts as held; at least a second. It
	// is renewed each third, and relied upon for two thirds.
	Lease time.Duration
	// Settle is how long after its caller gave up a call may still take effect and show: whoever takes
	// over an entry that was not released clean is owed it.
	Settle time.Duration
	// Fields are the names of the fields of all bodies that this version knows. What else an entry
	// holds was added by a later version, and survives being written by this one.
	Fields []string
}

// Claims takes claims on the entries of a store. A claim is a compare-and-set of a fresh token into
// the entry; it is alive as long as the entry's revision keeps changing. Safe for concurrent use.
type Claims struct {
	store  Store
	lease  time.Duration
	settle time.Duration
	fields []string
	seen   *recent // entries as last written here: saves a read, never decides
}

// New makes claims on a store's entries.
func New(s Store, o Options) *Claims {
	return &Claims{store: s, lease: o.Lease, settle: o.Settle, fields: o.Fields, seen: newRecent(mostRemembered)}
}

// mostRemembered is how many entries, and contended names, are remembered.
const mostRemembered = 4096

// Claim is one entry held by this process, from Acquire to Release. One goroutine uses it at a time;
// Check and Bind may be called by others.
type Claim struct {
	name      string
	owed      time.Duration // settle that is owed before acting; 0 when the entry was clean
	takenOver bool          // taken over from a holder that went silent
	contended bool          // another replica was met on the entry
	own       *Claims

	writing  chan struct{} // holds one token: whoever takes it owns the entry and its revision
	entry    Entry
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

// Name is the key of the claimed entry.
func (cl *Claim) Name() string { return cl.name }

// Owed is how long the holder must wait before it looks at what the last one may have done, and only
// then acts: 0 when the entry was released clean. See Settled.
func (cl *Claim) Owed() time.Duration { return cl.owed }

// TakenOver tells whether the last holder went silent instead of releasing the entry.
func (cl *Claim) TakenOver() bool { return cl.takenOver }

// Contended tells whether another process held the entry since this one last knew it.
func (cl *Claim) Contended() bool { return cl.contended }

// Read fills a body from the entry as it was when it was claimed; without an entry it changes nothing.
func (cl *Claim) Read(body any) error { return cl.entry.Read(body) }
