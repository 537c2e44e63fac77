package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
)

func TestPoisonBecomesDeadLettersAndTheWorkerGoesOn(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxMessageBytes = 1000; o.Worker = "pod-7" })
	r.ensure()
	bodies := map[string][]byte{
		"invalid json":      []byte("{\"id\": \xff"),
		"message too large": []byte(`{"id":"` + strings.Repeat("x", 2000) + `"}`),
		"no detections":     []byte(`{}`),
	}
	for _, body := range bodies {
		r.publishRaw("alerts.poison", body)
	}
	r.publish(alert{ID: "good", Keys: []string{"host"}})
	r.start()
	r.ended(4)
	letters := r.letters()
	if len(letters) != 3 {
		t.Fatalf("%d dead letters, want 3", len(letters))
	}
	for _, l := range letters {
		if !bytes.Equal(l.Body, bodies[l.Reason]) {
			t.Errorf("%s: body %q, want %q", l.Reason, l.Body, bodies[l.Reason])
		}
		if l.Class != "malformed" || l.Subject != "alerts.poison" || l.Stream != "DET" || l.Worker != "pod-7" || l.Stored.IsZero() || l.Attempts != 1 {
			t.Errorf("letter %+v", l)
		}
	}
	if got := r.consumer(); got.AckFloor.Stream != 4 {
		t.Errorf("ack floor %d, want 4", got.AckFloor.Stream)
	}
}

func TestPartsThatSucceededAreNotAppliedAgain(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	var failures atomic.Int32
	r.applier.set(func(_ context.Context, queue string, plans []enrich.Plan) []error {
		if queue == "bad" && failures.Add(1) <= 4 {
			return repeat(errPassing, len(plans))
		}
		return make([]error, len(plans))
	})
	r.publish(alert{ID: "a", Keys: []string{"good", "bad", "fine"}})
	r.start()
	r.ended(1)
	if diff := cmp.Diff(map[string]int{"a/0": 1, "a/1": 1, "a/2": 1}, r.applier.applied); diff != "" {
		t.Error(diff)
	}
	if n := r.seen.count(func(s Settlement) bool { return s.Action == ActionNak && s.Class == enrich.Transient }); n != 4 {
		t.Errorf("%d naks, want 4", n)
	}
}

func TestRejectedPartWaitsForTheOthersAndThenDies(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	rejected := &enrich.RejectedError{Items: []enrich.Refusal{{Step: "observable", Item: "x", Status: 400, Type: "InvalidInput", Reason: "no"}}}
	var tries atomic.Int32
	r.applier.set(func(_ context.Context, queue string, plans []enrich.Plan) []error {
		switch {
		case queue == "refused":
			return repeat(rejected, len(plans))
		case queue == "late" && tries.Add(1) == 1:
			return repeat(errPassing, len(plans))
		}
		return make([]error, len(plans))
	})
	r.publish(alert{ID: "a", Keys: []string{"refused", "late"}})
	r.start()
	r.ended(1)
	letters := r.letters()
	if len(letters) != 1 || letters[0].Reason != "observable rejected" || letters[0].Step != "observable" || letters[0].Status != 400 {
		t.Errorf("letters %+v", letters)
	}
	if r.applier.applied["a/1"] != 1 {
		t.Error("the part that could be applied was not")
	}
}

func TestMessageThatKeepsFailingGoesAlone(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		for _, p := range plans {
			if strings.HasPrefix(p.SourceID, "poison") && len(plans) > 1 {
				panic("spoils its neighbours")
			}
		}
		return make([]error, len(plans))
	})
	for i := range 20 {
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{"host"}})
	}
	r.publish(alert{ID: "poison", Keys: []string{"host"}})
	r.start()
	r.ended(21)
	if n := r.seen.noticed[NoticePanic]; n > aloneAfter+1 {
		t.Errorf("%d panics, want at most %d: then each goes alone", n, aloneAfter+1)
	}
}

func TestPanicInDecodeConcernsOneMessage(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.publish(alert{ID: "bad", Panic: true}, alert{ID: "good", Keys: []string{"host"}})
	r.start()
	r.seen.until(t, "retries and an ack", func() bool {
		return r.seen.count(final) == 1 && r.seen.count(func(s Settlement) bool { return s.Tries >= 3 && s.Class == enrich.Transient }) > 0
	})
	if n := len(r.letters()); n != 0 {
		t.Errorf("%d dead letters: a panic is our fault first, and may pass", n)
	}
}

func TestTransientFailureDiesOnlyAfterBothLimits(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Policy.MaxTries, o.Policy.MaxAge = 5, 100*time.Millisecond })
	r.ensure()
	r.applier.set(all(errPassing))
	r.publish(alert{ID: "a", Keys: []string{"host"}})
	r.start()
	r.ended(1)
	letters := r.letters()
	if len(letters) != 1 || letters[0].Reason != "transient" || !strings.Contains(letters[0].Detail, errPassing.Error()) {
		t.Fatalf("letters %+v", letters)
	}
	if letters[0].Attempts < 6 {
		t.Errorf("died after %d deliveries, want more than 5", letters[0].Attempts)
	}
}

func TestGroupCommit(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	const n, share = 100, 64
	for i := range n {
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{"hot"}})
	}
	first, release := make(chan struct{}), make(chan struct{})
	var applies atomic.Int32
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		if applies.Add(1) == 1 {
			close(first)
			<-release
		}
		return make([]error, len(plans))
	})
	w, _ := r.start()
	<-first
	r.publish(alert{ID: "cold", Keys: []string{"cold"}})
	r.seen.until(t, "the cold key", func() bool { return r.seen.count(final) == 1 })
	waitHeld(t, w, share+1)
	close(release)
	r.ended(n + 1)
	largest := 0
	for _, batch := range r.applier.batches {
		largest = max(largest, len(batch))
	}
	if largest < share/2 || largest > share {
		t.Errorf("largest apply has %d plans, want nearly the %d that may wait behind the running one", largest, share)
	}
}

// waitHeld waits until the worker holds so many messages.
func waitHeld(t *testing.T, w *Worker, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 20_000 {
		if held, _ := w.Held(); held >= n {
			return
		}
		<-tick.C
	}
	held, _ := w.Held()
	t.Fatalf("%d messages held, want %d", held, n)
}

func TestP6Bounded(t *testing.T) {
	const limit = 64
	r := newRig(t, func(o *Options) { o.MaxInFlight, o.Concurrency = limit, 4 })
	r.ensure()
	const n = 600
	for i := range n {
		key := "hot"
		if i%3 == 0 {
			key = fmt.Sprint("cold", i)
		}
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{key}})
	}
	var most, hot atomic.Int64
	w, err := New(r.link, r.options, decoding{}, planning{}, r.applier)
	if err != nil {
		t.Fatal(err)
	}
	r.applier.set(func(_ context.Context, queue string, plans []enrich.Plan) []error {
		held, _ := w.Held()
		most.Store(max(most.Load(), int64(held)))
		if queue == "hot" {
			hot.Store(max(hot.Load(), int64(len(plans))))
		}
		<-time.After(time.Millisecond)
		return make([]error, len(plans))
	})
	r.run(w)
	r.ended(n)
	if most.Load() > limit {
		t.Errorf("held %d messages, limit %d", most.Load(), limit)
	}
	if hot.Load() > limit/4 {
		t.Errorf("%d plans of one key waited, its share is %d", hot.Load(), limit/4)
	}
}

func TestBytesHeldAreBounded(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxBytesHeld = 4 << 20 })
	r.ensure()
	body := []byte(`{"id":"big","keys":["k"],"padding":"` + strings.Repeat("x", 500_000) + `"}`)
	for i := range 40 {
		r.publishRaw("alerts.big", bytes.Replace(body, []byte(`"k"`), fmt.Appendf(nil, `"k%d"`, i), 1))
	}
	var most atomic.Int64
	w, err := New(r.link, r.options, decoding{}, planning{}, r.applier)
	if err != nil {
		t.Fatal(err)
	}
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		_, held := w.Held()
		most.Store(max(most.Load(), int64(held)))
		<-time.After(2 * time.Millisecond)
		return make([]error, len(plans))
	})
	r.run(w)
	r.ended(40)
	if limit := int64(r.options.MaxBytesHeld + w.pullBytes()); most.Load() > limit {
		t.Errorf("held %d bytes, limit %d", most.Load(), limit)
	}
}
