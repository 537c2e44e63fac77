package claimtest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/sourcegraph/conc"

	"forager/enrich/claim"
)

// Run checks that a ledger keeps the contract of claim.Store. Each case gets a new, empty one.
func Run(t *testing.T, open func(t *testing.T) claim.Store) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, claim.Store){
		"missing entry is ErrNoEntry":               missing,
		"create then read back":                     createAndRead,
		"create over an entry conflicts":            createTwice,
		"update at the revision seen":               update,
		"update at an old revision conflicts":       staleUpdate,
		"update of a missing entry conflicts":       updateMissing,
		"purged entry is missing and can be made":   purgeAndCreate,
		"purge at an old revision conflicts":        stalePurge,
		"revisions grow over all keys":              growing,
		"keys of case ids are kept apart":           strangeKeys,
		"one of many writers wins every round":      race,
		"an ended context is an error, not a write": ended,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

func put(t *testing.T, l claim.Store, key, value string, expected uint64) uint64 {
	t.Helper()
	revision, err := l.Put(t.Context(), key, []byte(value), expected)
	if err != nil {
		t.Fatalf("put %s at %d: %v", key, expected, err)
	}
	return revision
}

func conflict(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, claim.ErrConflict) {
		t.Errorf("got error %v, want ErrConflict", err)
	}
}

func reads(t *testing.T, l claim.Store, key, want string, revision uint64) {
	t.Helper()
	value, at, err := l.Get(t.Context(), key)
	if err != nil || string(value) != want || at != revision {
		t.Errorf("get %s = %q at %d, error %v; want %q at %d", key, value, at, err, want, revision)
	}
}

func missing(t *testing.T, l claim.Store) {
	if _, _, err := l.Get(t.Context(), "key.none"); !errors.Is(err, claim.ErrNoEntry) {
		t.Errorf("got error %v, want ErrNoEntry", err)
	}
}

func createAndRead(t *testing.T, l claim.Store) {
	reads(t, l, "key.a", `{"v":1}`, put(t, l, "key.a", `{"v":1}`, 0))
}

func createTwice(t *testing.T, l claim.Store) {
	revision := put(t, l, "key.a", "first", 0)
	_, err := l.Put(t.Context(), "key.a", []byte("second"), 0)
	conflict(t, err)
	reads(t, l, "key.a", "first", revision)
}

func update(t *testing.T, l claim.Store) {
	revision := put(t, l, "key.a", "second", put(t, l, "key.a", "first", 0))
	reads(t, l, "key.a", "second", revision)
}

func staleUpdate(t *testing.T, l claim.Store) {
	old := put(t, l, "key.a", "first", 0)
	now := put(t, l, "key.a", "second", old)
	_, err := l.Put(t.Context(), "key.a", []byte("third"), old)
	conflict(t, err)
	reads(t, l, "key.a", "second", now)
}

func updateMissing(t *testing.T, l claim.Store) {
	_, err := l.Put(t.Context(), "key.a", []byte("x"), 77)
	conflict(t, err)
}

func purgeAndCreate(t *testing.T, l claim.Store) {
	revision := put(t, l, "key.a", "first", 0)
	if err := l.Purge(t.Context(), "key.a", revision); err != nil {
		t.Fatal(err)
	}
	missing2(t, l, "key.a")
	reads(t, l, "key.a", "again", put(t, l, "key.a", "again", 0))
}

func missing2(t *testing.T, l claim.Store, key string) {
	t.Helper()
	if _, _, err := l.Get(t.Context(), key); !errors.Is(err, claim.ErrNoEntry) {
		t.Errorf("got error %v, want ErrNoEntry", err)
	}
}

func stalePurge(t *testing.T, l claim.Store) {
	old := put(t, l, "key.a", "first", 0)
	now := put(t, l, "key.a", "second", old)
	conflict(t, l.Purge(t.Context(), "key.a", old))
	reads(t, l, "key.a", "second", now)
}

func growing(t *testing.T, l claim.Store) {
	last := uint64(0)
	for i := range 20 {
		revision := put(t, l, fmt.Sprintf("key.%d", i%5), "x", lookup(t, l, fmt.Sprintf("key.%d", i%5)))
		if revision <= last {
			t.Fatalf("revision %d after %d", revision, last)
		}
		last = revision
	}
}

func lookup(t *testing.T, l claim.Store, key string) uint64 {
	t.Helper()
	_, revision, err := l.Get(t.Context(), key)
	if err != nil && !errors.Is(err, claim.ErrNoEntry) {
		t.Fatal(err)
	}
	return revision
}

func strangeKeys(t *testing.T, l claim.Store) {
	a := put(t, l, "case.~123", "tilde", 0)
	b := put(t, l, "case.123", "plain", 0)
	reads(t, l, "case.~123", "tilde", a)
	reads(t, l, "case.123", "plain", b)
}

func race(t *testing.T, l claim.Store) {
	const writers, rounds = 8, 20
	revision := uint64(0)
	for range rounds {
		var wins atomic.Int64
		var next atomic.Uint64
		var wg conc.WaitGroup
		for w := range writers {
			wg.Go(func() {
				got, err := l.Put(t.Context(), "key.race", fmt.Appendf(nil, "%d", w), revision)
				if err == nil {
					wins.Add(1)
					next.Store(got)
				} else if !errors.Is(err, claim.ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%d writers won", wins.Load())
		}
		revision = next.Load()
	}
}

func ended(t *testing.T, l claim.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Put(ctx, "key.a", []byte("x"), 0); err == nil {
		t.Error("put with an ended context gave no error")
	}
	missing2(t, l, "key.a")
}
