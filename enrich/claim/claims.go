package claim

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
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

// Options are what claims work with.
type Options struct {
	// Lease is how long a session whose revision does not change counts as alive; at least a second. It
	// is renewed each fifth, and relied upon for two thirds. Needed.
	Lease time.Duration
	// Settle is how long after its caller gave up a call may still take effect and show: whoever takes
	// over an entry that was not released clean is owed it. Needed.
	Settle time.Duration
	// Fields are the names of the fields of all bodies that this version knows. What else an entry
	// holds was added by a later version, and survives being written by this one.
	Fields []string
	// Pod and Concurrency are written into the session, for people.
	Pod         string
	Concurrency int
	// Says tells, for people, why the process consumes nothing; empty: it does. It is asked at each renewal,
	// and must not wait. nil says nothing.
	Says func() string
}

// Claims takes claims on the entries of a store. A claim is a compare-and-set of a fresh token into
// the entry; it is alive as long as the session that its token names. Safe for concurrent use.
type Claims struct {
	store       Store
	lease       time.Duration
	settle      time.Duration
	fields      []string
	pod         string
	concurrency int
	says        func() string
	seen        *recent     // entries as last written here: saves a read, never decides
	others      *others     // the sessions of other processes
	watching    atomic.Bool // their entries are told as they change
	following   atomic.Bool // this process counts among those that follow each other, busy or not
	newest      newest

	joining chan struct{} // holds one token: whoever takes it may make a session
	session *session      // nil before the first claim
	closed  bool
}

// New makes claims on a store's entries. It makes no call: the first [Claims.Acquire] or [Claims.Watch]
// joins.
func New(s Store, o Options) *Claims {
	return &Claims{
		store: s, lease: o.Lease, settle: o.Settle, fields: o.Fields, pod: o.Pod, concurrency: o.Concurrency, says: o.Says,
		seen: newRecent(mostRemembered), others: newOthers(), joining: make(chan struct{}, 1),
	}
}

// mostRemembered is how many entries, and contended names, are remembered.
const mostRemembered = 4096

// Claim is one entry held by this process, from Acquire to Release. One goroutine uses it at a time;
// Check and Bind may be called by others.
type Claim struct {
	name      string
	takenOver bool // taken over from a holder that went silent
	contended bool // another replica was met on the entry
	own       *Claims
	session   *session

	writing  chan struct{} // holds one token: whoever takes it owns the entry, its revision, and what is owed
	entry    Entry
	revision uint64
	owed     []string  // the kinds of effects that an earlier holder may have done
	due      time.Time // when the last of them shows, or never will
	looked   []string  // the kinds that were looked at since

	mu    sync.Mutex // of what follows; never held over a call
	ended bool
	lost  bool
	bound map[int]context.CancelCauseFunc // contexts that end when the claim is lost
	binds int
}

// Name is the key of the claimed entry.
func (cl *Claim) Name() string { return cl.name }

// TakenOver tells whether the last holder went silent instead of releasing the entry.
func (cl *Claim) TakenOver() bool { return cl.takenOver }

// Contended tells whether another process held the entry since this one last knew it.
func (cl *Claim) Contended() bool { return cl.contended }

// Read fills a body from the entry as it was when it was claimed; without an entry it changes nothing.
func (cl *Claim) Read(body any) error { return cl.entry.Read(body) }
