package hold

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich"
	"forager/enrich/claim"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

func newStream(t *testing.T, manage bool) (*Stream, jetstream.JetStream) {
	t.Helper()
	server, err := natstest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	link, err := stream.Connect(t.Context(), stream.Connection{URLs: []string{server.URL()}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	return Open(link, stream.Topology{Stream: "DET", Consumer: "c", Manage: manage}), link.JetStream()
}

// TestACopyHasTheMessagesBytesHeadersAndTimes; headers on which NATS would act do not act on it.
func TestACopyHasTheMessagesBytesHeadersAndTimes(t *testing.T) {
	t.Parallel()
	s, js := newStream(t, true)
	m := Message{
		Stream: "DET", Sequence: 7, Stored: time.Date(2026, 3, 2, 8, 0, 0, 123456789, time.UTC), Subject: "alerts.a\u00e9 \"x\"",
		Header: nats.Header{"Nats-Msg-Id": {"one"}, "Nats-Expected-Last-Sequence": {"99"}, "Nats-Rollup": {"all"}, "traceparent": {"a", "b"}, "Forager-Parts": {"9"}},
		Body:   []byte("{\"raw\":\"\x00\xff\"}"),
	}
	first, second := Place{"aa", m.Name(), copyOf([]int{3, 0})}, Place{"bb", m.Name(), copyOf([]int{1})}
	for range 2 { // the second time it is there, and is the same
		for p, parts := range map[Place][]int{first: {3, 0}, second: {1}} {
			if err := s.Put(t.Context(), p, &m, parts); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, parts, err := s.Get(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" || !cmp.Equal(parts, []int{0, 3}) {
		t.Errorf("parts %v (-want +got):\n%s", parts, diff)
	}
	if f, err := s.Fill(t.Context()); f.Messages != 2 || f.Oldest.IsZero() || err != nil {
		t.Errorf("%+v, %v", f, err)
	}
	if err := s.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), first); err != nil {
		t.Errorf("one that is gone: %v", err)
	}
	if _, _, err := s.Get(t.Context(), first); !errors.Is(err, ErrGone) {
		t.Errorf("one that is gone: %v", err)
	}
	if places, err := s.Places(t.Context()); err != nil || !cmp.Equal(places, []Place{second}) {
		t.Errorf("%v, %v", places, err)
	}
	other := *s
	other.prefix = stream.HoldPrefix + "OTHER_LEDGER."
	if places, err := other.Places(t.Context()); err != nil || len(places) != 0 {
		t.Errorf("of another ledger: %v, %v", places, err)
	}
	if _, err := js.Stream(t.Context(), "FORAGER_HOLD"); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeHeldIsToldFromWhatCannotBeReached(t *testing.T) {
	t.Parallel()
	s, js := newStream(t, false)
	m := Message{Stream: "DET", Sequence: 7, Stored: time.Unix(1, 0), Subject: "a"}
	p := Place{"aa", m.Name(), "c"}
	if err := s.Put(t.Context(), p, &m, []int{0}); !errors.Is(err, claim.ErrUnreachable) {
		t.Errorf("without a stream: %v", err)
	}
	if places, err := s.Places(t.Context()); err != nil || len(places) != 0 {
		t.Errorf("without a stream: %v, %v", places, err)
	}
	if f, err := s.Fill(t.Context()); f != (Fill{}) || err != nil {
		t.Errorf("without a stream: %+v, %v", f, err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FORAGER_HOLD", Subjects: []string{stream.HoldPrefix + ">"}, MaxMsgs: 1, Discard: jetstream.DiscardNew, MaxMsgSize: 2000}); err != nil {
		t.Fatal(err)
	}
	m.Body = bytes.Repeat([]byte("x"), 2000)
	if err := s.Put(t.Context(), p, &m, []int{0}); !errors.Is(err, ErrTooLarge) || enrich.ClassOf(err) != enrich.Blocked {
		t.Errorf("too large: %v, %s", err, enrich.ClassOf(err))
	}
	m.Body = nil
	if err := s.Put(t.Context(), p, &m, []int{0}); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), Place{"bb", m.Name(), "c"}, &m, []int{0}); enrich.ClassOf(err) != enrich.Blocked || !strings.Contains(err.Error(), "maximum messages") {
		t.Errorf("full: %v", err)
	}
}
