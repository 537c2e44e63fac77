package kvledger

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

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// server is a JetStream server, and a connection to it.
type server struct {
	link *stream.Link
	js   jetstream.JetStream
}

func newServer(t *testing.T) *server {
	t.Helper()
	s, err := natstest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	link, err := stream.Connect(t.Context(), stream.Connection{URLs: []string{s.URL()}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	return &server{link: link, js: link.JetStream()}
}

// ensure makes what a worker that manages its streams makes before it consumes: the ledger among it.
func (s *server) ensure(t *testing.T) {
	t.Helper()
	topology := stream.Topology{Stream: "DET", Consumer: "worker", Subjects: []string{"alerts.>"}, Manage: true}
	if err := stream.Ensure(t.Context(), s.link, topology); err != nil {
		t.Fatal(err)
	}
}

// newBucket makes an empty bucket, and a ledger on it.
func newBucket(t *testing.T, s *server, bucket string, young time.Duration) *Ledger {
	t.Helper()
	if _, err := s.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket, History: 1}); err != nil {
		t.Fatal(err)
	}
	return New(s.link, Options{Bucket: bucket, Young: young})
}

func TestLedgerKeepsTheContract(t *testing.T) {
	s := newServer(t)
	n := 0
	claimtest.Run(t, func(t *testing.T) claim.Store {
		n++
		return newBucket(t, s, fmt.Sprint("bucket", n), time.Hour)
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

func TestLedgerIsTrustedWhenInitialisedOrOldEnough(t *testing.T) {
	s := newServer(t)
	if trusted(t, newBucket(t, s, "young", time.Hour)) {
		t.Error("a young bucket that was not initialised is trusted")
	}
	if !trusted(t, newBucket(t, s, "old", time.Nanosecond)) {
		t.Error("an old bucket is not trusted")
	}
	s.ensure(t)
	if !trusted(t, New(s.link, Options{Young: time.Hour})) {
		t.Error("a bucket that was made before anything was consumed is not trusted")
	}
}

func TestLedgerNoticesThatItsBucketWasMadeAnew(t *testing.T) {
	s := newServer(t)
	s.ensure(t)
	l := New(s.link, Options{Young: time.Hour, Recheck: time.Hour})
	for i := range 5 {
		if _, err := l.Put(t.Context(), fmt.Sprint("key.", i), []byte("{}"), 0); err != nil {
			t.Fatal(err)
		}
	}
	if !trusted(t, l) {
		t.Fatal("must be trusted at first")
	}
	if err := s.js.DeleteKeyValue(t.Context(), stream.DefaultBucket); err != nil {
		t.Fatal(err)
	}
	newBucket(t, s, stream.DefaultBucket, 0)
	if _, err := l.Put(t.Context(), "key.9", []byte("{}"), 0); err != nil {
		t.Fatal(err)
	}
	if trusted(t, l) {
		t.Error("still trusted after a write that got a revision below those seen")
	}
}

func TestLedgerWithoutItsBucketIsUnreachableAndRecovers(t *testing.T) {
	s := newServer(t)
	l := New(s.link, Options{Young: time.Nanosecond, Timeout: time.Second})
	_, _, err := l.Get(t.Context(), "key.a")
	if !errors.Is(err, claim.ErrUnreachable) {
		t.Errorf("get: %v, want unreachable", err)
	}
	if _, err := l.Trusted(t.Context()); !errors.Is(err, claim.ErrUnreachable) {
		t.Errorf("trusted: %v, want unreachable", err)
	}
	newBucket(t, s, stream.DefaultBucket, 0)
	if _, err := l.Put(t.Context(), "key.a", []byte("{}"), 0); err != nil {
		t.Errorf("after the bucket was made: %v", err)
	}
	if err := s.js.DeleteKeyValue(t.Context(), stream.DefaultBucket); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Put(t.Context(), "key.b", []byte("{}"), 0); !errors.Is(err, claim.ErrUnreachable) {
		t.Errorf("put after the bucket was deleted: %v, want unreachable", err)
	}
}

func TestLedgerListsTheKeysThatHaveAnEntry(t *testing.T) {
	s := newServer(t)
	l := newBucket(t, s, "b", 0)
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
	s := newServer(t)
	l := newBucket(t, s, "b", 0)
	if _, err := l.Put(t.Context(), "key.a", []byte("{}"), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.js.DeleteKeyValue(t.Context(), "b"); err != nil { // nobody listens, as between leaders
		t.Fatal(err)
	}
	var back conc.WaitGroup
	back.Go(func() {
		<-time.After(700 * time.Millisecond)
		newBucket(t, s, "b", 0)
	})
	if _, err := l.Put(t.Context(), "key.a", []byte("{}"), 0); err != nil {
		t.Errorf("put while nobody listened for a moment: %v", err)
	}
	back.Wait()
}

func TestLedgerCallersEndIsTheirs(t *testing.T) {
	s := newServer(t)
	l := newBucket(t, s, "b", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Put(ctx, "key.a", nil, 0)
	if !errors.Is(err, context.Canceled) || errors.Is(err, claim.ErrUnreachable) {
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

// TestWhatWasWrittenBelowAPrefixIsReadWithItsAge, by the server's clock, and nothing else is.
func TestWhatWasWrittenBelowAPrefixIsReadWithItsAge(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.ensure(t)
	l := New(s.link, Options{})
	for _, key := range []string{"session.a", "session.b", "session.gone", "sessions.c", "case.session.d"} {
		revision, err := l.Put(t.Context(), key, []byte(key), 0)
		if err != nil {
			t.Fatal(err)
		}
		if key == "session.gone" {
			if err := l.Purge(t.Context(), key, revision); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got []string
	for r, err := range l.Written(t.Context(), "session.") {
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Value) != r.Key || r.Age < 0 || r.Age > time.Minute {
			t.Errorf("%+v", r)
		}
		got = append(got, r.Key)
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"session.a", "session.b"}) {
		t.Errorf("keys %v", got)
	}
	s.link.Close()
	for _, err := range l.Written(t.Context(), "session.") {
		if err == nil {
			t.Error("without a server there is something")
		}
	}
}
