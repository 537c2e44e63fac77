package pipeline

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/threshold"
	"forager/pipeline/hold"
	"forager/pipeline/stream"
)

// counting plans as planning does, but keys that begin with "few" wait: few<need>-<name>. The id says when it was, in minutes.
type counting struct {
	mu     sync.Mutex
	within time.Duration
	off    bool // the rules were changed: nothing waits
}

func (c *counting) Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error) {
	p, err := planning{}.Plan(d, from)
	count, _, few := strings.Cut(strings.TrimPrefix(d.Key, "few"), "-")
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || !few || c.off {
		return p, err
	}
	need, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		return p, err
	}
	minutes, _, _ := strings.Cut(d.ID, "-")
	at, err := strconv.Atoi(minutes)
	if err != nil {
		return p, err
	}
	p.At = time.Date(2026, 3, 2, 0, at, 0, 0, time.UTC)
	p.Threshold = &enrich.Threshold{
		Hash: "hash" + strings.ReplaceAll(d.Key, "-", "_"), ID: d.ID, Words: "so many", Rule: threshold.Rule{Kind: threshold.Count, Need: need, Within: c.within.Milliseconds()},
	}
	return p, nil
}

func (c *counting) turnOff() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
}

// startCounting runs a worker whose planner has thresholds.
func (r *rig) startCounting(c *counting) *Worker {
	r.t.Helper()
	w, err := New(r.link, r.options, decoding{}, c, r.applier)
	must(r.t, err)
	r.run(w)
	return w
}

// held is how many copies there are.
func (r *rig) held() int {
	r.t.Helper()
	f, err := hold.Open(r.link, r.options.Topology).Fill(r.t.Context())
	must(r.t, err)
	return int(f.Messages)
}

// appliedIDs says how often each detection was applied.
func appliedIDs(s *scripted) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]int{}
	for id, n := range s.applied {
		own, _, _ := strings.Cut(id, "/")
		all[own] += n
	}
	return all
}

func carrying(o *Options) { o.Carries = true }

func waits(s Settlement) bool { return s.Waits > 0 && s.Action == ActionAck }

// TestBelowAThresholdNothingIsAppliedAndTheMessageIsAcknowledged; when it is met, all that was held goes with the last, in one apply.
func TestBelowAThresholdNothingIsAppliedAndTheMessageIsAcknowledged(t *testing.T) {
	r := newRig(t, carrying)
	r.ensure()
	r.startCounting(&counting{within: time.Hour})
	r.publish(alert{ID: "1-a", Keys: []string{"few3-x"}}, alert{ID: "2-b", Keys: []string{"few3-x"}})
	r.seen.until(t, "two wait", func() bool { return r.seen.count(waits) == 2 })
	if len(appliedIDs(r.applier)) != 0 {
		t.Errorf("applied early: %v", appliedIDs(r.applier))
	}
	if got := r.consumer(); got.AckFloor.Stream != 2 || r.held() != 2 {
		t.Errorf("ack floor %d, %d held; want 2, 2", got.AckFloor.Stream, r.held())
	}
	r.publish(alert{ID: "3-c", Keys: []string{"few3-x"}})
	r.seen.until(t, "all are applied", func() bool { return r.seen.count(applied) == 3 })
	if got := appliedIDs(r.applier); got["1-a"] != 1 || got["2-b"] != 1 || got["3-c"] != 1 {
		t.Errorf("applied %v", got)
	}
	if n := r.held(); n != 0 {
		t.Errorf("%d copies are left", n)
	}
	r.publish(alert{ID: "4-d", Keys: []string{"few3-x"}}) // what follows goes in at once
	r.seen.until(t, "what follows is applied", func() bool { return r.seen.count(applied) == 4 })
}

// TestWhatIsHeldIsTakenByOneAtATime: of two that want an entry one takes its messages, and the other waits until they are in the queue.
func TestWhatIsHeldIsTakenByOneAtATime(t *testing.T) {
	t.Parallel()
	h := &holding{hands: map[string]*hand{}}
	now := time.Now()
	var got, waited atomic.Int64
	var all conc.WaitGroup
	for range 50 {
		all.Go(func() {
			mine, others := h.take("x", now)
			switch {
			case mine:
				got.Add(1)
				h.count("x", 1, time.Time{})
				h.taken("x")
			case others != nil:
				<-others
				waited.Add(1)
			}
		})
	}
	all.Wait()
	if got.Load() != 1 {
		t.Errorf("%d took it, %d waited", got.Load(), waited.Load())
	}
	h.count("x", -1, now.Add(time.Minute))
	if mine, others := h.take("x", now); mine || others != nil {
		t.Error("it rests, and somebody takes it")
	}
	if mine, _ := h.take("x", now.Add(2*time.Minute)); !mine {
		t.Error("nobody has it, and nobody gets it")
	}
	if mine, others := h.take("x", now); mine || others == nil {
		t.Error("somebody takes it, and nobody is told to wait")
	}
}

func applied(s Settlement) bool { return s.Plans > 0 && s.Action == ActionAck }

// TestAMessageWithSeveralDetectionsIsHeldForThoseThatWait, and applied for the others.
func TestAMessageWithSeveralDetectionsIsHeldForThoseThatWait(t *testing.T) {
	r := newRig(t, carrying)
	r.ensure()
	r.startCounting(&counting{within: time.Hour})
	r.publish(alert{ID: "1-a", Keys: []string{"few2-x", "plain", "few2-y"}})
	r.seen.until(t, "it is settled", func() bool { return r.seen.count(waits) == 1 })
	if got := appliedIDs(r.applier); got["1-a"] != 1 || r.held() != 2 {
		t.Errorf("applied %v, %d copies; want one part applied, and a copy for each threshold", got, r.held())
	}
	if s := r.seen.all[0]; s.Waits != 2 || s.Plans != 1 {
		t.Errorf("%d wait, %d plans", s.Waits, s.Plans)
	}
	r.publish(alert{ID: "2-b", Keys: []string{"few2-x"}})
	r.seen.until(t, "x is met", func() bool { return appliedIDs(r.applier)["1-a"] == 2 && appliedIDs(r.applier)["2-b"] == 1 })
	r.seen.until(t, "the copy of x is gone", func() bool { return r.held() == 1 })
}

// TestWhatWasHeldByADeadWorkerIsCarriedByAnother.
func TestWhatWasHeldByADeadWorkerIsCarriedByAnother(t *testing.T) {
	r := newRig(t, nil) // carries nothing: as one that dies right after
	r.ensure()
	r.startCounting(&counting{within: time.Hour})
	r.publish(alert{ID: "1-a", Keys: []string{"few2-x"}})
	r.seen.until(t, "one waits", func() bool { return r.seen.count(waits) == 1 })
	r.publish(alert{ID: "2-b", Keys: []string{"few2-x"}})
	r.seen.until(t, "the second passes", func() bool { return appliedIDs(r.applier)["2-b"] == 1 })
	if n := appliedIDs(r.applier)["1-a"]; n != 0 {
		t.Fatalf("the first was applied %d times", n)
	}
	other := rigOn(t, r.server, carrying)
	other.applier = r.applier
	began := time.Now()
	other.startCounting(&counting{within: time.Hour})
	other.seen.until(t, "the first is carried", func() bool { return appliedIDs(r.applier)["1-a"] == 1 })
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s: a replica that dies must not delay what it held by more than 20 s", took)
	}
}

// TestWhatFailsIsHeldUntilItIsDone: a carried detection that TheHive takes only later stays in its copy.
func TestWhatFailsIsHeldUntilItIsDone(t *testing.T) {
	r := newRig(t, carrying)
	r.ensure()
	failures := map[string]int{"1-a/0": 3}
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		results := make([]error, len(plans))
		r.applier.mu.Lock()
		defer r.applier.mu.Unlock()
		for i, p := range plans {
			if failures[p.SourceID] > 0 {
				failures[p.SourceID]--
				results[i] = errPassing
			}
		}
		return results
	})
	r.startCounting(&counting{within: time.Hour})
	r.publish(alert{ID: "1-a", Keys: []string{"few2-x"}})
	r.seen.until(t, "one waits", func() bool { return r.seen.count(waits) == 1 })
	r.publish(alert{ID: "2-b", Keys: []string{"few2-x"}})
	r.seen.until(t, "both are done", func() bool { return r.seen.count(applied) == 2 })
	r.seen.until(t, "the copy is gone", func() bool { return r.held() == 0 })
	if naks := r.seen.count(func(s Settlement) bool { return s.Action == ActionNak && s.Carried }); naks != 3 {
		t.Errorf("went back %d times, want 3", naks)
	}
}

// TestWhatIsRefusedAfterItWaitedIsADeadLetterOfItsFirstMessage.
func TestWhatIsRefusedAfterItWaitedIsADeadLetterOfItsFirstMessage(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Carries, o.DeadLetterShare = true, -1 })
	r.ensure()
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		results := make([]error, len(plans))
		for i, p := range plans {
			if strings.HasPrefix(p.SourceID, "1-a/") {
				results[i] = &enrich.RejectedError{Items: []enrich.Refusal{{Step: "observable"}}}
			}
		}
		return results
	})
	r.startCounting(&counting{within: time.Hour})
	r.publish(alert{ID: "1-a", Keys: []string{"few2-x"}})
	r.seen.until(t, "one waits", func() bool { return r.seen.count(waits) == 1 })
	r.publish(alert{ID: "2-b", Keys: []string{"few2-x"}})
	r.seen.until(t, "the letter is stored", func() bool {
		return r.seen.count(func(s Settlement) bool { return s.Action == ActionDeadLetter }) == 1
	})
	letters := r.letters()
	if len(letters) != 1 || letters[0].Sequence != 1 || letters[0].Stream != "DET" || letters[0].Subject != "alerts.test" || !strings.Contains(string(letters[0].Body), "1-a") {
		t.Errorf("%+v", letters)
	}
	r.seen.until(t, "the copy is gone", func() bool { return r.held() == 0 })
}

// TestAnOpenCaseLeavesNothingToWaitFor.
func TestAnOpenCaseLeavesNothingToWaitFor(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Carries = true
		o.Opened = func(_ context.Context, plans []enrich.Plan) ([]bool, error) {
			opened := make([]bool, len(plans))
			for i, p := range plans {
				opened[i] = p.Hash == "few9-open"
			}
			return opened, nil
		}
	})
	r.ensure()
	r.startCounting(&counting{within: time.Hour})
	r.publish(alert{ID: "1-a", Keys: []string{"few9-open"}}, alert{ID: "1-b", Keys: []string{"few9-shut"}})
	r.ended(2)
	if got := appliedIDs(r.applier); got["1-a"] != 1 || got["1-b"] != 0 {
		t.Errorf("applied %v", got)
	}
}

// TestAHoldStreamThatIsFullLeavesTheMessageInItsStream.
func TestAHoldStreamThatIsFullLeavesTheMessageInItsStream(t *testing.T) {
	r := newRig(t, carrying)
	r.ensure()
	_, err := r.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FORAGER_HOLD", Subjects: []string{stream.HoldPrefix + ">"}, Discard: jetstream.DiscardNew, MaxMsgs: 1})
	must(t, err)
	r.startCounting(&counting{within: time.Hour})
	r.publish(alert{ID: "1-a", Keys: []string{"few9-x"}})
	r.seen.until(t, "one waits", func() bool { return r.seen.count(waits) == 1 })
	r.publish(alert{ID: "2-b", Keys: []string{"few9-x"}})
	r.seen.until(t, "the other goes back", func() bool {
		return r.seen.count(func(s Settlement) bool { return s.Action == ActionNak && s.Class == enrich.Blocked }) > 0
	})
	if got := r.consumer(); got.AckFloor.Stream != 1 {
		t.Errorf("ack floor %d", got.AckFloor.Stream)
	}
}

// TestRulesThatWaitNoMoreLetGoWhatIsOver: what was held is judged by the rules of the day on which its time is over.
func TestRulesThatWaitNoMoreLetGoWhatIsOver(t *testing.T) {
	r := newRig(t, carrying)
	r.ensure()
	c := &counting{within: time.Hour}
	w := r.startCounting(c)
	r.publish(alert{ID: "1-a", Keys: []string{"few9-x"}}, alert{ID: "1-b", Keys: []string{"few9-y"}})
	r.seen.until(t, "two wait", func() bool { return r.seen.count(waits) == 2 })
	later := time.Now().Add(2 * time.Hour) // the time of both is over
	for _, hash := range []string{"hashfew9_x", "hashfew9_y"} {
		if hash == "hashfew9_y" {
			c.turnOff()
		}
		w.carryEntry(t.Context(), hash, later)
		r.seen.until(t, "it is settled", func() bool { return r.seen.count(final) >= 3 })
	}
	r.seen.until(t, "the copies are gone", func() bool { return r.held() == 0 })
	below := r.seen.count(func(s Settlement) bool { return s.Carried && s.Reason == enrich.ReasonBelow && len(s.Dropped) == 1 })
	if got := appliedIDs(r.applier); below != 1 || len(got) != 1 || got["1-b"] != 1 {
		t.Errorf("%d below threshold, applied %v; want 1, and 1-b", below, got)
	}
}
