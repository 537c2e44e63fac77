package demo

import (
	"strings"
	"testing"
	"time"

	"forager/cmd/worker/shell"
	"forager/cmd/worker/workertest"
)

func TestAnEventOfASampleComesToday(t *testing.T) {
	got := asOfToday(`{"time":"2026-03-02T08:12:40Z","host":"web01","other":"ws-031.corp.example","ip":"198.51.100.7"}`, 7)
	want := `{"time":"` + time.Now().UTC().Format(time.DateOnly) + `T08:12:40Z","host":"web07","other":"ws-007.corp.example","ip":"198.51.100.7"}`
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestWhatGoesWrongEndsWell: a storm is one case, nobody reads the poison, and what an analyst removed is gone.
func TestWhatGoesWrongEndsWell(t *testing.T) {
	sh := &shell.Shell{In: strings.NewReader(""), Out: t.Output(), Err: t.Output()}
	s, err := newStage(t.Context(), sh, &demoCmd{Calm: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { workertest.Must(t, s.Close()) }()
	s.storm(t.Context())
	s.send(t.Context(), `{"this": "ends in the middle`)
	for s.tally.settled() < stormOf+1 {
		select {
		case <-s.tally.moved:
		case <-time.After(workertest.Patience):
			t.Fatalf("%d of %d settled", s.tally.settled(), stormOf+1)
		}
	}
	if cases := s.hive.Snapshot().Cases; s.tally.unreadable() != 1 || len(cases) != 1 || len(cases[0].Procedures) != 1 {
		t.Fatalf("%d unreadable, %d cases", s.tally.unreadable(), len(cases))
	}
	workertest.Must(t, s.remove(t.Context()))
	if left := s.hive.Snapshot().Cases[0].Procedures; len(left) != 0 {
		t.Errorf("left %v", left)
	}
}
