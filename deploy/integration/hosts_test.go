//go:build integration

package integration

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/sourcegraph/conc/pool"
)

// Times of the storm on several hosts.
const (
	rainTime  = 140 * time.Second // over which detections come, and everything breaks once
	drainTime = 4 * time.Minute   // in which the rest must be settled, after a storm of the usual length
	downTime  = 20 * time.Second  // TheHive refuses connections
	graceTime = 30 * time.Second  // for a worker to hand over: Kubernetes' default
	aloneTime = 2 * time.Minute   // for a worker that was cut off to find back by itself
)

// manners are TheHive's during the storm. Every hundredth write takes effect two seconds after it was sent, whether its
// sender still lives or not, and some answers are lost after their effect: whoever takes a claim over and does not wait
// until that is past does everything twice.
var manners = map[string]any{
	"latency": hiveLatency.String(), "jitter": "20ms", "lateCommit": 0.01, "lateAfter": "2s", "ambiguous": 0.005,
}

// hosts is the storm on several hosts: what breaks, and when.
type hosts struct {
	*site
	workers []*box
	apart   []apart // of each round
}

// apart is when two workers were cut off, and when they were reached again.
type apart struct{ from, to time.Time }

// TestSeveralHostsLoseNothingAndDoubleNothing is P1 to P4 on three nodes of JetStream and three workers.
func TestSeveralHostsLoseNothingAndDoubleNothing(t *testing.T) {
	h := &hosts{site: newSite(t)}
	for _, name := range []string{"w1", "w2", "w3"} {
		h.workers = append(h.workers, h.worker(t, name))
	}
	h.hive.misbehave(t, manners)
	s := newStorm(*detections, 20)
	began, rounds := time.Now(), 1
	ctx, cancel := context.WithTimeout(t.Context(), *lasts+drain())
	defer cancel()
	rain := pool.New().WithContext(ctx)
	rain.Go(func(ctx context.Context) error { return s.rain(ctx, h.js, *lasts) })
	h.breakEverything(t)
	for ; time.Since(began)+rainTime <= *lasts; rounds++ {
		h.breakEverything(t)
	}
	if err := rain.Wait(); err != nil {
		t.Fatalf("publish: %v", err)
	}
	poured := time.Now()
	t.Logf("%s: %d messages of %d detections of %d keys are published; everything broke %d times", since(began), s.sent.Load(), *detections, len(s.want), rounds)
	h.settle(t)
	t.Logf("%s: all messages are settled, %s after the last was published", since(began), since(poured))
	h.prove(t, s)
	h.audit(t, h.last(t))
	h.figures(t)
}

// drain is in which time the rest must be settled: of a longer storm more can be left.
func drain() time.Duration { return max(drainTime, *lasts/12) }

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Second / 10) }

// settle waits until the stream holds nothing that is not settled.
func (h *hosts) settle(t *testing.T) {
	t.Helper()
	last := h.last(t)
	ctx, cancel := context.WithTimeout(t.Context(), drain())
	defer cancel()
	if done, info := h.drained(ctx, last); !done {
		t.Errorf("not settled after %s: %+v of %d messages", drain(), info, last)
	}
	if n := h.letters(t); n != 0 {
		t.Errorf("%d dead letters, want none", n)
	}
}

// last is the stream's last sequence.
func (h *hosts) last(t *testing.T) (last uint64) {
	t.Helper()
	h.retry(t, "look at the stream", func(ctx context.Context) error {
		info, err := h.stream.Info(ctx)
		if err == nil {
			last = info.State.LastSeq
		}
		return err
	})
	return last
}

// prove compares TheHive with what follows from the detections.
func (h *hosts) prove(t *testing.T, s *storm) {
	t.Helper()
	h.hive.misbehave(t, map[string]any{})
	counted := h.hive.stats(t)
	for kind, n := range counted.Duplicates {
		if n != 0 {
			t.Errorf("TheHive counts %d %s twice", n, kind)
		}
	}
	if counted.Cases != len(s.want) {
		t.Errorf("%d cases, want %d", counted.Cases, len(s.want))
	}
	v := judge(s.want, h.hive.read(t))
	v.report(t)
	t.Logf("TheHive: %d cases, %d observables, %d procedures, %d comments by %d calls; lost %d, doubled %d",
		counted.Cases, counted.Observables, counted.Procedures, counted.Comments, counted.Total, v.lost, v.doubled)
}

// figures tells what it took, and makes sure that the storm was one.
func (h *hosts) figures(t *testing.T) {
	t.Helper()
	f := figuresOf(t, h.workers)
	t.Logf("settled: %v, by worker %v; %d acknowledged at a redelivery", f.settled, f.acknowledged, f.redelivered)
	for _, message := range slices.Sorted(maps.Keys(f.messages)) {
		t.Logf("%6d × %s", f.messages[message], message)
	}
	over := 0
	for _, a := range h.apart {
		over += f.takenOver(h.workers[2].name, a.from, a.to)
	}
	t.Logf("%d claims of workers that were cut off taken over", over)
	if *detections >= proof && (over == 0 || f.redelivered == 0) {
		t.Errorf("%d such claims, %d messages acknowledged at a redelivery: nothing was proved", over, f.redelivered)
	}
}

// breakEverything is the list of what goes wrong while detections come.
func (h *hosts) breakEverything(t *testing.T) {
	t.Helper()
	began := time.Now()
	for _, act := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"workers are killed one after the other", h.killInTurn},
		{"one worker loses NATS, another TheHive, the third is killed", h.partition},
		{"TheHive is down, and a worker is killed", h.outage},
		{"the leader of the stream is killed, and a worker", h.killLeader},
		{"the workers that were cut off find back", h.findBack},
		{"workers are killed one after the other, again", h.killInTurn},
		{"workers are restarted in turn", h.restartInTurn},
	} {
		t.Logf("%6s: %s", since(began), act.name)
		act.run(t)
	}
}

// killAndStart is kill -9, and a start when Kubernetes would.
func (h *hosts) killAndStart(t *testing.T, w *box) {
	t.Helper()
	w.kill(t)
	pass(t.Context(), time.Second)
	w.begin(t)
}

func (h *hosts) killInTurn(t *testing.T) {
	for _, w := range h.workers {
		pass(t.Context(), 3*time.Second)
		h.killAndStart(t, w)
	}
}

func (h *hosts) killLeader(t *testing.T) {
	leader := h.leader(t)
	leader.kill(t)
	pass(t.Context(), 2*time.Second)
	h.killAndStart(t, h.workers[2])
	pass(t.Context(), 3*time.Second)
	leader.begin(t)
	pass(t.Context(), 3*time.Second)
}

// partition cuts two workers off, long enough for the third to take over what they held.
func (h *hosts) partition(t *testing.T) {
	began := time.Now()
	h.workers[0].cut(t, h.bus)
	h.workers[1].cut(t, h.desk)
	pass(t.Context(), 5*time.Second)
	h.killAndStart(t, h.workers[2])
	pass(t.Context(), leaseTime+settleTime+5*time.Second)
	h.workers[0].heal(t, h.bus)
	h.workers[1].heal(t, h.desk)
	h.apart = append(h.apart, apart{began, time.Now()})
}

// findBack waits until both workers that were cut off settle messages again; nobody has restarted them since.
func (h *hosts) findBack(t *testing.T) {
	back, healed := map[string]bool{}, h.apart[len(h.apart)-1].to
	ctx, cancel := context.WithTimeout(t.Context(), aloneTime)
	defer cancel()
	found := until(ctx, 3*time.Second, func() bool {
		f := figuresOf(t, h.workers[:2])
		for _, w := range h.workers[:2] {
			if f.lastAck[w.name].After(healed) && !back[w.name] {
				back[w.name] = true
				t.Logf("        %s is at work again %s after it was reached", w.name, since(healed))
			}
		}
		return len(back) == 2
	})
	if !found {
		t.Errorf("%s after they were reached again, of the workers that were cut off only %v settled anything", aloneTime, back)
	}
}

// outage is TheHive refusing connections.
func (h *hosts) outage(t *testing.T) {
	down := maps.Clone(manners)
	down["outage"] = true
	h.hive.misbehave(t, down)
	over := time.After(downTime)
	pass(t.Context(), 5*time.Second)
	h.killAndStart(t, h.workers[2])
	select {
	case <-over:
	case <-t.Context().Done():
	}
	h.hive.misbehave(t, manners)
	pass(t.Context(), 5*time.Second)
}

// restartInTurn is what a rolling update does: each worker is asked to end, and the next when it has begun again.
func (h *hosts) restartInTurn(t *testing.T) {
	for _, w := range h.workers {
		took, code := w.stop(t, graceTime)
		t.Logf("        %s ended after %s with %d", w.name, took.Round(10*time.Millisecond), code)
		if code != 0 {
			t.Errorf("%s: exit code %d on SIGTERM, want 0", w.name, code)
		}
		w.begin(t)
		pass(t.Context(), 2*time.Second)
	}
}
