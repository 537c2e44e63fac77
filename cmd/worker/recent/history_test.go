package recent

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/pipeline"
	"forager/pipeline/stream"
)

// clock is a time that the test moves.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Date(2026, 3, 2, 8, 12, 30, 0, time.UTC)} }

func (c *clock) read() time.Time { return c.now }

func settled(sequence uint64, deliveries int, action pipeline.Action) pipeline.Settlement {
	return pipeline.Settlement{Stream: "DET", Sequence: sequence, Deliveries: deliveries, Action: action, Reason: "none"}
}

func sequences(all []Message) (got []uint64) {
	for _, m := range all {
		got = append(got, m.Sequence)
	}
	return got
}

// TestAMessageIsKeptInAFewWords: title, host, techniques, outcome, case; nothing that steers, nothing long.
func TestAMessageIsKeptInAFewWords(t *testing.T) {
	c := newClock()
	h := New(c.read)
	plan := enrich.Plan{
		Title: "Brute force\x1b[2J\n" + strings.Repeat("x", 500), Severity: 3,
		Observables: []detection.Observable{{DataType: "ip", Data: "203.0.113.7"}, {DataType: "hostname", Data: "bad.example"}, {DataType: "hostname", Data: "web01", Tags: []string{"host"}}},
		Techniques:  []enrich.Technique{{ID: "T1110"}, {ID: "T1110"}, {Reported: "T1059.001"}, {Found: "nothing"}},
	}
	h.Settled(pipeline.Settlement{
		Stream: "DET", Sequence: 7, Subject: "detections.falco", Format: "falco", Deliveries: 1, Tries: 2, Plans: 1,
		Action: pipeline.ActionDeadLetter, Class: enrich.Rejected, Reason: "observable rejected", Err: errors.New("post observables: 400"),
		Held: 80 * time.Millisecond, First: &plan, Cases: []enrich.Landing{{ID: "~12", Number: 3}},
	})
	got := h.Look().Messages
	if len(got) != 1 || len([]rune(got[0].Title)) > mostText || strings.ContainsAny(got[0].Title, "\x1b\n") || !strings.HasPrefix(got[0].Title, "Brute force") {
		t.Fatalf("%+v", got)
	}
	got[0].Title = ""
	want := Message{
		Stream: "DET", Sequence: 7, At: c.now, Subject: "detections.falco", Format: "falco", Host: "web01", Severity: 3,
		Techniques: []string{"T1110", "T1059.001"}, Detections: 1, Outcome: Dead, Reason: "observable rejected", Detail: "post observables: 400",
		Tries: 2, Took: 80 * time.Millisecond, Cases: []enrich.Landing{{ID: "~12", Number: 3}},
	}
	if d := cmp.Diff(want, got[0]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestOutcomesOfSettlements(t *testing.T) {
	for _, c := range []struct {
		action pipeline.Action
		class  enrich.Class
		want   Outcome
	}{
		{pipeline.ActionAck, enrich.None, Applied},
		{pipeline.ActionAck, enrich.Dropped, Dropped},
		{pipeline.ActionDeadLetter, enrich.Malformed, Dead},
		{pipeline.ActionNak, enrich.Transient, Again},
	} {
		if got := outcomeOf(&pipeline.Settlement{Action: c.action, Class: c.class}); got != c.want {
			t.Errorf("%v %v: %s, want %s", c.action, c.class, got, c.want)
		}
	}
}

// TestTheLastMessagesAreKept against a model: the last MostMessages distinct ones, the newest first.
func TestTheLastMessagesAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		h, model := New(c.read), []uint64{}
		for range rapid.IntRange(0, 3*MostMessages).Draw(t, "settlements") {
			sequence := rapid.Uint64Range(1, 300).Draw(t, "sequence")
			known := func(n uint64) bool { return n == sequence }
			deliveries := 1
			for i, n := range model {
				if known(n) {
					deliveries = 2
					model = append(model[:i:i], model[i+1:]...)
					break
				}
			}
			c.now = c.now.Add(time.Millisecond)
			h.Settled(settled(sequence, deliveries, pipeline.ActionAck))
			model = append([]uint64{sequence}, model...)
			model = model[:min(len(model), MostMessages)]
		}
		if d := cmp.Diff(model, append([]uint64{}, sequences(h.Look().Messages)...)); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
	})
}

// TestAStormCostsNoMoreThanIsShown: of a moment the first are kept, and whatever went wrong or came again; all are counted.
func TestAStormCostsNoMoreThanIsShown(t *testing.T) {
	c := newClock()
	h := New(c.read)
	for n := range uint64(5 * MostMessages) {
		h.Settled(settled(n+1, 1, pipeline.ActionAck))
	}
	h.Settled(settled(7, 2, pipeline.ActionAck))
	h.Settled(settled(6001, 1, pipeline.ActionDeadLetter))
	h.Settled(settled(6002, 1, pipeline.ActionNak))
	seen := h.Look()
	if d := cmp.Diff([]uint64{6002, 6001, 7, 200, 199}, sequences(seen.Messages)[:5]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if seen.Ended[0] != 5*MostMessages+1 || seen.Ended[2] != 1 || seen.Ended[3] != 1 {
		t.Errorf("counted %v", seen.Ended)
	}
	c.now = c.now.Add(moment)
	h.Settled(settled(7001, 1, pipeline.ActionAck))
	if first := sequences(h.Look().Messages)[0]; first != 7001 {
		t.Errorf("a later moment begins with %d", first)
	}
}

// TestAnHourIsCountedByMinutes: what is older is forgotten, empty minutes are there.
func TestAnHourIsCountedByMinutes(t *testing.T) {
	c := newClock()
	h := New(c.read)
	h.Settled(settled(1, 1, pipeline.ActionAck))
	h.Settled(settled(2, 1, pipeline.ActionNak))
	h.Measured(stream.Lag{Pending: 12})
	c.now = c.now.Add(2 * time.Minute)
	h.Settled(settled(3, 1, pipeline.ActionDeadLetter))
	got := h.Look()
	if len(got.Minutes) != Minutes {
		t.Fatalf("%d minutes", len(got.Minutes))
	}
	want := []Minute{
		{Begin: time.Date(2026, 3, 2, 8, 12, 0, 0, time.UTC), Ended: [4]int{1, 0, 0, 1}, Lag: 12, Measured: true},
		{Begin: time.Date(2026, 3, 2, 8, 13, 0, 0, time.UTC)},
		{Begin: time.Date(2026, 3, 2, 8, 14, 0, 0, time.UTC), Ended: [4]int{0, 0, 1, 0}},
	}
	if d := cmp.Diff(want, got.Minutes[Minutes-3:]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	c.now = c.now.Add(time.Hour)
	later := h.Look()
	for _, m := range later.Minutes {
		if m.Settled() != 0 || m.Measured {
			t.Errorf("%v is more than an hour old: %+v", m.Begin, m)
		}
	}
	if later.Ended != [4]int{1, 0, 1, 1} {
		t.Errorf("since the start: %v", later.Ended)
	}
}

func TestWhatShouldNotHappenIsCounted(t *testing.T) {
	h := New(newClock().read)
	h.Happened(apply.Event{Kind: apply.EventDoubled})
	h.Noticed(pipeline.NoticeStalled)
	h.Noticed(pipeline.NoticeStalled)
	before := h.Look()
	h.Gate(false, "hive")
	if before.Events[apply.EventDoubled] != 1 || before.Noticed[pipeline.NoticeStalled] != 2 || before.Changes != 3 || h.Look().Changes != 4 {
		t.Errorf("%+v", before)
	}
}

// TestSinceWhenItIsStuck: from the first sign on, until work gets done, and no longer. That a gate opened is no proof.
func TestSinceWhenItIsStuck(t *testing.T) {
	const never = -1
	type step struct {
		does string
		want time.Duration // after the begin; never: it is not stuck
	}
	for name, steps := range map[string][]step{
		"work gets done":                     {{"ready", never}, {"opens", never}, {"ready", never}},
		"a gate that closes":                 {{"ready", never}, {"closes", 2 * time.Second}, {"closes", 2 * time.Second}, {"stuck", 2 * time.Second}},
		"no gate closed":                     {{"stuck", time.Second}, {"stuck", time.Second}},
		"it opens, and work gets done":       {{"closes", time.Second}, {"opens", time.Second}, {"ready", never}},
		"it opens, and closes again":         {{"closes", time.Second}, {"opens", time.Second}, {"closes", time.Second}, {"stuck", time.Second}},
		"stuck again later is another stop":  {{"closes", time.Second}, {"ready", never}, {"stuck", 3 * time.Second}, {"ready", never}, {"closes", 5 * time.Second}},
		"settlements say nothing about that": {{"stuck", time.Second}, {"settles", time.Second}},
	} {
		c := newClock()
		begin := c.now
		h := New(c.read)
		for i, s := range steps {
			c.now = c.now.Add(time.Second)
			switch s.does {
			case "closes":
				h.Gate(false, "thehive does not answer")
			case "opens":
				h.Gate(true, "")
			case "ready":
				h.Ready(true)
			case "stuck":
				h.Ready(false)
			case "settles":
				h.Settled(settled(uint64(i), 1, pipeline.ActionAck))
			}
			want := begin.Add(s.want)
			if s.want == never {
				want = time.Time{}
			}
			if got := h.Look().Stuck; !got.Equal(want) {
				t.Errorf("%s, step %d: stuck since %v, want %v", name, i, got, want)
			}
		}
	}
}

// BenchmarkSettled is what a settlement costs more while the page is on.
func BenchmarkSettled(b *testing.B) {
	h := New(time.Now)
	plan := enrich.Plan{Title: "Multiple failed logins followed by success", Severity: 3, Techniques: []enrich.Technique{{ID: "T1110"}}, Observables: []detection.Observable{{DataType: "hostname", Data: "web01"}}}
	s := settled(1, 1, pipeline.ActionAck)
	s.First, s.Subject, s.Format, s.Cases = &plan, "detections.wazuh", "wazuh", []enrich.Landing{{ID: "~12", Number: 1}}
	b.ReportAllocs()
	for b.Loop() {
		h.Settled(s)
	}
}
