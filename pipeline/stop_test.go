package pipeline

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"
	"go.uber.org/goleak"

	"forager/enrich"
	"forager/pipeline/natstest"
)

func TestStopHandsOverAtOnceWhatHasNoCallInFlight(t *testing.T) {
	r := newRig(t, func(o *Options) { o.AckWait = time.Minute })
	r.ensure()
	const n = 40
	for i := range n {
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{"busy"}})
	}
	calling, finish := make(chan struct{}), make(chan struct{})
	r.applier.set(func(ctx context.Context, _ string, plans []enrich.Plan) []error {
		close(calling)
		<-ctx.Done()
		<-finish // the running call may end; it succeeds
		return make([]error, len(plans))
	})
	w, stop := r.start()
	<-calling
	waitHeld(t, w, 15)

	other := rigOn(t, r.server, nil)
	var stopping conc.WaitGroup
	stopped := make(chan error, 1)
	stopping.Go(func() { stopped <- stop() })
	defer stopping.Wait()
	began := time.Now()
	other.start()
	other.seen.until(t, "the other replica to finish all but the one in flight", func() bool { return other.seen.count(final) >= n-len(r.applier.batches[0]) })
	if took := time.Since(began); took > 5*time.Second { // AckWait is a minute: only naks can be that fast
		t.Errorf("hand-over took %v", took)
	}
	close(finish)
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	for _, s := range r.seen.all {
		if s.Action == ActionNak && (s.Class != enrich.Interrupted || s.Tries != 0) {
			t.Errorf("a stop was counted as failure: %+v", s)
		}
	}
	if got := r.seen.count(final); got != len(r.applier.batches[0]) {
		t.Errorf("%d messages acknowledged by the stopped replica, want those whose apply ended: %d", got, len(r.applier.batches[0]))
	}
}

func TestStopAbandonsAnApplyThatNeverEnds(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Drain = 50 * time.Millisecond })
	r.ensure()
	r.publish(alert{ID: "a", Keys: []string{"k"}})
	calling, ever := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(ever) })
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		close(calling)
		<-ever
		return make([]error, len(plans))
	})
	_, stop := r.start()
	<-calling
	if err := stop(); err != nil {
		t.Error(err)
	}
	if r.seen.heard(NoticeAbandoned) != 1 {
		t.Error("nobody was told")
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	server, err := natstest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := rigOn(t, server, nil)
	r.ensure()
	r.publish(alert{ID: "a", Keys: []string{"k"}}, alert{ID: "b", Drop: "heartbeat"}, alert{ID: "c", Broken: true, Keys: []string{"x"}})
	_, stop := r.start()
	r.ended(3)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.link.Close()
	server.Close()
	goleak.VerifyNone(t, before)
}

func TestHeartbeatsKeepASlowApplyOurs(t *testing.T) {
	r := newRig(t, func(o *Options) { o.AckWait = 300 * time.Millisecond })
	r.ensure()
	r.publish(alert{ID: "slow", Keys: []string{"k"}})
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		<-time.After(1500 * time.Millisecond)
		return make([]error, len(plans))
	})
	r.start()
	r.ended(1)
	if got := r.seen.all[0].Deliveries; got != 1 {
		t.Errorf("settled delivery %d, want 1", got)
	}
	if got := r.consumer(); got.Delivered.Consumer != 1 {
		t.Errorf("delivered %d times, want once", got.Delivered.Consumer)
	}
}

func TestRedeliveryOfAHeldMessageIsWorkedOnce(t *testing.T) {
	r := newRig(t, func(o *Options) { o.AckWait = 200 * time.Millisecond })
	r.ensure()
	r.publish(alert{ID: "slow", Keys: []string{"k"}})
	w, err := New(r.link, r.options, decoding{}, planning{}, r.applier)
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		<-release
		return make([]error, len(plans))
	})
	r.run(w)
	waitHeld(t, w, 1)
	w.inflight.all()[0].mute() // as if the heartbeats were lost
	delivered := func(consumer *jetstream.ConsumerInfo) bool { return consumer.Delivered.Consumer >= 2 }
	for !delivered(r.consumer()) {
		<-time.After(20 * time.Millisecond)
	}
	close(release)
	r.ended(1)
	if got := r.applier.count("slow/0"); got != 1 {
		t.Errorf("applied %d times, want once", got)
	}
}

// mute stops the heartbeats of a message.
func (m *message) mute() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled = true
}
