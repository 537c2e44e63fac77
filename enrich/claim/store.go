package claim

import (
	"context"
	"errors"
)

// Store is what all replicas share: entries with revisions, changed by
// compare-and-set: the ledger. It knows nothing of what an entry means; keys are of the characters
// [-/_=.a-zA-Z0-9], values are JSON.
//
// Errors: ErrConflict when the revision is not the expected one (somebody else was faster, or
// the entry exists), ErrNoEntry when there is none. Every other error means that it is unknown
// whether the change took place; the caller reads again and compares tokens.
// Revisions of one store only ever grow, over all keys.
type Store interface {
	// Get reads an entry. It may be stale: decide by Update, never by Get.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Put writes an entry at an expected revision; 0 expects that there is none (never written,
	// or purged). It returns the new revision.
	Put(ctx context.Context, key string, value []byte, expected uint64) (revision uint64, err error)
	// Purge removes an entry at an expected revision.
	Purge(ctx context.Context, key string, expected uint64) error
	// Trusted tells whether the absence of an entry means that nothing was done: false while the
	// store is younger than lease + settle and was not born before anything was consumed (key
	// "born"). It is asked after the entry was made, since the store may be made anew in between;
	// an implementation notices that by itself.
	Trusted(ctx context.Context) (bool, error)
}

// Errors of a Store on which callers decide.
var (
	ErrConflict = errors.New("ledger entry has another revision")
	ErrNoEntry  = errors.New("ledger has no such entry")
)
