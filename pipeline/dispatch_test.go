package pipeline

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/detection"
)

// heldFirst is a script whose first apply waits until it is let go.
func heldFirst(begun, let chan struct{}) func(context.Context, string, []enrich.Plan) []error {
	var first sync.Once
	return func(_ context.Context, _ string, plans []enrich.Plan) []error {
		first.Do(func() {
			close(begun)
			<-let
		})
		return make([]error, len(plans))
	}
}

// TestAnApplyTakesAlongAllThatCameUntilItsSlotWasFree: what would only wait for a slot is not begun.
func TestAnApplyTakesAlongAllThatCameUntilItsSlotWasFree(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Slots = enrich.NewSlots(1) })
	r.ensure()
	begun, let := make(chan struct{}), make(chan struct{})
	r.applier.set(heldFirst(begun, let))
	r.publish(alert{ID: "first", Keys: []string{"other"}})
	w, _ := r.start()
	<-begun
	const keys, each = 10, 4
	for i := range keys * each {
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{fmt.Sprint("key", i%keys)}})
	}
	waitHeld(t, w, 1+keys*each)
	close(let)
	r.seen.until(t, "all to be settled", func() bool { return r.seen.count(final) == 1+keys*each })
	if got := len(r.applier.batches); got != 1+keys {
		t.Errorf("%d applies, want one for each of %d keys and one more", got, keys)
	}
}

// TestNoMoreAppliesRunThanThereAreSlots, and a slot that is left while an apply waits is another's.
func TestNoMoreAppliesRunThanThereAreSlots(t *testing.T) {
	slots := enrich.NewSlots(3)
	r := newRig(t, func(o *Options) { o.Slots = slots })
	r.ensure()
	var running, most atomic.Int64
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		now := running.Add(1)
		defer running.Add(-1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		return make([]error, len(plans))
	})
	const n = 200
	for i := range n {
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{fmt.Sprint("key", i%50)}})
	}
	r.start()
	r.seen.until(t, "all to be settled", func() bool { return r.seen.count(final) == n })
	if got := most.Load(); got > 3 {
		t.Errorf("%d applies at a time with three slots", got)
	}
}

// renaming plans as planning does, but gives some detections another key once the rules were changed.
type renaming struct {
	planning
	made    *atomic.Int64
	changed string // id of the detection that belongs elsewhere now
}

func (r renaming) Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error) {
	r.made.Add(1)
	p, err := r.planning.Plan(d, from)
	if d.ID == r.changed {
		p.Hash = "moved"
	}
	return p, err
}

// TestPlansThatWereNotKeptAreMadeAgain: of many keys more is held than plans are kept. Where the rules put a
// detection elsewhere meanwhile, its message comes again, and is nobody's failure.
func TestPlansThatWereNotKeptAreMadeAgain(t *testing.T) {
	var made atomic.Int64
	r := newRig(t, func(o *Options) {
		o.Slots, o.MaxInFlight = enrich.NewSlots(1), 32
		o.Replicas = func() (int, bool) { return 1, true }
		o.Replan = renaming{made: &made, changed: "59/0"}
	})
	r.ensure()
	begun, let := make(chan struct{}), make(chan struct{})
	r.applier.set(heldFirst(begun, let))
	const n = 60
	for i := range n {
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{fmt.Sprint("key", i)}})
	}
	w, _ := r.start()
	<-begun
	waitHeld(t, w, n)
	close(let)
	r.seen.until(t, "all to be settled", func() bool { return r.seen.count(final) == n })
	if got := made.Load(); got != n-32 && got != n-1-32 { // the first may have gone before the others came
		t.Errorf("%d plans were made again, want all but the 32 that were kept", got)
	}
	for i := range n {
		if got := r.applier.count(fmt.Sprint(i, "/0")); got != 1 {
			t.Errorf("detection %d was applied %d times", i, got)
		}
	}
	again := 0
	for _, s := range r.seen.all {
		if s.Action == ActionNak {
			again++
			if s.Class != enrich.Interrupted || s.Tries != 0 {
				t.Errorf("a change of the rules was counted as a failure: %+v", s)
			}
		}
	}
	if again != 1 {
		t.Errorf("%d messages came again, want the one that belongs elsewhere", again)
	}
}

// TestABacklogIsWaitedForBeforeAnythingOfItBegins, as long as it comes, and no longer than half a second.
func TestABacklogIsWaitedForBeforeAnythingOfItBegins(t *testing.T) {
	for name, c := range map[string]struct {
		pending uint64
		queues  int           // that wait
		takes   int           // messages
		every   time.Duration // between them
		want    time.Duration // that is waited then
	}{
		"nothing comes after it":         {pending: 15, queues: 100, takes: 1, want: 0},
		"more comes":                     {pending: 16, queues: 100, takes: 1, want: fillPause},
		"more comes, a while ago":        {pending: 16, queues: 100, takes: 3, every: fillPause / 2, want: fillPause},
		"of few keys enough is there":    {pending: 999, queues: 2, takes: 16, want: 0},
		"of many keys it is not":         {pending: 999, queues: 4, takes: 16, want: fillPause},
		"its share of it is there":       {pending: 20, queues: 100, takes: 50, want: 0},
		"something of it was begun":      {pending: 999, queues: 100, takes: 2, every: fillPause, want: 0},
		"it comes, but has for too long": {pending: 999, queues: 100, takes: 41, every: fillPause / 2, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newInFlight(Options{MaxInFlight: 64, Concurrency: 4, MaxBytesHeld: 1 << 20}, func() int { return c.queues }, time.Now)
				h.pending.Store(c.pending)
				for i := range uint64(c.takes) {
					if i > 0 {
						<-time.After(c.every)
						h.stillFills() // as the dispatcher does
					}
					h.take(&message{position: position{sequence: i}})
				}
				if got := max(h.stillFills(), 0); got != c.want {
					t.Errorf("waits %v, want %v", got, c.want)
				}
			})
		})
	}
}

// TestOfManyKeysMoreIsHeld: up to eight messages for each, and up to four times the limit.
func TestOfManyKeysMoreIsHeld(t *testing.T) {
	for queues, want := range map[int]int{0: 256, 32: 256, 50: 400, 128: 1024, 4000: 1024} {
		h := newInFlight(Options{MaxInFlight: 256, Concurrency: 4, Replicas: func() (int, bool) { return 1, true }}, func() int { return queues }, time.Now)
		h.pending.Store(1_000_000)
		if got := h.limit(0); got != want {
			t.Errorf("%d keys: %d may be held, want %d", queues, got, want)
		}
		if got := h.room(0); got != 256 {
			t.Errorf("%d keys: a pull of %d, want what a consumer's max_batch allows for: 256", queues, got)
		}
	}
}

// waitWaiting waits until so many parts wait in a queue.
func waitWaiting(t *testing.T, w *Worker, name string, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 20_000 {
		w.group.mu.Lock()
		q := w.group.queues[name]
		waiting := 0
		if q != nil {
			waiting = len(q.waiting)
		}
		w.group.mu.Unlock()
		if waiting == n {
			return
		}
		<-tick.C
	}
	t.Fatalf("not %d parts wait", n)
}

// TestWhatComesWhileAnApplyWaitsJoinsIt, but for what must go alone; where the applier falls over, all of it comes
// again.
func TestWhatComesWhileAnApplyWaitsJoinsIt(t *testing.T) {
	for name, falls := range map[string]bool{"it succeeds": false, "it panics": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.ensure()
			begun, let := make(chan struct{}), make(chan struct{})
			joined := make(chan int, 1)
			r.applier.joining = func(b enrich.Batch) []enrich.Plan {
				close(begun)
				<-let
				more := b.More()
				joined <- len(more)
				if falls {
					panic("the applier fell over")
				}
				return more
			}
			r.publish(alert{ID: "first", Keys: []string{"hot"}})
			w, _ := r.start()
			<-begun
			for i := range 5 {
				r.publish(alert{ID: fmt.Sprint(i), Keys: []string{"hot"}})
			}
			waitWaiting(t, w, "hot", 5)
			close(let)
			r.seen.until(t, "all to be settled", func() bool { return r.seen.count(final) == 6 })
			if got := <-joined; got != 5 {
				t.Errorf("%d joined, want 5", got)
			}
			for _, id := range []string{"first", "0", "1", "2", "3", "4"} {
				if got := r.applier.count(id + "/0"); got != 1 {
					t.Errorf("%s was applied %d times", id, got)
				}
			}
			if got := r.seen.count(func(s Settlement) bool { return s.Action == ActionNak }); falls != (got == 6) {
				t.Errorf("%d messages came again", got)
			}
		})
	}
}

func TestWhatMustGoAloneJoinsNothing(t *testing.T) {
	g := newGroup(Options{MaxInFlight: 100, MaxBytesHeld: 1 << 20})
	g.add(waiting(1, "hot"))
	q, batch := g.begin()
	alone := waiting(2, "hot")
	alone.alone = true
	g.add(alone)
	g.add(waiting(3, "hot"))
	if got := g.joining(q, batch); len(got) != 1 || got[0].of.sequence != 3 {
		t.Errorf("%d parts joined, want the one that need not go alone", len(got))
	}
	g.end(q)
	q, batch = g.begin()
	g.add(waiting(4, "hot"))
	if got := g.joining(q, batch); len(got) != 0 {
		t.Errorf("%d parts joined a message that goes alone", len(got))
	}
	if q.bytes != 10 {
		t.Errorf("%d bytes wait, want those of one message", q.bytes)
	}
}
