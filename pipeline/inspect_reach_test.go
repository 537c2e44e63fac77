package pipeline

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

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
			found := inspect(t, link, Inspection{Options: Options{Topology: stream.Topology{Stream: "DET", Consumer: "worker"}}, reach: 2 * time.Second})
			if len(found) != 1 || found[0].Level != LevelBroken || !strings.HasPrefix(found[0].What, c.want) || found[0].Remedy == "" {
				t.Errorf("found %+v, want %q", found, c.want)
			}
		})
	}
}

// TestANameWithoutAddressIsToldApart: without asking a name server, of which nobody knows how it answers.
func TestANameWithoutAddressIsToldApart(t *testing.T) {
	t.Parallel()
	what, remedy := unreachable(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "nats.example", IsNotFound: true}})
	if what != "its name has no address: dial tcp: lookup nats.example: no such host" || !strings.Contains(remedy, "nats.url") {
		t.Errorf("%q, %q", what, remedy)
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

// TestInspectWithoutJetStream: off for the server.
func TestInspectWithoutJetStream(t *testing.T) {
	t.Parallel()
	s, err := natstest.Start(t.TempDir(), natstest.With(func(o *server.Options) { o.JetStream = false }))
	must(t, err)
	t.Cleanup(s.Close)
	found := inspect(t, connectAs(t, s, stream.Connection{}), Inspection{Options: Options{Topology: stream.Topology{Stream: "DET", Consumer: "worker"}}})
	last := found[len(found)-1]
	if last.Level != LevelBroken || last.What != "no JetStream answers" {
		t.Errorf("found %+v", found)
	}
}

// TestInspectNamesWhatIsRefused: each permission of a worker, taken away.
func TestInspectNamesWhatIsRefused(t *testing.T) {
	t.Parallel()
	s, err := natstest.Start(t.TempDir(), natstest.With(func(o *server.Options) {
		o.Users = []*server.User{{Username: "nobody", Password: "n", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{">"}}, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		}}, {Username: "deaf", Password: "d", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{">"}}}}}
	}))
	must(t, err)
	t.Cleanup(s.Close)
	options := Options{Topology: stream.Topology{Stream: "DET", Consumer: "worker", Subjects: []string{"alerts.>"}, Manage: true}}
	i := &inspection{link: connectAs(t, s, stream.Connection{}), options: options.withDefaults(), audit: &AuditOptions{Stream: "A", Consumer: "c", Manage: true}}
	missing := map[string]bool{}
	for _, f := range inspect(t, connectAs(t, s, stream.Connection{User: "nobody", Password: "n"}), Inspection{Options: options, Audit: i.audit}) {
		if line, ok := strings.CutPrefix(f.What, "not allowed to publish to "); ok {
			missing[line] = true
		}
	}
	for _, p := range i.needed() {
		if !missing[p.line] {
			t.Errorf("nothing says that %s is missing", p.line)
		}
	}
	found := inspect(t, connectAs(t, s, stream.Connection{User: "deaf", Password: "d"}), Inspection{Options: options})
	if last := found[len(found)-1]; last.Level != LevelBroken || last.What != "not allowed to subscribe to _INBOX.>" {
		t.Errorf("found %+v", found)
	}
}

func TestOlderServersAreToldApart(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"2.9.25": true, "2.10.0": false, "2.10.4-beta": false, "1.99.0": true, "3.0.0": false, "": false, "v2.9.0": true, "dev": false} {
		if got := olderThan(version, oldestServer); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

func TestSubjectsCoverSubjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wide, narrow string
		want         bool
	}{
		{">", "a", true}, {">", ">", true}, {"a.>", "a", false}, {"a.>", "a.b.c", true}, {"a.>", "a.>", true}, {"a.*", "a.>", false},
		{"a.*", "a.b", true}, {"a.*", "a.*", true}, {"a.b", "a.*", false}, {"*.b", "a.b", true}, {"a", "a.b", false}, {"a.b", "a", false}, {"a.*.c", "a.>", false},
	} {
		if got := stream.Covers(c.wide, c.narrow); got != c.want {
			t.Errorf("%s covers %s: %v", c.wide, c.narrow, got)
		}
	}
}
