package claim

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"
)

// others is what this process saw of the sessions of other processes, by its own monotonic clock.
type others struct {
	mu       sync.Mutex
	sessions map[string]sighting
}

// sighting is one session as it was seen last.
type sighting struct {
	revision uint64        // 0 when it has no entry
	lease    time.Duration // that its process wrote down
	since    time.Time     // when we first saw this revision
	asked    time.Time     // when we last read it, unless it was told
	over     time.Time     // when its process can have written last, or we first knew that it is gone
	ended    bool          // it says that it ended, or somebody wrote that it is dead

	pod, started string // what it says of itself, for people
	concurrency  int
}

// mostSessions bounds the sessions that are remembered; more than that many replicas never run. The
// ones seen longest ago go first, and are looked at anew.
const mostSessions = 1024

func newOthers() *others { return &others{sessions: make(map[string]sighting)} }

// note takes down what was read of a session; a nil value is no entry. What was watched and what was
// looked at come here in any order. A session that is over stays so: no identifier is used twice. Any
// other revision than the known one counts as a renewal, a lower one, too: reading old news makes us
// wait longer, and the revisions of a bucket that was restored begin lower.
func (o *others) note(id string, value []byte, revision uint64, lease time.Duration) sighting {
	o.mu.Lock()
	defer o.mu.Unlock()
	known, ok := o.sessions[id]
	now := time.Now()
	if ok && (known.ended || revision == known.revision) {
		known.asked = now
		o.sessions[id] = known
		return known
	}
	seen := sighting{revision: revision, since: now, asked: now, lease: lease}
	var state sessionState
	if value != nil && json.Unmarshal(value, &state) == nil {
		seen.ended = state.Ended || state.Dead
		seen.pod, seen.started, seen.concurrency = state.Pod, state.Started, state.Concurrency
		if told := believed(state.Lease); told >= shortestLease {
			seen.lease = told
		}
	}
	seen.over = now
	if state.Dead && ok { // it wrote last before the revision that we knew ran out
		seen.over = known.since.Add(known.lease)
	}
	o.bound()
	o.sessions[id] = seen
	return seen
}

// bound makes room; the lock is held.
func (o *others) bound() {
	if len(o.sessions) < mostSessions {
		return
	}
	var oldest string
	for id, s := range o.sessions {
		if oldest == "" || s.since.Before(o.sessions[oldest].since) {
			oldest = id
		}
	}
	delete(o.sessions, oldest)
}

func (o *others) get(id string) (sighting, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, ok := o.sessions[id]
	return s, ok
}

// live counts the sessions that are renewed.
func (o *others) live() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, s := range o.sessions {
		if !s.ended && s.revision != 0 && time.Since(s.since) < s.lease {
			n++
		}
	}
	return n
}

// silent tells whether a session was not renewed, while we watched, for the lease that it wrote down.
func (s sighting) silent() bool { return time.Since(s.since) >= s.lease }

// sessionOf is the session that a token names; none in the token of a version without sessions.
func sessionOf(token string) (id string, ok bool) {
	id, _, ok = strings.Cut(token, ".")
	return id, ok
}

// dead tells whether the session of a foreign token is over, and since when it wrote nothing any more.
//
// A session that ended in order says so. One that is silent is marked dead, at the revision that we
// saw: if that succeeds, its last confirmed renewal is at least a lease old, it relied on that for two
// thirds of a lease, and it can never be renewed again. If it does not, it was renewed, and lives.
// So nothing is decided by a clock alone, nor by what a watch did or did not tell.
func (c *Claims) dead(ctx context.Context, id string) (over time.Time, dead bool, err error) {
	seen, known := c.others.get(id)
	if !known || !seen.ended && (seen.silent() || !c.watching.Load() && time.Since(seen.asked) > c.lease/10) {
		if seen, err = c.lookAt(ctx, id); err != nil {
			return time.Time{}, false, err
		}
	}
	switch {
	case seen.ended:
		return seen.over, true, nil
	case !seen.silent():
		return time.Time{}, false, nil
	}
	return c.mark(ctx, id, seen)
}

// lookAt reads the entry of a session.
func (c *Claims) lookAt(ctx context.Context, id string) (sighting, error) {
	value, revision, err := c.store.Get(ctx, SessionPrefix+id)
	if err != nil && !errors.Is(err, ErrNoEntry) {
		return sighting{}, err
	}
	return c.others.note(id, value, revision, c.lease), nil
}

// mark writes that a session is dead. One without an entry, as in a bucket that was made anew, gets one:
// its process may not have noticed yet, and would renew it.
func (c *Claims) mark(ctx context.Context, id string, seen sighting) (time.Time, bool, error) {
	value, err := json.Marshal(sessionState{
		V: entryVersion, Pod: seen.pod, Started: seen.started, Concurrency: seen.concurrency, Lease: seen.lease.Milliseconds(), Dead: true,
	})
	if err != nil {
		return time.Time{}, false, err
	}
	revision, err := c.store.Put(ctx, SessionPrefix+id, value, seen.revision)
	if errors.Is(err, ErrConflict) {
		_, err = c.lookAt(ctx, id) // renewed, or somebody else was faster
		return time.Time{}, false, err
	}
	if err != nil {
		return time.Time{}, false, err
	}
	marked := c.others.note(id, value, revision, seen.lease)
	return marked.over, true, nil
}
