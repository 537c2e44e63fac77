package inspect

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"

	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// TestListenHearsWhatNoStreamTakes: falcosidekick's default subject is outside the stream.
func TestListenHearsWhatNoStreamTakes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "DET", Subjects: []string{"alerts.>"}})
	must(t, err)
	before := s.link.Conn().NumSubscriptions()
	ctx, heardAll := context.WithCancel(t.Context())
	var publisher conc.WaitGroup
	defer publisher.Wait()
	publisher.Go(func() { // on the listener's connection, so that all has come when the flush has
		defer heardAll()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for s.link.Conn().NumSubscriptions() == before {
			<-tick.C
		}
		for subject, body := range map[string]string{
			"falco.warning.shell": `{"rule":"x","priority":"Warning"}`, "alerts.wazuh": `{"rule":"x"}`, "metrics.cpu": `{"value":1}`, "_INBOX.a": `{"rule":"x"}`, "forager.dlq.DET.1": `{"rule":"x"}`,
		} {
			_ = s.link.Conn().Publish(subject, []byte(body))
		}
		_ = s.link.Conn().Flush()
	})
	found := Listen(ctx, s.link, s.expected, time.Hour)
	if len(found) != 1 || found[0].Level != LevelHurts || !strings.Contains(found[0].What, "does not listen: falco.warning.shell (1)") {
		t.Errorf("found %+v", found)
	}
}

// TestListenWithoutAlertsElsewhere says so.
func TestListenWithoutAlertsElsewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	found := Listen(t.Context(), s.link, s.expected, 10*time.Millisecond)
	if len(found) != 1 || found[0].Level != LevelOK || !strings.Contains(found[0].What, "outside alerts.>") {
		t.Errorf("found %+v", found)
	}
}

// TestListenMayNotHear: a worker's own permissions do not let it.
func TestListenMayNotHear(t *testing.T) {
	t.Parallel()
	s, err := natstest.Start(t.TempDir(), natstest.With(func(o *server.Options) {
		o.Users = []*server.User{{Username: "w", Password: "w", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}}}
	}))
	must(t, err)
	t.Cleanup(s.Close)
	found := Listen(t.Context(), connectAs(t, s, stream.Connection{User: "w", Password: "w"}), newSite(t).expected, 10*time.Second)
	if len(found) != 1 || found[0].Level != LevelNote || !strings.Contains(found[0].What, "cannot be heard") {
		t.Errorf("found %+v", found)
	}
}
