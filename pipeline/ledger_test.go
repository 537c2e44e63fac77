package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"
	"pgregory.net/rapid"

	"forager/enrich"
	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
	"forager/pipeline/stream"
)

// newBucket makes an empty bucket, and a ledger on it.
func newBucket(t *testing.T, r *rig, bucket string, young time.Duration) *Ledger {
	t.Helper()
	if _, err := r.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket, History: 1}); err != nil {
		t.Fatal(err)
	}
	return NewLedger(r.link, LedgerOptions{Bucket: bucket, Young: young})
}

func TestLedgerKeepsTheContract(t *testing.T) {
	r := newRig(t, nil)
	n := 0
	claimtest.Run(t, func(t *testing.T) claim.Store {
		n++
		return newBucket(t, r, fmt.Sprint("bucket", n), time.Hour)
	})
}

func trusted(t *testing.T, l *Ledger) bool {
	t.Helper()
	ok, err := l.Trusted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestLedgerIsTrustedWhenBornOrOldEnough(t *testing.T) {
	r := newRig(t, nil)
	if trusted(t, newBucket(t, r, "young", time.Hour)) {
		t.Error("a young bucket that was not born is trusted")
	}
	if !trusted(t, newBucket(t, r, "old", time.Nanosecond)) {
		t.Error("an old bucket is not trusted")
	}
	r.ensure()
	if !trusted(t, NewLedger(r.link, LedgerOptions{Young: time.Hour})) {
		t.Error("a bucket that was made before anything was consumed is not trusted")
	}
}

func TestLedgerNoticesThatItsBucketWasMadeAnew(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	l := NewLedger(r.link, LedgerOptions{Young: time.Hour, Recheck: time.Hour})
	for i := range 5 {
		if _, err := l.Put(t.Context(), fmt.Sprint("key.", i), []byte("{}"), 0); err != nil {
			t.Fatal(err)
		}
	}
	if !trusted(t, l) {
		t.Fatal("must be trusted at first")
	}
	if err := r.js.DeleteKeyValue(t.Context(), stream.DefaultBucket); err != nil {
		t.Fatal(err)
	}
	newBucket(t, r, stream.DefaultBucket, 0)
	if _, err := l.Put(t.Context(), "key.9", []byte("{}"), 0); err != nil {
		t.Fatal(err)
	}
	if trusted(t, l) {
		t.Error("still trusted after a write that got a revision below those seen")
	}
}

func TestLedgerWithoutItsBucketIsBlockedAndRecovers(t *testing.T) {
	r := newRig(t, nil)
	l := NewLedger(r.link, LedgerOptions{Young: time.Nanosecond, Timeout: time.Second})
	_, _, err := l.Get(t.Context(), "key.a")
	if enrich.ClassOf(err) != enrich.Blocked {
		t.Errorf("get: %v is %v, want blocked", err, enrich.ClassOf(err))
	}
	if _, err := l.Trusted(t.Context()); enrich.ClassOf(err) != enrich.Blocked {
		t.Errorf("trusted: %v is %v, want blocked", err, enrich.ClassOf(err))
	}
	newBucket(t, r, stream.DefaultBucket, 0)
	if _, err := l.Put(t.Context(), "key.a", []byte("{}"), 0); err != nil {
		t.Errorf("after the bucket was made: %v", err)
	}
	if err := r.js.DeleteKeyValue(t.Context(), stream.DefaultBucket); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Put(t.Context(), "key.b", []byte("{}"), 0); enrich.ClassOf(err) != enrich.Blocked {
		t.Errorf("put after the bucket was deleted: %v is %v, want blocked", err, enrich.ClassOf(err))
	}
}

func TestLedgerListsTheKeysThatHaveAnEntry(t *testing.T) {
	r := newRig(t, nil)
	l := newBucket(t, r, "b", 0)
	for _, key := range []string{"case.~1", "key.a", "key.gone"} {
		if _, err := l.Put(t.Context(), key, []byte("{}"), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Purge(t.Context(), "key.gone", 3); err != nil {
		t.Fatal(err)
	}
	var got []string
	for key, err := range l.Keys(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, key)
	}
	slices.Sort(got)
	if want := []string{"case.~1", "key.a"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	for _, err := range l.Keys(t.Context()) { // left early: nothing hangs
		if err != nil {
			t.Error(err)
		}
		break
	}
}

func TestLedgerWaitsOutTheTimeBetweenTwoLeaders(t *testing.T) {
	r := newRig(t, nil)
	l := newBucket(t, r, "b", 0)
	if _, err := l.Put(t.Context(), "key.a", []byte("{}"), 0); err != nil {
		t.Fatal(err)
	}
	if err := r.js.DeleteKeyValue(t.Context(), "b"); err != nil { // nobody listens, as between leaders
		t.Fatal(err)
	}
	var back conc.WaitGroup
	back.Go(func() {
		<-time.After(700 * time.Millisecond)
		newBucket(t, r, "b", 0)
	})
	if _, err := l.Put(t.Context(), "key.a", []byte("{}"), 0); err != nil {
		t.Errorf("put while nobody listened for a moment: %v", err)
	}
	back.Wait()
}

func TestLedgerCallersEndIsTheirs(t *testing.T) {
	r := newRig(t, nil)
	l := newBucket(t, r, "b", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Put(ctx, "key.a", nil, 0)
	if !errors.Is(err, context.Canceled) || errors.Is(err, enrich.ErrLedger) || enrich.ClassOf(err) != enrich.Interrupted {
		t.Errorf("put with an ended context: %v", err)
	}
}

func TestKeysAreEncodedOneToOneAndValid(t *testing.T) {
	for key, want := range map[string]string{
		"key.0123abcd": "key.0123abcd", "case.~42": "case.=7E42", "a=b": "a=3Db", ".a": "=2Ea", "a.": "a=2E", "a..b": "a=2E=2Eb",
	} {
		if got := encodeKey(key); got != want {
			t.Errorf("encodeKey(%q) = %q, want %q", key, got, want)
		}
	}
	seen := map[string]string{}
	for _, key := range []string{"a=b", "case.~42", "..", "é"} {
		if got := decodeKey(encodeKey(key)); got != key {
			t.Errorf("%q came back as %q", key, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringN(1, 12, 40).Draw(t, "key")
		got := encodeKey(key)
		if other, ok := seen[got]; ok && other != key {
			t.Fatalf("%q and %q are both %q", key, other, got)
		}
		seen[got] = key
		if back := decodeKey(got); back != key {
			t.Fatalf("%q came back as %q", key, back)
		}
		for i := range len(got) {
			if !plainByte(got[i]) && got[i] != '=' || got[i] == '.' && !innerDot(got, i) {
				t.Fatalf("encodeKey(%q) = %q is no KV key", key, got)
			}
		}
	})
}
