package view

import (
	"strings"
	"testing"
	"time"

	"forager/cmd/worker/page"
	"forager/enrich/claim"
	"forager/pipeline"
)

// TestConcerns: of each what is wrong, since when, what to do, and where the page tells more. What stops work comes
// first; how many replicas share it is no concern.
func TestConcerns(t *testing.T) {
	at := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)
	silent := func(names ...string) (all []page.Replica) {
		for i, name := range names {
			all = append(all, page.Replica{Name: name, State: string(claim.SessionSilent), Seen: time.Duration(i+1) * time.Minute})
		}
		return all
	}
	type want struct {
		stuck bool
		what  string // begins so
		words string // of the worker
		since time.Time
		do    string // has
		see   string
	}
	for name, c := range map[string]struct {
		reasons, notes []string
		shown          page.Snapshot
		want           []want
	}{
		"nothing": {notes: []string{"replicas that live: 2"}, shown: page.Snapshot{
			Promises: []page.Promise{{Name: "doubled", Grave: true}, {Name: "unclear answers", N: 9, Do: "wait"}},
			Letters:  page.Letters{Known: true}, Flow: page.Flow{Behind: page.Behind{Known: true, Waiting: manyWait}, Replicas: []page.Replica{{Name: "w1", State: string(claim.SessionLive)}, {Name: "w2", State: string(claim.SessionEnded)}}},
		}},
		"TheHive away": {
			reasons: []string{"gate is closed: thehive does not answer: get user: 503"},
			want:    []want{{stuck: true, what: "TheHive does not answer", words: "gate is closed: thehive does not answer: get user: 503", since: at.Add(-time.Minute), do: "Look at TheHive and its log"}},
		},
		"refused": {
			reasons: []string{"gate is closed: blocked: get user: 401"},
			want:    []want{{stuck: true, what: "TheHive refuses the worker", words: "gate is closed: blocked: get user: 401", since: at.Add(-time.Minute), do: "worker check --connect"}},
		},
		"two reasons": {
			reasons: []string{"nats is not connected: EOF", "gate is closed: ledger unreachable: EOF"},
			want: []want{
				{stuck: true, what: "NATS does not answer", words: "nats is not connected: EOF", since: at.Add(-time.Minute), do: "Look at NATS"},
				{stuck: true, what: "The ledger in NATS cannot be reached", words: "gate is closed: ledger unreachable: EOF", since: at.Add(-time.Minute), do: "Look at NATS: the ledger's bucket"},
			},
		},
		"what nobody knows": {reasons: []string{"it is Monday"}, want: []want{{stuck: true, what: "it is Monday", since: at.Add(-time.Minute)}}},
		"notes": {
			notes: []string{"gate of organisation acme is closed, about 3 messages wait: 403", "replicas that live: 2", "reload failed, the old rules stay in force: line 3"},
			want:  []want{{what: "gate of organisation acme", do: "a member there again"}, {what: "reload failed", do: "worker check"}},
		},
		"a grave promise": {
			shown: page.Snapshot{Promises: []page.Promise{{Name: "doubled", N: 2, Grave: true, Do: "merge them"}}},
			want:  []want{{what: "doubled: 2", do: "merge them", see: "promises"}},
		},
		"a silent replica": {
			shown: page.Snapshot{Flow: page.Flow{Replicas: silent("w1")}},
			want:  []want{{what: "Replica w1 gives no sign of life; what it held is taken over", since: at.Add(-time.Minute), do: "kubectl get pods", see: "flow"}},
		},
		"silent replicas, since the first": {
			shown: page.Snapshot{Flow: page.Flow{Replicas: silent("w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9", "history")}},
			want:  []want{{what: "9 replicas give no sign of life; what they held is taken over: w1, w2, w3, w4, w5 and 4 more", since: at.Add(-9 * time.Minute), do: "kubectl get pods", see: "flow"}},
		},
		"many wait": {
			shown: page.Snapshot{Flow: page.Flow{Behind: page.Behind{Known: true, Waiting: manyWait + 1}}},
			want:  []want{{what: "10001 messages wait", do: "Is TheHive slow", see: "flow"}},
		},
		"how many is not known": {shown: page.Snapshot{Flow: page.Flow{Behind: page.Behind{Waiting: manyWait + 1}}, Letters: page.Letters{Waiting: 3}}},
		"a letter": {
			shown: page.Snapshot{Letters: page.Letters{Known: true, Waiting: 1}},
			want:  []want{{what: "1 dead letter waits", do: "Mend what they died of", see: "letters"}},
		},
		"letters, since the oldest": {
			shown: page.Snapshot{Letters: page.Letters{Known: true, Waiting: 3, Groups: []page.Group{{Oldest: at.Add(-time.Hour)}, {Oldest: at.Add(-2 * time.Hour)}}}},
			want:  []want{{what: "3 dead letters wait", since: at.Add(-2 * time.Hour), do: "Mend what they died of", see: "letters"}},
		},
		"the worst first": {
			reasons: []string{"stopping"}, notes: []string{"stream D is a mirror and 3 messages behind"},
			shown: page.Snapshot{
				Promises: []page.Promise{{Name: "lost", N: 1, Grave: true, Do: "look"}}, Letters: page.Letters{Known: true, Waiting: 1},
				Flow: page.Flow{Replicas: silent("w1"), Behind: page.Behind{Known: true, Waiting: 2 * manyWait}},
			},
			want: []want{
				{stuck: true, what: "stopping", since: at.Add(-time.Minute), do: "told to end"}, {what: "stream D is a mirror", do: "the mirror"}, {what: "lost: 1", do: "look", see: "promises"},
				{what: "Replica w1", since: at.Add(-time.Minute), do: "crash", see: "flow"}, {what: "20000 messages wait", do: "replicas help", see: "flow"}, {what: "1 dead letter waits", do: "Mend", see: "letters"},
			},
		},
	} {
		c.shown.At = at
		got := concerns(c.shown, c.reasons, c.notes, at.Add(-time.Minute))
		if len(got) != len(c.want) {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		for i, w := range c.want {
			g := got[i]
			if g.Stuck != w.stuck || !strings.HasPrefix(g.What, w.what) || g.Words != w.words || !g.Since.Equal(w.since) || !strings.Contains(g.Do, w.do) || (g.Do == "") != (w.do == "") || g.See != w.see {
				t.Errorf("%s: %+v, want %+v", name, g, w)
			}
		}
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
		if concernOf(w).Do == "" {
			t.Errorf("%q: no remedy", w)
		}
	}
}
