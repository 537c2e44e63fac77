package status

import (
	"strings"
	"testing"
	"time"

	"forager/cmd/worker/terminal"
	"forager/enrich/claim"

	"github.com/google/go-cmp/cmp"
)

// TestAStatusIsReadFromTheTop: what hurts, the totals, then why letters died and who lives; nothing of it steers a terminal.
func TestAStatusIsReadFromTheTop(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 8, 12, 0, 0, time.UTC)
	s := Status{
		Stream:  Stream{Name: "DET", Consumer: "forager", Waiting: 12, Unacknowledged: 3, Known: true},
		Letters: Letters{Waiting: 9, Known: true, ByReason: []Reason{{Reason: "observable rejected", Step: "observable", Status: 400, Count: 8, Newest: at}}},
		Below:   Below{Waiting: 41, Dropped: 7, Met: 3, Known: true, OldestSeconds: 5400, Full: 0.82},
		Replicas: []Replica{
			{Pod: "forager-0", State: claim.SessionLive, Started: at, SeenSeconds: 1.4, Concurrency: 32},
			{Pod: "forager-1\x1b[2J", State: claim.SessionSilent, Started: at, SeenSeconds: 61, Concurrency: 32, Says: "gate is closed"},
			{Pod: "forager-2", State: claim.SessionEnded, Started: at},
		},
		Problems: []string{"TheHive: connection refused\nnext"},
	}
	var b strings.Builder
	if err := Write(terminal.New(&b, 0, false), s); err != nil {
		t.Fatal(err)
	}
	want := `! TheHive: connection refused next

stream        DET, consumer forager: 12 wait, 3 in hand
thehive       unknown
dead letters  9 wait ("worker dlq ls" lists them, "worker dlq requeue" sends them again)
thresholds    41 wait below one, the oldest for 1h30m0s, their stream is 82 % full; about 3 met, 7 detections dropped below one

LETTERS  REASON               STEP        ANSWER  NEWEST
      8  observable rejected  observable  400     2026-03-02T08:12:00Z

REPLICA        STATE   SEEN      STARTED               CALLS  SAYS
forager-0      live    1s ago    2026-03-02T08:12:00Z     32  consuming
forager-1�[2J  silent  1m1s ago  2026-03-02T08:12:00Z     32  gate is closed
replicas that stopped in order within a week: 1
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
