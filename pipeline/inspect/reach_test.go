package inspect

import (
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"forager/pipeline/audit"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// TestANameWithoutAddressIsToldApart: without asking a name server, of which nobody knows how it answers.
func TestANameWithoutAddressIsToldApart(t *testing.T) {
	t.Parallel()
	what, remedy := unreachable(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "nats.example", IsNotFound: true}})
	if what != "its name has no address: dial tcp: lookup nats.example: no such host" || !strings.Contains(remedy, "nats.url") {
		t.Errorf("%q, %q", what, remedy)
	}
}

// TestInspectWithoutJetStream: off for the server.
func TestInspectWithoutJetStream(t *testing.T) {
	t.Parallel()
	s, err := natstest.Start(t.TempDir(), natstest.With(func(o *server.Options) { o.JetStream = false }))
	must(t, err)
	t.Cleanup(s.Close)
	found := look(t, connectAs(t, s, stream.Connection{}), newSite(t).expected)
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
	expected := newSite(t).expected
	expected.Audit = &audit.Options{Stream: "A", Consumer: "c", Manage: true}
	i := &inspection{link: connectAs(t, s, stream.Connection{}), expected: expected}
	missing := map[string]bool{}
	for _, f := range look(t, connectAs(t, s, stream.Connection{User: "nobody", Password: "n"}), expected) {
		if line, ok := strings.CutPrefix(f.What, "not allowed to publish to "); ok {
			missing[line] = true
		}
	}
	for _, p := range i.needed() {
		if !missing[p.line] {
			t.Errorf("nothing says that %s is missing", p.line)
		}
	}
	found := look(t, connectAs(t, s, stream.Connection{User: "deaf", Password: "d"}), expected)
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

func connectAs(t *testing.T, s *natstest.Server, c stream.Connection) *stream.Link {
	t.Helper()
	c.URLs = []string{s.URL()}
	link, err := stream.Connect(t.Context(), c, nil)
	must(t, err)
	t.Cleanup(link.Close)
	return link
}
