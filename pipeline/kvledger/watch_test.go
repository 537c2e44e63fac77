package kvledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/conc"

	"forager/enrich/claim"
)

// change is what a watch told.
type change struct {
	Key, Value string
	Removed    bool
}

// TestWatchTellsOfAPrefixInTheOrderOfTheBucket: first what is there, then every change; keys beside it are
// not told.
func TestWatchTellsOfAPrefixInTheOrderOfTheBucket(t *testing.T) {
	s := newServer(t)
	l := newBucket(t, s, "watched", time.Hour)
	first := put(t, l, "session.a", "one", 0)
	put(t, l, "case.~1", "beside", 0)
	ctx, stop := context.WithCancel(t.Context())
	told := make(chan change, 16)
	var wg conc.WaitGroup
	var ended error
	wg.Go(func() {
		ended = l.Watch(ctx, "session.", func(key string, value []byte, revision uint64) {
			told <- change{key, string(value), value == nil && revision == 0}
		})
	})
	next := func(want change) {
		t.Helper()
		select {
		case got := <-told:
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%+v was never told", want)
		}
	}
	next(change{Key: "session.a", Value: "one"})
	second := put(t, l, "session.a", "two", first)
	put(t, l, "session.b", "three", 0)
	put(t, l, "marks.x", "beside", 0)
	if err := l.Purge(t.Context(), "session.a", second); err != nil {
		t.Fatal(err)
	}
	next(change{Key: "session.a", Value: "two"})
	next(change{Key: "session.b", Value: "three"})
	next(change{Key: "session.a", Removed: true})
	stop()
	wg.Wait()
	if !errors.Is(ended, context.Canceled) || len(told) != 0 {
		t.Errorf("ended with %v, %d more were told", ended, len(told))
	}
}

// TestAWatchOfNoBucketIsAnUnreachableLedger: whoever watches tries again.
func TestAWatchOfNoBucketIsAnUnreachableLedger(t *testing.T) {
	l := New(newServer(t).link, Options{Bucket: "none"})
	if err := l.Watch(t.Context(), "session.", nil); !errors.Is(err, claim.ErrUnreachable) {
		t.Errorf("error %v", err)
	}
}

func put(t *testing.T, l *Ledger, key, value string, expected uint64) uint64 {
	t.Helper()
	revision, err := l.Put(t.Context(), key, []byte(value), expected)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}
