package natstest

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestRestartKeepsAddressAndMessages(t *testing.T) {
	s, err := Start(t.TempDir(), MaxPayload(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	publish(t, s, strings.Repeat("x", 7<<20))
	url := s.URL()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if s.URL() != url {
		t.Errorf("url %s, was %s", s.URL(), url)
	}
	publish(t, s, "second")
	nc, js := connect(t, s)
	defer nc.Close()
	stream, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 2 {
		t.Errorf("%d messages, want 2", got)
	}
	s.Close()
	s.Close()
}

func connect(t *testing.T, s *Server) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

func publish(t *testing.T, s *Server, body string) {
	t.Helper()
	nc, js := connect(t, s)
	defer nc.Close()
	if _, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s", []byte(body)); err != nil {
		t.Fatal(err)
	}
}

func TestPortThatIsTakenIsAnError(t *testing.T) {
	s, err := Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if other, err := Start(t.TempDir(), Port(s.options.Port)); err == nil {
		other.Close()
		t.Error("two servers on one port")
	}
}
