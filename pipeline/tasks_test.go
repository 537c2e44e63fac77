package pipeline

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"forager/enrich"
)

func TestPanicOfACrewIsToldWhileOthersWork(t *testing.T) {
	told := make(chan error, 1)
	crew := Tasks{Failed: func(err error) { told <- err }}
	others := make(chan struct{})
	crew.Go("works", func() { <-others })
	crew.Go("falls", func() { panic("over") })
	err := <-told // nobody waits yet
	if !strings.Contains(err.Error(), "falls") || !strings.Contains(err.Error(), "over") {
		t.Errorf("%v", err)
	}
	close(others)
	if got := crew.Wait(); !errors.Is(got, err) {
		t.Errorf("Wait says %v, want %v", got, err)
	}
}

// TestPanicOfACrewWithoutAnEarEndsTheProcess: in a process of its own.
func TestPanicOfACrewWithoutAnEarEndsTheProcess(t *testing.T) {
	const child = "FORAGER_TEST_FALLS"
	if os.Getenv(child) != "" {
		var crew Tasks
		crew.Go("falls", func() { panic("over") })
		select {} // nobody waits for it
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], "-test.run", "^"+t.Name()+"$")
	c.Env = append(os.Environ(), child+"=1")
	out, err := c.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); !exited || ctx.Err() != nil || !strings.Contains(string(out), "falls: panic: over") {
		t.Errorf("%v: %s", err, out)
	}
}

// falling is an observer that falls over once, at the gate.
type falling struct {
	*ledgerOfEnds
	fell atomic.Bool
}

func (f *falling) Gate(open bool, reason string) {
	if !open && !f.fell.Swap(true) {
		panic("observer fell over")
	}
	f.ledgerOfEnds.Gate(open, reason)
}

// TestPanicBesideAnApplyWedgesNoMessage: it comes again, and its key goes on.
func TestPanicBesideAnApplyWedgesNoMessage(t *testing.T) {
	r := newRig(t, nil)
	observer := &falling{ledgerOfEnds: r.seen}
	r.options.Observer = observer
	r.ensure()
	var calls atomic.Int32
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		if calls.Add(1) == 1 {
			return repeat(errRefusesUs, len(plans))
		}
		return make([]error, len(plans))
	})
	r.publish(alert{ID: "a", Keys: []string{"k"}}, alert{ID: "b", Keys: []string{"k"}})
	r.start()
	r.ended(2)
	if !observer.fell.Load() {
		t.Error("nothing fell over")
	}
}

// TestPanicOfTheHeartbeatsEndsTheWorker: without them every message would come again, unseen.
func TestPanicOfTheHeartbeatsEndsTheWorker(t *testing.T) {
	r := newRig(t, func(o *Options) { o.AckWait = 300 * time.Millisecond })
	r.ensure()
	w, err := New(r.link, r.options, decoding{}, planning{}, r.applier)
	must(t, err)
	w.inflight.held[identity{}] = &message{} // has no delivery to answer
	ended := make(chan error, 1)
	crew := Tasks{Failed: func(err error) { ended <- err }}
	crew.Go("run", func() { ended <- w.Run(t.Context()) })
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "heartbeats") {
			t.Errorf("%v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the worker goes on without heartbeats")
	}
}

// TestPanicOfARunnerEndsTheWorker: its queue would never go on.
func TestPanicOfARunnerEndsTheWorker(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	w, err := New(r.link, r.options, decoding{}, planning{}, r.applier)
	must(t, err)
	ended := make(chan error, 1)
	crew := Tasks{Failed: func(err error) { ended <- err }}
	crew.Go("run", func() { ended <- w.Run(t.Context()) })
	w.runners.Go("apply", func() { w.run(t.Context(), nil, nil, []*part{nil}) })
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "apply") {
			t.Errorf("%v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the worker goes on")
	}
}
