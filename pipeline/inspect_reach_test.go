package pipeline

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"forager/pipeline/inspect"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// TestInspectSaysWhyThereIsNoConnection: what an operator mends in different places has different words.
func TestInspectSaysWhyThereIsNoConnection(t *testing.T) {
	t.Parallel()
	mutual, authority := certificateRotation(t, false), authorityRotation(t)
	for name, c := range map[string]struct {
		server     func(*server.Options)
		connection func(t *testing.T, folder string) stream.Connection
		want       string
	}{
		"nobody listens": {nil, closedPort, "nobody listens there: "},
		"silence":        {nil, silence, "no answer"},
		"wrong password": {least, func(*testing.T, string) stream.Connection {
			return stream.Connection{User: "worker", Password: "wrong"}
		}, "the server refuses the credentials: "},
		"no credentials":     {least, func(*testing.T, string) stream.Connection { return stream.Connection{} }, "the server refuses the credentials: "},
		"unknown authority":  {func(o *server.Options) { authority.server(t, o, 1) }, func(t *testing.T, f string) stream.Connection { return authority.worker(t, f, 2) }, "nobody we trust signed the server's certificate: "},
		"wrong certificate":  {func(o *server.Options) { mutual.server(t, o, 1) }, func(t *testing.T, f string) stream.Connection { return mutual.worker(t, f, 2) }, "the server does not take our certificate, or misses one: "},
		"TLS first to plain": {nil, func(t *testing.T, f string) stream.Connection { return authority.first(t, f) }, "the server does not begin with TLS: "},
		"TLS to plain":       {nil, func(t *testing.T, f string) stream.Connection { return authority.worker(t, f, 1) }, "the server speaks no TLS: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connection := c.connection(t, t.TempDir())
			if len(connection.URLs) == 0 {
				s, err := natstest.Start(t.TempDir(), natstest.With(func(o *server.Options) {
					if c.server != nil {
						c.server(o)
					}
				}))
				must(t, err)
				t.Cleanup(s.Close)
				connection.URLs = []string{s.URL()}
			}
			connection.Timeout, connection.Pause = 500*time.Millisecond, 20*time.Millisecond
			link, err := stream.Connect(t.Context(), connection, nil)
			must(t, err)
			t.Cleanup(link.Close)
			expected := Options{Topology: stream.Topology{Stream: "DET", Consumer: "worker"}}.Expected()
			expected.Reach = 2 * time.Second
			found, err := inspect.Inspect(t.Context(), link, expected)
			must(t, err)
			if len(found) != 1 || found[0].Level != inspect.LevelBroken || !strings.HasPrefix(found[0].What, c.want) || found[0].Remedy == "" {
				t.Errorf("found %+v, want %q", found, c.want)
			}
		})
	}
}

func (r rotation) first(t *testing.T, folder string) stream.Connection {
	t.Helper()
	c := r.worker(t, folder, 1)
	c.HandshakeFirst = true
	return c
}

func closedPort(t *testing.T, _ string) stream.Connection {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return stream.Connection{URLs: []string{"nats://" + l.Addr().String()}}
}

// silence takes connections and says nothing.
func silence(t *testing.T, _ string) stream.Connection {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return stream.Connection{URLs: []string{"nats://" + l.Addr().String()}}
}
