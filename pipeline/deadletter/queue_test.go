package deadletter

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// newQueue makes a server, a stream for dead letters, one for what is requeued, and the queue.
func newQueue(t *testing.T) (*Queue, jetstream.JetStream) {
	t.Helper()
	server, err := natstest.Start(t.TempDir())
	must(t, err)
	t.Cleanup(server.Close)
	link, err := stream.Connect(t.Context(), stream.Connection{URLs: []string{server.URL()}}, nil)
	must(t, err)
	t.Cleanup(link.Close)
	topology := stream.Topology{Stream: "DET", Consumer: "worker", Subjects: []string{"alerts.>"}, Manage: true}
	must(t, stream.Ensure(t.Context(), link, topology))
	return Open(link, ""), link.JetStream()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sample is a message of the stream that was given up.
func sample(sequence uint64, body string) Message {
	return Message{
		Reason: "invalid json", Class: "malformed", Attempts: 3, Subject: "alerts.x", Stream: "DET", Sequence: sequence,
		Stored: time.Unix(1000, 0), Time: time.Unix(1000, 0), Died: time.Unix(2000, 0), Worker: "pod-1", Body: []byte(body),
	}
}

// bodies lists the dead letters that a filter chooses by their bytes.
func bodies(t *testing.T, q *Queue, f Filter) []string {
	t.Helper()
	var all []string
	for m, err := range q.List(t.Context(), f) {
		must(t, err)
		all = append(all, string(m.Body))
	}
	return all
}

func TestDeadLetterIsStoredOnceAndNeverInAnothersPlace(t *testing.T) {
	q, js := newQueue(t)
	for range 3 { // died between the dead letter and the term, twice
		must(t, q.Store(t.Context(), sample(7, "a")))
	}
	anew := sample(7, "b") // a stream made anew counts from the beginning
	anew.Stored = time.UnixMilli(2000)
	for range 2 {
		must(t, q.Store(t.Context(), anew))
	}
	if diff := cmp.Diff([]string{"a", "b"}, bodies(t, q, Filter{})); diff != "" {
		t.Error(diff)
	}
	s, err := js.Stream(t.Context(), stream.DefaultDeadLetters)
	must(t, err)
	if _, err := s.GetLastMsgForSubject(t.Context(), "forager.dlq.DET.7.2000"); err != nil {
		t.Errorf("the second dead letter is not at its place: %v", err)
	}
	third := anew
	third.Body = []byte("c") // the same time, another body
	if err := q.Store(t.Context(), third); !errors.Is(err, errOther) {
		t.Errorf("both places are taken: %v", err)
	}
}

func TestDeadLetterThatDoesNotFitIsNotStored(t *testing.T) {
	q, _ := newQueue(t)
	large := sample(1, strings.Repeat("x", int(q.link.Conn().MaxPayload())))
	if err := q.Store(t.Context(), large); !errors.Is(err, ErrTooLarge) {
		t.Errorf("body: %v", err)
	}
	headers := sample(1, "")
	headers.Header = map[string][]string{"X": {strings.Repeat("x", 70_000)}}
	if err := q.Store(t.Context(), headers); !errors.Is(err, ErrTooLarge) {
		t.Errorf("headers: %v", err)
	}
}

func TestDeadLettersAreFilteredAndPurged(t *testing.T) {
	q, _ := newQueue(t)
	for n, reason := range []string{"invalid json", "no correlation key", "no correlation key"} {
		m := sample(uint64(n+1), fmt.Sprint(n))
		m.Reason, m.Died = reason, time.Unix(int64(n), 0)
		if n > 0 {
			m.Format = "test"
		}
		must(t, q.Store(t.Context(), m))
	}
	for name, test := range map[string]struct {
		filter Filter
		want   []string
	}{
		"all":       {Filter{}, []string{"0", "1", "2"}},
		"reason":    {Filter{Reason: "no correlation key"}, []string{"1", "2"}},
		"none":      {Filter{Reason: "other"}, nil},
		"format":    {Filter{Format: "test"}, []string{"1", "2"}},
		"stream":    {Filter{Stream: "OTHER"}, nil},
		"since":     {Filter{Since: time.Unix(1, 0)}, []string{"1", "2"}},
		"until":     {Filter{Until: time.Unix(1, 0)}, []string{"0"}},
		"all of it": {Filter{Reason: "no correlation key", Format: "test", Stream: "DET", Since: time.Unix(2, 0), Until: time.Unix(3, 0)}, []string{"2"}},
	} {
		if diff := cmp.Diff(test.want, bodies(t, q, test.filter)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	second, err := q.Get(t.Context(), 2)
	must(t, err)
	if string(second.Body) != "1" || second.Number != 2 {
		t.Errorf("got %d with body %q", second.Number, second.Body)
	}
	for range 2 { // twice: somebody else may be at it
		must(t, q.Purge(t.Context(), second))
	}
	if _, err := q.Get(t.Context(), 2); !errors.Is(err, ErrNotFound) {
		t.Errorf("get of a purged one: %v", err)
	}
	if diff := cmp.Diff([]string{"0", "2"}, bodies(t, q, Filter{})); diff != "" {
		t.Error(diff)
	}
}

func TestRequeueIsStoredOnceWithWhatTheDeadLetterProves(t *testing.T) {
	q, js := newQueue(t)
	m := sample(7, "body")
	m.Proof, m.Requeued = "proof", 1
	m.Header = nats.Header{"X-Trace": {"1"}, "Nats-Msg-Id": {"id"}, "Forager-Reason": {"spoofed"}}
	must(t, q.Store(t.Context(), m))
	dead, err := q.Get(t.Context(), 1)
	must(t, err)
	for range 2 { // the first answer got lost
		must(t, q.Requeue(t.Context(), dead))
	}
	if left := bodies(t, q, Filter{}); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	s, err := js.Stream(t.Context(), "DET")
	must(t, err)
	if n := s.CachedInfo().State.Msgs; n != 1 {
		t.Fatalf("%d messages were requeued", n)
	}
	raw, err := s.GetMsg(t.Context(), 1)
	must(t, err)
	if raw.Subject != "alerts.x" || string(raw.Data) != "body" || raw.Header.Get("X-Trace") != "1" || raw.Header.Get("Forager-Reason") != "" || raw.Header.Get("Nats-Msg-Id") == "id" {
		t.Errorf("%s %q %v", raw.Subject, raw.Data, raw.Header)
	}
	says := RequeueOf(raw.Header)
	if says != dead.Next() || says.Proof != "proof" {
		t.Errorf("says %+v, want %+v", says, dead.Next())
	}
	if first, requeued := says.First(); !first.Equal(m.Time) || requeued != 2 {
		t.Errorf("first stored %v, requeued %d", first, requeued)
	}
}
