package intake

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/natstest"
	"forager/pipeline/stream"
	"forager/retry"
)

// site is a server, a link to it and a store for the stream DET on detections.>.
func site(t *testing.T, o Options, config jetstream.StreamConfig, options ...natstest.Option) (*natstest.Server, *stream.Link, *Store) {
	t.Helper()
	running, err := natstest.Start(t.TempDir(), options...)
	must(t, err)
	t.Cleanup(running.Close)
	link, err := stream.Connect(t.Context(), stream.Connection{URLs: []string{running.URL()}, Pause: 10 * time.Millisecond}, nil)
	must(t, err)
	t.Cleanup(link.Close)
	config.Name, config.Subjects = "DET", []string{"detections.>"}
	_, err = link.JetStream().CreateStream(t.Context(), config)
	must(t, err)
	o.Stream = "DET"
	s, err := New(link, o)
	must(t, err)
	return running, link, s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// why is the reason of a refusal; empty is stored.
func why(t *testing.T, err error) Why {
	t.Helper()
	if err == nil {
		return ""
	}
	r, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Fatalf("no refusal: %v", err)
	}
	return r.Why
}

func TestAnEventIsStoredOnceForItsID(t *testing.T) {
	t.Parallel()
	_, link, s := site(t, Options{}, jetstream.StreamConfig{})
	event := Event{Subject: "detections.x", ID: "one", Header: map[string][]string{"Forager-Source": {"x"}}, Body: []byte(`{"a":1}`)}
	first, err := s.Put(t.Context(), event)
	must(t, err)
	event.Header = map[string][]string{"Forager-Source": {"x"}}
	again, err := s.Put(t.Context(), event)
	must(t, err)
	if want := (Receipt{Stream: "DET", Sequence: 1}); first != want {
		t.Errorf("first %+v", first)
	}
	if want := (Receipt{Stream: "DET", Sequence: 1, Duplicate: true}); again != want {
		t.Errorf("again %+v", again)
	}
	held, err := link.JetStream().Stream(t.Context(), "DET")
	must(t, err)
	msg, err := held.GetMsg(t.Context(), 1)
	must(t, err)
	if string(msg.Data) != `{"a":1}` || msg.Header.Get("Forager-Source") != "x" || held.CachedInfo().State.Msgs != 1 {
		t.Errorf("stored %q %v, %d messages", msg.Data, msg.Header, held.CachedInfo().State.Msgs)
	}
}

func TestARefusalSaysWhy(t *testing.T) {
	t.Parallel()
	_, link, s := site(t, Options{}, jetstream.StreamConfig{MaxMsgSize: 64 << 10, MaxMsgs: 1, Discard: jetstream.DiscardNew}, natstest.MaxPayload(128<<10))
	_, err := link.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other.>"}})
	must(t, err)
	body := func(n int) []byte { return []byte(strings.Repeat("x", n)) }
	for _, c := range []struct {
		name    string
		subject string
		body    []byte
		want    Why
	}{
		{"larger than the server takes", "detections.x", body(128 << 10), TooLarge},
		{"larger than the stream takes", "detections.x", body(100 << 10), TooLarge},
		{"a subject of nobody", "elsewhere.x", body(1), NoStream},
		{"a subject of another stream", "other.x", body(1), OtherStream},
		{"the first", "detections.x", body(1), ""},
		{"one too many", "detections.x", body(1), Full},
	} {
		_, err := s.Put(t.Context(), Event{Subject: c.subject, Body: c.body})
		if got := why(t, err); got != c.want {
			t.Errorf("%s: %q, want %q: %v", c.name, got, c.want, err)
		}
	}
	for name, want := range map[string]uint64{"DET": 1, "OTHER": 0} {
		held, err := link.JetStream().Stream(t.Context(), name)
		must(t, err)
		if got := held.CachedInfo().State.Msgs; got != want {
			t.Errorf("%s holds %d, want %d: what is refused is not stored", name, got, want)
		}
	}
}

func TestWithoutAServerItRefusesAtOnce(t *testing.T) {
	t.Parallel()
	running, link, s := site(t, Options{}, jetstream.StreamConfig{})
	running.Close()
	for link.Connected() {
		retry.Wait(t.Context(), time.Millisecond)
	}
	began := time.Now()
	_, err := s.Put(t.Context(), Event{Subject: "detections.x", Body: []byte("{}")})
	if got := why(t, err); got != Unreachable || time.Since(began) > time.Second {
		t.Errorf("%q after %v: %v", got, time.Since(began), err)
	}
}

// TestAServerThatIsSilentIsNoAnswer: one that refuses a publish by its permissions says nothing to who publishes.
func TestAServerThatIsSilentIsNoAnswer(t *testing.T) {
	t.Parallel()
	_, _, s := site(t, Options{Within: 100 * time.Millisecond}, jetstream.StreamConfig{}, natstest.With(func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"detections.secret"}}}}}
		o.NoAuthUser = "u"
	}))
	_, err := s.Put(t.Context(), Event{Subject: "detections.secret", Body: []byte("{}")})
	if got := why(t, err); got != Unknown || !strings.Contains(err.Error(), "detections.secret") {
		t.Errorf("%q: %v", got, err)
	}
}

func TestAnImpossibleStreamIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := New(nil, Options{Stream: "a.b"}); !errors.Is(err, stream.ErrTopology) {
		t.Errorf("error %v", err)
	}
}
