package check

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"forager/cmd/worker/workertest"
	"forager/pipeline/inspect"
	"forager/pipeline/natstest"
)

// TestSyncIntervalIsReadFromTheServersOwnPort: a real server says it, and what it says is judged.
func TestSyncIntervalIsReadFromTheServersOwnPort(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(*server.Options)
		level  inspect.Level
		what   string
	}{
		{func(*server.Options) {}, inspect.LevelHurts, "it writes to its disk every 2m (sync_interval)"},
		{func(o *server.Options) { o.SyncInterval = 10 * time.Second }, inspect.LevelHurts, "it writes to its disk every 10s (sync_interval)"},
		{func(o *server.Options) { o.SyncAlways = true }, inspect.LevelOK, "it writes before it confirms (sync_interval always)"},
		{func(o *server.Options) { o.JetStream = false }, inspect.LevelNote, ""},
	} {
		address, err := workertest.FreeAddress(t.Context())
		workertest.Must(t, err)
		s, err := natstest.Start(t.TempDir(), natstest.With(func(o *server.Options) {
			o.HTTPHost, o.HTTPPort = "127.0.0.1", portOf(t, address)
			c.change(o)
		}))
		workertest.Must(t, err)
		found, err := Monitored(t.Context(), "http://"+address)
		s.Close()
		workertest.Must(t, err)
		if len(found) != 1 || found[0].Level != c.level || c.what != "" && found[0].What != c.what {
			t.Errorf("found %+v, want %s %q", found, c.level, c.what)
		}
	}
	for _, wrong := range []string{"localhost:8222", "nats://localhost:4222", ""} {
		if _, err := Monitored(t.Context(), wrong); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	workertest.Must(t, err)
	port, err := strconv.Atoi(text)
	workertest.Must(t, err)
	return port
}
