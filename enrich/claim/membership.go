package claim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Watcher is a [Store] that tells of changes.
type Watcher interface {
	// Watch calls each for every entry whose key begins with a prefix, and then for every change of one,
	// in the order in which they were stored, until the context ends or the watch breaks; value is nil
	// where the entry was removed. Error: why it ended.
	Watch(ctx context.Context, prefix string, each func(key string, value []byte, revision uint64)) error
}

// Watch joins, and follows the sessions of other processes until the context ends: their deaths are then
// known by the time that somebody meets their claims, and [Claims.Live] counts them. Whoever calls it
// calls it again after an error. Without it, a death is noticed a lease after its claim was met.
func (c *Claims) Watch(ctx context.Context, w Watcher) error {
	c.following.Store(true)
	if _, err := c.joined(ctx); err != nil {
		return fmt.Errorf("watch sessions: %w", err)
	}
	defer c.watching.Store(false)
	err := w.Watch(ctx, SessionPrefix, func(key string, value []byte, revision uint64) {
		c.watching.Store(true)
		id := strings.TrimPrefix(key, SessionPrefix)
		if value == nil {
			c.others.forget(id)
			return
		}
		c.others.note(id, value, revision, c.lease)
	})
	return fmt.Errorf("watch sessions: %w", err)
}

// Live is the number of processes whose sessions are renewed, this one among them; it is known while
// they are watched.
func (c *Claims) Live() (n int, known bool) {
	return max(1, c.others.live()), c.watching.Load()
}

// Close ends the session in order: nobody waits for its lease. What is still claimed counts as lost, and
// nothing is claimed any more. Error: of the store; then others wait for the lease.
func (c *Claims) Close(ctx context.Context) error {
	c.joining <- struct{}{}
	defer func() { <-c.joining }()
	c.closed = true
	if c.session == nil {
		return nil
	}
	if err := c.session.close(ctx); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// joined is the session of this process, a new one if there is none that can be relied upon.
//
// Errors: [ErrStopping] after Close; that of [Ended]; of the store.
func (c *Claims) joined(ctx context.Context) (*session, error) {
	select {
	case c.joining <- struct{}{}:
	case <-ctx.Done():
		return nil, Ended(ctx)
	}
	defer func() { <-c.joining }()
	switch {
	case c.closed:
		return nil, ErrStopping
	case c.session != nil && c.session.certain():
		return c.session, nil
	}
	last := c.session
	next, err := c.join(ctx)
	if err != nil {
		return nil, err
	}
	c.session = next
	if last != nil {
		c.replaced(ctx, last)
	}
	return next, nil
}

// replaced gives up a session that could not be renewed in time. We know at once that nothing happens
// under it any more; the others are told.
func (c *Claims) replaced(ctx context.Context, last *session) {
	last.lose(ErrLost)
	c.others.end(last.id)
	_ = last.close(ctx) // else they wait for its lease
}

// end takes down that a session is over.
func (o *others) end(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := o.sessions[id]
	seen.ended, seen.over = true, time.Now()
	o.sessions[id] = seen
}

// forget drops a session whose entry was removed.
func (o *others) forget(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.sessions, id)
}

// Reap removes the entries of sessions that are over since a time, and marks those dead that were silent
// for as long. It belongs to the process that watches. An entry that is claimed by a removed session is
// waited for, for a lease, as if the session had just gone silent.
//
// Error: of the store.
func (c *Claims) Reap(ctx context.Context, age time.Duration) error {
	for id, s := range c.others.older(age) {
		var err error
		if s.ended {
			err = c.store.Purge(ctx, SessionPrefix+id, s.revision)
		} else {
			_, _, err = c.dead(ctx, id)
		}
		if err != nil && !errors.Is(err, ErrConflict) {
			return fmt.Errorf("reap session %s: %w", id, err)
		}
	}
	return nil
}

// older are the sessions of which nothing was heard for a time.
func (o *others) older(age time.Duration) map[string]sighting {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := make(map[string]sighting)
	for id, s := range o.sessions {
		if s.revision != 0 && time.Since(s.since) >= age {
			found[id] = s
		}
	}
	return found
}
