package dryrun

import (
	"context"
	"errors"
	"strings"

	"forager/enrich/claim"
)

var _ claim.Store = (*Recorder)(nil)

// kept is an entry of the ledger as the dry run has it.
type kept struct {
	value    []byte // nil: there is none
	revision uint64
}

// entry gives an entry, from the real ledger the first time. What somebody holds, or left without
// saying what it did, counts as absent: then TheHive is looked at, and nobody is waited for.
func (r *Recorder) entry(ctx context.Context, key string) (kept, error) {
	r.mu.Lock()
	e, ok := r.entries[key]
	r.mu.Unlock()
	if ok {
		return e, nil
	}
	value, _, err := r.ledger.Get(ctx, key)
	if err != nil && !errors.Is(err, claim.ErrNoEntry) {
		return kept{}, err
	}
	if claimable := strings.HasPrefix(key, "key.") || strings.HasPrefix(key, "case."); err == nil && claimable {
		if parsed, perr := claim.ParseEntry(value); perr != nil || parsed.Dirty() {
			value = nil
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.entries[key]; ok {
		return e, nil
	}
	e = kept{value: value}
	if value != nil {
		r.rev++
		e.revision = r.rev
	}
	r.entries[key] = e
	return e, nil
}

// Get reads an entry.
func (r *Recorder) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	e, err := r.entry(ctx, key)
	if err == nil && e.value == nil {
		err = claim.ErrNoEntry
	}
	return e.value, e.revision, err
}

// Put keeps an entry here.
func (r *Recorder) Put(ctx context.Context, key string, value []byte, expected uint64) (uint64, error) {
	if _, err := r.entry(ctx, key); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries[key].revision != expected {
		return 0, claim.ErrConflict
	}
	r.rev++
	r.entries[key] = kept{value: value, revision: r.rev}
	return r.rev, nil
}

// Purge forgets an entry here.
func (r *Recorder) Purge(ctx context.Context, key string, expected uint64) error {
	if _, err := r.entry(ctx, key); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries[key].revision != expected {
		return claim.ErrConflict
	}
	r.entries[key] = kept{}
	return nil
}

// Trusted is always true: what is absent here was never done here.
func (r *Recorder) Trusted(context.Context) (bool, error) { return true, nil }
