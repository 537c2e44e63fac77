package pipeline

import (
	"context"
	"fmt"
	"testing"

	"forager/enrich"
)

func TestP1AckAfterEffect(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	reached, release := make(chan struct{}), make(chan struct{})
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		close(reached)
		<-release
		return make([]error, len(plans))
	})
	r.publish(alert{ID: "a", Keys: []string{"host"}})
	r.start()
	<-reached
	if got := r.consumer(); got.AckFloor.Stream != 0 || got.NumAckPending != 1 {
		t.Errorf("before the effect: ack floor %d, pending %d; want 0, 1", got.AckFloor.Stream, got.NumAckPending)
	}
	close(release)
	r.ended(1)
	if got := r.consumer(); got.AckFloor.Stream != 1 || got.NumAckPending != 0 {
		t.Errorf("after the effect: ack floor %d, pending %d; want 1, 0", got.AckFloor.Stream, got.NumAckPending)
	}
}

func isWell(context.Context) error { return nil }

func TestP4NothingLost(t *testing.T) {
	r := newRig(t, func(o *Options) { o.DeadLetterShare, o.Check = -1, isWell })
	r.ensure()
	for i := range 200 {
		a := alert{ID: fmt.Sprint(i), Keys: []string{fmt.Sprintf("host%d", i%7)}}
		switch i % 5 {
		case 1:
			a.Keys = []string{"silenced"}
		case 2:
			a.Keys = []string{""}
		case 3:
			a.Keys = []string{"x", "y", "z"}
		}
		r.publish(a)
	}
	failed := map[string]bool{}
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		results := make([]error, len(plans))
		r.applier.mu.Lock()
		defer r.applier.mu.Unlock()
		for i, p := range plans {
			if !failed[p.SourceID] {
				failed[p.SourceID] = true
				results[i] = errPassing
			}
		}
		return results
	})
	r.start()
	r.ended(200)
	counts := map[Action]int{}
	for _, s := range r.seen.all {
		counts[s.Action]++
	}
	if counts[ActionAck] != 160 || counts[ActionDeadLetter] != 40 {
		t.Errorf("acks %d, dead letters %d; want 160, 40", counts[ActionAck], counts[ActionDeadLetter])
	}
	if got := len(r.letters()); got != 40 {
		t.Errorf("%d dead letters stored, want 40", got)
	}
	for id, n := range r.applier.applied {
		if n != 1 {
			t.Errorf("detection %s applied %d times here, want 1", id, n)
		}
	}
	if got := r.consumer(); got.AckFloor.Stream != 200 || got.NumAckPending != 0 {
		t.Errorf("ack floor %d, pending %d; want 200, 0", got.AckFloor.Stream, got.NumAckPending)
	}
}
