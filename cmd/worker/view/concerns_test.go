package view

import (
	"strings"
	"testing"
	"time"

	"forager/cmd/worker/page"
	"forager/enrich/claim"
	"forager/pipeline"
)

// TestWhatStopsWorkComesFirstAndSaysWhatToDo: reasons, then notes, then what waits; how many replicas share the work is no concern.
func TestWhatStopsWorkComesFirstAndSaysWhatToDo(t *testing.T) {
	at := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)
	s := page.Snapshot{
		At:       at,
		Promises: []page.Promise{{Name: "doubled", N: 2, Grave: true, Do: "merge"}, {Name: "unclear answers", N: 9, Do: "wait"}, {Name: "lost", Grave: true}},
		Letters:  page.Letters{Known: true, Waiting: 3, Groups: []page.Group{{Oldest: at.Add(-time.Hour)}, {Oldest: at.Add(-2 * time.Hour)}}},
		Flow: page.Flow{
			Behind:   page.Behind{Known: true, Waiting: manyWait + 1},
			Replicas: []page.Replica{{Name: "w1", State: string(claim.SessionSilent), Seen: time.Minute}, {Name: "w2", State: string(claim.SessionSilent), Seen: time.Hour}},
		},
	}
	got := concerns(s, []string{"gate is closed: TheHive does not answer: get user: 503"}, []string{"replicas that live: 2", "gate of organisation acme is closed, about 3 messages wait: 403"}, at.Add(-time.Minute))
	var names []string
	for _, c := range got {
		names = append(names, c.What)
		if c.Do == "" {
			t.Errorf("%q: nothing to do is said", c.What)
		}
	}
	want := []string{"gate is closed", "gate of organisation acme", "doubled: 2", "replica w1", "10001 messages wait", "3 dead letters wait"}
	if len(names) != len(want) {
		t.Fatalf("%q", names)
	}
	for i, w := range want {
		if !strings.HasPrefix(names[i], w) {
			t.Errorf("%d: %q, want %q", i, names[i], w)
		}
	}
	if !got[0].Stuck || got[1].Stuck || !got[0].Since.Equal(at.Add(-time.Minute)) || !got[5].Since.Equal(at.Add(-2*time.Hour)) {
		t.Errorf("%+v", got)
	}
}

// TestARemedyIsKnownForWhatTheWorkerSays, in the worker's own words.
func TestARemedyIsKnownForWhatTheWorkerSays(t *testing.T) {
	words := []string{
		"nats refused to publish", "messages of detections.a wait: TheHive refuses most of them: field", "reload failed, the old rules stay in force: line 3",
		"gate of organisation acme is closed, about 3 messages wait: 403", "stream D went back: messages 1 to 2 (2) are gone from it", "ledger L was made anew: the one before",
		"stream D is a mirror and 3 messages behind", "the consumer's position lies 3 messages behind the end of stream D",
	}
	for _, reason := range pipeline.GateReasons() {
		words = append(words, "gate is closed: "+reason+": 503")
	}
	for _, w := range words {
		if remedyOf(w) == "" {
			t.Errorf("%q: no remedy", w)
		}
	}
	if got := remedyOf("nobody knows"); got != "" {
		t.Errorf("of what nobody knows it says %q", got)
	}
}
