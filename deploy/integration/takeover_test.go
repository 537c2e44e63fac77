//go:build integration

package integration

import (
	"context"
	"testing"
	"time"
)

// TestAnotherWorkerFinishesWhatAKilledOneBegan: kill -9 falls between the case and its procedures. TheHive is made so slow
// that the moment cannot be missed. The other worker must wait until nothing of the dead one can still take effect, and
// must not wait for ever.
func TestAnotherWorkerFinishesWhatAKilledOneBegan(t *testing.T) {
	s := newSite(t)
	first := s.worker(t, "first")
	s.hive.misbehave(t, map[string]any{"latency": (callTime / 2).String()})
	one := newStorm(1, 1)
	if err := one.rain(t.Context(), s.js, 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if !until(ctx, 20*time.Millisecond, func() bool { return s.hive.stats(t).Cases == 1 }) {
		t.Fatal("no case was opened")
	}
	killed := time.Now()
	first.kill(t)
	if got := s.hive.stats(t); got.Procedures != 0 {
		t.Fatalf("%d procedures when the worker was killed: the moment was missed", got.Procedures)
	}
	s.hive.misbehave(t, map[string]any{"latency": hiveLatency.String()})
	second := s.worker(t, "second")
	if done, info := s.drained(ctx, uint64(one.sent.Load())); !done {
		t.Fatalf("nobody finished it: %+v", info)
	}
	took := time.Since(killed)
	t.Logf("settled %s after the kill; AckWait %s, lease %s, settle %s", took.Round(time.Second/10), ackWait, leaseTime, settleTime)
	// The dead worker's session is dead when it was seen unchanged for a lease; then what it sent may still take effect.
	if least := leaseTime + settleTime; took < least {
		t.Errorf("settled %s after the kill, want at least %s: it did not wait until the dead worker's calls were over", took, least)
	}
	v := judge(one.want, s.hive.read(t))
	v.report(t)
	for kind, n := range s.hive.stats(t).Duplicates {
		if n != 0 {
			t.Errorf("TheHive counts %d %s twice", n, kind)
		}
	}
	if f := figuresOf(t, []*box{second}); len(f.takeovers) == 0 {
		t.Errorf("the second worker took no claim over: %v", f.messages)
	}
}
