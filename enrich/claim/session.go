package claim

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc/panics"
)

// SessionPrefix begins the keys of sessions.
const SessionPrefix = "session."

// sessionState is what the entry of a session holds.
type sessionState struct {
	V           int    `json:"v"`
	Pod         string `json:"pod,omitempty"`         // for people
	Started     string `json:"started,omitempty"`     // RFC 3339, for people: no two clocks are compared
	Concurrency int    `json:"concurrency,omitempty"` // calls in flight, for people
	Lease       int64  `json:"lease"`                 // ms after which an unchanged revision is dead
	Says        string `json:"says,omitempty"`        // why its process consumes nothing, for people
	Ended       bool   `json:"ended,omitempty"`       // its process stopped in order
	Dead        bool   `json:"dead,omitempty"`        // somebody saw no renewal for a lease, and wrote that down
}

// Session is what its entry says of a process, for people. Whether it lives, the age of the entry tells.
type Session struct {
	Pod         string
	Started     time.Time     // by the process's own clock
	Concurrency int           // calls in flight that it may make
	Lease       time.Duration // without a renewal for so long, it is dead
	Says        string        // why it consumes nothing; empty: it does
	Ended, Dead bool          // it stopped in order; or was found silent
}

// SessionState is how a process does, as others see it.
type SessionState string

// The states, those that live first.
const (
	SessionLive   SessionState = "live"
	SessionSilent SessionState = "silent" // it gave no sign of life for a lease: what it held is taken over
	SessionEnded  SessionState = "ended"  // it stopped in order
)

// State tells how the process does whose session was written so long ago.
func (s Session) State(age time.Duration) SessionState {
	switch {
	case s.Ended:
		return SessionEnded
	case s.Dead, age >= s.Lease:
		return SessionSilent
	default:
		return SessionLive
	}
}

// Compare orders states: those that live come first.
func (s SessionState) Compare(o SessionState) int { return cmp.Compare(s.rank(), o.rank()) }

func (s SessionState) rank() int {
	return slices.Index([]SessionState{SessionLive, SessionSilent, SessionEnded}, s)
}

// ReadSession reads an entry whose key begins with [SessionPrefix]; false where it is none.
func ReadSession(value []byte) (Session, bool) {
	var s sessionState
	if err := json.Unmarshal(value, &s); err != nil || s.V == 0 {
		return Session{}, false
	}
	started, err := time.Parse(time.RFC3339, s.Started)
	if err != nil {
		started = time.Time{} // it is for people alone
	}
	return Session{
		Pod: s.Pod, Started: started, Concurrency: s.Concurrency, Lease: believed(s.Lease), Says: s.Says, Ended: s.Ended, Dead: s.Dead,
	}, true
}

// mostSaid bounds what a process says of itself, in bytes.
const mostSaid = 500

// saying is the state as it is now. A session that is only just made has not begun to consume, and says nothing.
func (s *session) saying() sessionState {
	now := s.state
	if s.own.says != nil {
		said := s.own.says()
		now.Says = strings.ToValidUTF8(said[:min(len(said), mostSaid)], "")
	}
	return now
}

// session is what a process has while it takes claims: one entry, renewed by a write each fifth of a
// lease. All claims of the process rely on it; none is renewed by itself.
type session struct {
	id    string
	own   *Claims
	state sessionState

	renewing chan struct{} // holds one token: whoever takes it owns the revision
	revision uint64

	mu        sync.Mutex          // of what follows; never held over a call
	confirmed time.Time           // before the last confirmed write was sent
	over      bool                // lost, or ended
	issued    uint64              // tokens
	tokens    map[string]*Claim   // those in use; nil while the claim is being acquired
	leftovers map[string]leftover // by token: entries that may still hold one that nobody uses
	renewal   *time.Timer
	expiry    *time.Timer
	hurry     context.CancelFunc // gives up a renewal that is under way
}

// join makes the entry of a new session.
func (c *Claims) join(ctx context.Context) (*session, error) {
	s := &session{id: rand.Text(), own: c, renewing: make(chan struct{}, 1), tokens: make(map[string]*Claim), leftovers: make(map[string]leftover), state: sessionState{
		V: entryVersion, Pod: c.pod, Concurrency: c.concurrency, Lease: c.lease.Milliseconds(),
		Started: time.Now().UTC().Format(time.RFC3339),
	}}
	sent := time.Now()
	if err := s.create(ctx); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	s.start(context.WithoutCancel(ctx), sent)
	return s, nil
}

// create writes the entry. An entry that a lost answer leaves behind is never renewed, and no claim names it.
func (s *session) create(ctx context.Context) error {
	value, err := json.Marshal(s.state)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.own.lease/2)
	defer cancel()
	s.revision, err = s.own.store.Put(ctx, SessionPrefix+s.id, value, 0)
	return err
}

// start sets the timers of a session whose entry was just made.
func (s *session) start(ctx context.Context, sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, s.hurry = context.WithCancel(ctx)
	s.confirmed = sent
	s.expiry = time.AfterFunc(s.left(), func() { s.lose(ErrLost) })
	s.renewal = time.AfterFunc(s.own.lease/5, func() { s.renew(ctx) })
}

// left is how long the session may still be relied upon; the lock is held.
func (s *session) left() time.Duration {
	return s.own.lease*2/3 - time.Since(s.confirmed)
}

// certain tells whether the session may be relied upon now.
func (s *session) certain() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.over && s.left() > 0
}

// issue makes the token of a new claim. It counts as in use until it is forgone, or its claim dropped.
func (s *session) issue() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	token := s.id + "." + strconv.FormatUint(s.issued, 36)
	s.tokens[token] = nil
	return token
}

// has tells whether a token of the session is in use in this process.
func (s *session) has(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.tokens[token]
	return ok
}

// hold makes a claim rely on the session; false when that is over.
func (s *session) hold(cl *Claim) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.tokens[cl.entry.head.Token] = cl
	return true
}

// forgo ends the use of a token for which there is no claim. If a write of it may have arrived, the
// entry is looked after: the session lives, so that nobody else would ever take it over.
func (s *session) forgo(token, name string, sent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
	if sent && !s.over {
		s.leftovers[token] = leftover{name: name}
	}
}

// drop ends the use of the token of a claim. The entry that it could not write, if any, is written later.
func (s *session) drop(cl *Claim, unwritten *Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := cl.entry.head.Token
	delete(s.tokens, token)
	if unwritten != nil && !s.over {
		s.leftovers[token] = leftover{name: cl.name, last: unwritten}
	}
}

// lose ends the session, and with it every claim that relies on it.
func (s *session) lose(cause error) {
	for _, cl := range s.end() {
		cl.lose(cause)
	}
}

// end stops the timers and gives the claims that relied on the session; none when it was over before.
func (s *session) end() []*Claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	s.over = true
	s.renewal.Stop()
	s.expiry.Stop()
	s.hurry()
	var held []*Claim
	for _, cl := range s.tokens {
		if cl != nil {
			held = append(held, cl)
		}
	}
	return held
}

// renew renews the session; a panic on the way loses it, and is told as the cause.
func (s *session) renew(ctx context.Context) {
	if r := panics.Try(func() { s.renewOnce(ctx) }); r != nil {
		s.lose(fmt.Errorf("%w: renew: %w", ErrLost, r.AsError()))
	}
}

// newest is the highest revision of our own writes that the store confirmed.
type newest struct{ revision atomic.Uint64 }

// note takes down a confirmed write.
func (n *newest) note(revision uint64) {
	for {
		high := n.revision.Load()
		if revision <= high || n.revision.CompareAndSwap(high, revision) {
			return
		}
	}
}

// backwards tells by a renewal whether the store forgot what it had confirmed, as when it lost its disks,
// or was made anew: then others may hold what is claimed here. Revisions of one store only ever grow.
func (n *newest) backwards(highest, revision uint64) error {
	if revision > highest {
		n.note(revision)
		return nil
	}
	n.revision.Store(revision)
	return fmt.Errorf("%w: the ledger went back from revision %d to %d", ErrLost, highest, revision)
}

// renewOnce writes the entry again, which moves its revision. A write that hangs is given up in time
// for another two.
func (s *session) renewOnce(ctx context.Context) {
	s.renewing <- struct{}{}
	defer func() { <-s.renewing }()
	switch {
	case !s.certain():
		return // the timer of expiry loses it
	case s.idle():
		s.end()
		_ = s.sayEnded(ctx) // else who looks waits for its lease, and nothing is claimed by it
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.own.lease/5)
	defer cancel()
	sent := time.Now()
	err := s.write(ctx, s.saying())
	if errors.Is(err, ErrLost) {
		s.lose(err)
		return
	}
	s.schedule(sent, err == nil)
	if err == nil {
		s.releaseLeftovers(ctx)
	}
}

// idle tells whether nothing needs the session: nothing is claimed, and its process does not count among
// those that follow each other.
func (s *session) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tokens) == 0 && len(s.leftovers) == 0 && !s.own.following.Load()
}

// schedule sets the timers after a renewal that was confirmed, or not.
func (s *session) schedule(sent time.Time, confirmed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	next := s.own.lease / 40
	if confirmed {
		s.confirmed, next = sent, s.own.lease/5
	}
	s.expiry.Reset(max(s.left(), 0))
	s.renewal.Reset(next)
}

// write puts the entry at our revision. Nobody but us writes one that is not marked dead.
func (s *session) write(ctx context.Context, state sessionState) error {
	value, err := json.Marshal(state)
	if err != nil {
		return err
	}
	highest := s.own.newest.revision.Load() // before it is sent: others write meanwhile
	revision, err := s.own.put(ctx, SessionPrefix+s.id, value, s.revision, s.mine)
	if err != nil {
		return err
	}
	s.revision = revision
	return s.own.newest.backwards(highest, revision)
}

// mine tells whether what was read is still our session, and no older than what we wrote.
func (s *session) mine(value []byte, revision uint64) error {
	var now sessionState
	if err := json.Unmarshal(value, &now); err != nil || now.Dead {
		return ErrLost
	}
	if revision < s.revision {
		return fmt.Errorf("%w: the ledger went back to revision %d of the session", ErrLost, revision)
	}
	return nil
}

// close says in the entry that the session ended, so that nobody waits for its lease. What could still
// be under way in its claims counts as lost.
func (s *session) close(ctx context.Context) error {
	for _, cl := range s.end() {
		cl.lose(ErrLost)
	}
	s.renewing <- struct{}{}
	defer func() { <-s.renewing }()
	return s.sayEnded(ctx)
}

// sayEnded writes that the session ended; its revision is owned.
func (s *session) sayEnded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.own.lease/5)
	defer cancel()
	ended := s.state
	ended.Ended = true
	return s.write(ctx, ended)
}
