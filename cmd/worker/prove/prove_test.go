package prove

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"forager/cmd/worker/workertest"
)

// populate fills a world that keeps every promise: cases, dropped messages, dead letters, and some that wait.
func (w *world) populate(cases, most, others int) (droppedOnes, dead []*sent) {
	w.t.Helper()
	var groups [][]*sent
	for i := range cases {
		groups = append(groups, w.detect(fmt.Sprintf("host-%d", i), 1+w.random.IntN(most)))
	}
	for i := range others {
		d := &sent{outcome: dropped}
		w.publish(d, fmt.Appendf(nil, `{"kind":"status","n":%d}`, i))
		l := &sent{outcome: deadLetter}
		w.publish(l, fmt.Appendf(nil, `{"kind":"what is this","n":%d}`, i))
		droppedOnes, dead = append(droppedOnes, d), append(dead, l)
	}
	w.settle()
	for _, g := range groups {
		w.open(g)
	}
	return droppedOnes, dead
}

// record writes journal and dead letters of all messages, but for those that are left out.
func (w *world) record(leaveOut map[*sent]bool) {
	w.t.Helper()
	for _, m := range w.sent {
		if leaveOut[m] {
			continue
		}
		w.note(m, m.outcome, nil)
		if m.outcome == deadLetter {
			w.deadLetter(m, m.body)
		}
	}
}

// TestNothingIsFoundWhereNothingIsWrong: FORAGER_PROOFS worlds that keep every promise, each with its own seed, with a journal and without.
func TestNothingIsFoundWhereNothingIsWrong(t *testing.T) {
	t.Parallel()
	runs := 6
	if n, err := strconv.Atoi(os.Getenv("FORAGER_PROOFS")); err == nil {
		runs = n
	}
	for seed := range runs {
		w := newWorld(t, uint64(seed), seed%2 == 0)
		others := w.random.IntN(10)
		if seed%2 == 1 {
			others = 0 // without a journal a message that was dropped is one that is lost
		}
		w.populate(1+w.random.IntN(20), 30, others)
		w.record(nil)
		waiting := w.random.IntN(4)
		for i := range waiting {
			_, err := w.js.Publish(t.Context(), "detections.a", fmt.Appendf(nil, `{"late":%d}`, i))
			workertest.Must(t, err)
		}
		r := w.prove()
		if len(r.Faults) != 0 || r.Waiting != waiting || r.Messages != len(w.sent)+waiting || r.InCases+r.Dropped+r.DeadLetters != len(w.sent) {
			t.Errorf("seed %d: %d messages, %d waiting of %d, faults %v", seed, r.Messages, r.Waiting, waiting, r.Faults)
		}
	}
}

// TestManyMessagesAreProvenSoon: FORAGER_PROVE_MESSAGES is how many; the time is told.
func TestManyMessagesAreProvenSoon(t *testing.T) {
	t.Parallel()
	messages := 5000
	if n, err := strconv.Atoi(os.Getenv("FORAGER_PROVE_MESSAGES")); err == nil {
		messages = n
	}
	w := newWorld(t, 1, true)
	const perCase = 50
	var groups [][]*sent
	for i := range messages / perCase {
		groups = append(groups, w.detect(fmt.Sprintf("host-%d", i), perCase))
	}
	w.settle()
	for _, g := range groups {
		w.open(g)
	}
	w.record(nil)
	<-w.js.PublishAsyncComplete()
	began := time.Now()
	r := w.prove()
	t.Logf("%d messages in %d cases: %s", r.Messages, r.Cases, time.Since(began).Round(time.Millisecond))
	if len(r.Faults) > 0 || r.InCases != messages {
		t.Errorf("%d in cases, faults %d: %v", r.InCases, len(r.Faults), r.Faults[:min(len(r.Faults), 5)])
	}
}

// TestAWorkerThatAcknowledgesFirstIsFoundOut: twenty lines that acknowledge before they act, and die in between now and then.
func TestAWorkerThatAcknowledgesFirstIsFoundOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 9, false)
	var groups [][]*sent
	for i := range 40 {
		groups = append(groups, w.detect(fmt.Sprintf("host-%d", i), 1+w.random.IntN(3)))
	}
	w.settle() // it acknowledges
	lost := map[uint64]bool{}
	for i, g := range groups {
		if i%4 == 0 { // and dies
			for _, m := range g {
				lost[m.sequence] = true
			}
			continue
		}
		w.open(g)
	}
	r := w.prove()
	for _, f := range r.Faults {
		if f.Kind != Lost || !lost[f.Sequence] {
			t.Errorf("found %+v, which is none", f)
		}
		delete(lost, f.Sequence)
	}
	if len(lost) > 0 {
		t.Errorf("not found: messages %v", lost)
	}
	if len(r.Unknown) == 0 {
		t.Error("without a journal it must say what it cannot know")
	}
}
