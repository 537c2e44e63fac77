package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"forager/enrich"
	"forager/pipeline/stream"
)

func TestServerRestartLosesAndDoublesNothing(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	const n = 300
	for i := range n {
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{fmt.Sprint("k", i%20)}})
	}
	halfway := make(chan struct{})
	var applied atomic.Int32
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		if before := applied.Add(int32(len(plans))); before >= n/3 && before-int32(len(plans)) < n/3 {
			close(halfway)
		}
		<-time.After(5 * time.Millisecond)
		return make([]error, len(plans))
	})
	r.start()
	<-halfway
	if err := r.server.Restart(); err != nil {
		t.Fatal(err)
	}
	r.ended(n)
	for i := range n {
		if r.applier.count(fmt.Sprintf("%d/0", i)) < 1 {
			t.Errorf("message %d was never applied", i)
		}
	}
	if got := r.consumer(); got.AckFloor.Stream != n || got.NumAckPending != 0 {
		t.Errorf("ack floor %d, pending %d; want %d, 0", got.AckFloor.Stream, got.NumAckPending, n)
	}
}

func TestDeletedConsumerIsMadeAgainAndNothingIsLost(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.publish(alert{ID: "before", Keys: []string{"k"}})
	r.start()
	r.ended(1)
	if err := r.js.DeleteConsumer(t.Context(), "DET", "worker"); err != nil {
		t.Fatal(err)
	}
	r.publish(alert{ID: "after", Keys: []string{"k"}})
	r.seen.until(t, "the message after", func() bool { return r.applier.count("after/0") == 1 })
}

func TestMissingConsumerIsSaidAndWaitedFor(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	if err := r.js.DeleteConsumer(t.Context(), "DET", "worker"); err != nil {
		t.Fatal(err)
	}
	r.options.Manage = false
	w, _ := r.start()
	r.seen.until(t, "a second attempt", func() bool { return r.seen.heard(NoticeRebound) >= 2 })
	if ok, reasons := w.Ready(); ok || !strings.Contains(strings.Join(reasons, ";"), "consumer not found") {
		t.Errorf("ready %v, reasons %q", ok, reasons)
	}
	r.publish(alert{ID: "a", Keys: []string{"k"}})
	r.options.Manage = true
	r.ensure()
	r.ended(1)
	if ok, reasons := w.Ready(); !ok {
		t.Errorf("not ready: %q", reasons)
	}
}

func TestTheHiveDownAtStartIsSaidOnceAndCaughtUp(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	r := newRig(t, func(o *Options) {
		o.Check = func(context.Context) error {
			if down.Load() {
				return errors.New("connection refused")
			}
			return nil
		}
	})
	r.ensure()
	for i := range 30 {
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{"k"}})
	}
	w, _ := r.start()
	r.seen.until(t, "the gate", func() bool { return len(r.seen.gateLines()) == 1 })
	if ok, reasons := w.Ready(); ok || !slices.Contains(reasons, "gate is closed: "+reasonSilent+": check: connection refused") {
		t.Errorf("ready %v, reasons %q", ok, reasons)
	}
	down.Store(false)
	r.ended(30)
	if got := r.seen.gateLines(); !slices.Equal(got, []string{reasonSilent, "open"}) {
		t.Errorf("gate said %q, want one reason and one opening", got)
	}
	if n := len(r.letters()); n != 0 {
		t.Errorf("%d dead letters of an outage", n)
	}
}

func TestRefusedCredentialsCloseTheGateAndProbeWithOneMessage(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	const n = 50
	for i := range n {
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{fmt.Sprint("k", i)}})
	}
	var closed, mended atomic.Bool
	var probes, atOnce, most atomic.Int32
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		if mended.Load() {
			return make([]error, len(plans))
		}
		if closed.Load() {
			probes.Add(1)
			most.Store(max(most.Load(), atOnce.Add(1)))
			defer atOnce.Add(-1)
		}
		return repeat(errRefusesUs, len(plans))
	})
	r.start()
	r.seen.until(t, "the gate", func() bool { return len(r.seen.gateLines()) == 1 })
	r.seen.until(t, "a probe", func() bool { return r.seen.count(func(s Settlement) bool { return s.Deliveries > 1 }) > 0 })
	closed.Store(true)
	r.seen.until(t, "more probes", func() bool { return probes.Load() >= 5 })
	mended.Store(true)
	r.ended(n)
	if most.Load() != 1 {
		t.Errorf("%d probes at once, want one message at a time", most.Load())
	}
	if got := r.seen.gateLines(); !slices.Equal(got, []string{reasonBlocked, "open"}) {
		t.Errorf("gate said %q, want one reason and one opening", got)
	}
	if n := len(r.letters()); n != 0 {
		t.Errorf("%d dead letters of refused credentials", n)
	}
}

func TestUnreachableDeadLettersCloseTheGateAndLoseNothing(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	if err := r.js.DeleteStream(t.Context(), stream.DefaultDeadLetters); err != nil {
		t.Fatal(err)
	}
	r.options.Manage = false
	r.publishRaw("alerts.poison", []byte("not json"))
	r.start()
	r.seen.until(t, "the gate", func() bool { return slices.Contains(r.seen.gateLines(), reasonLetters) })
	if got := r.consumer(); got.NumAckPending != 1 || got.AckFloor.Stream != 0 {
		t.Errorf("pending %d, ack floor %d: the message must stay", got.NumAckPending, got.AckFloor.Stream)
	}
	r.options.Manage = true
	r.ensure()
	r.ended(1)
	if got := r.letters(); len(got) != 1 || string(got[0].Body) != "not json" {
		t.Errorf("letters %+v", got)
	}
}

func TestFullDeadLetterStreamRefusesAndTheMessageStays(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	s, err := r.js.Stream(t.Context(), stream.DefaultDeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	config.MaxMsgs = 1
	if _, err := r.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	r.publishRaw("alerts.poison", []byte("first"))
	r.publishRaw("alerts.poison", []byte("second"))
	r.start()
	r.seen.until(t, "the gate", func() bool { return slices.Contains(r.seen.gateLines(), reasonLetters) })
	r.ended(1)
	if got := r.consumer(); got.NumAckPending != 1 {
		t.Errorf("%d pending, want the one that found no place", got.NumAckPending)
	}
	config.MaxMsgs = -1
	if _, err := r.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	r.ended(2)
	if n := len(r.letters()); n != 2 {
		t.Errorf("%d letters, want 2", n)
	}
}
