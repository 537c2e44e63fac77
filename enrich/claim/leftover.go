package claim

import (
	"context"
	"errors"
	"maps"
)

// leftover is an entry that may hold a token that nobody uses any more: its release could not be
// written, or the answer to its claim was lost. While the session lives nobody else would take it.
type leftover struct {
	name string
	last *Entry // what its holder wanted to leave; nil where nothing was done under the token
}

// releaseLeftovers releases the leftovers of the session. What cannot be written now is tried at the next renewal.
func (s *session) releaseLeftovers(ctx context.Context) {
	s.mu.Lock()
	left := maps.Clone(s.leftovers)
	s.mu.Unlock()
	for token, l := range left {
		if err := s.own.clear(ctx, token, l); err != nil {
			return
		}
		s.mu.Lock()
		delete(s.leftovers, token)
		s.mu.Unlock()
	}
}

// clear releases one entry if it still holds the token. An entry that cannot be read, or that somebody
// else wrote, is none of ours.
func (c *Claims) clear(ctx context.Context, token string, l leftover) error {
	value, revision, err := c.store.Get(ctx, l.name)
	if errors.Is(err, ErrNoEntry) {
		return nil
	}
	if err != nil {
		return err
	}
	e, err := parseEntry(value, c.fields)
	if err != nil || e.head.Token != token {
		return nil //nolint:nilerr // there is nothing to release
	}
	if l.last != nil {
		e = *l.last
	} else {
		e = e.released(e.head.Dirty, e.kinds())
	}
	value, err = e.encode()
	if err != nil {
		return err
	}
	_, err = c.store.Put(ctx, l.name, value, revision)
	if errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}
