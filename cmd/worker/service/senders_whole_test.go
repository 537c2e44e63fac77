package service

import (
	"fmt"
	"testing"
	"time"

	"forager/cmd/worker/workertest"
	"forager/pipeline"
)

// hostileSenders are what three senders send that do not: the n-th message of each.
var hostileSenders = map[string]func(n int) []byte{
	"garbage": workertest.GarbageOf,
	"junk":    workertest.JunkOf,
	"reach":   workertest.ReachOf,
}

// TestHostileSendersHoldUpNobody: three senders send what nobody can use, in between what six others
// send. Each good detection is in its case after its first delivery, and the gate stays open.
func TestHostileSendersHoldUpNobody(t *testing.T) {
	t.Parallel()
	c := newCrossing(t, 1)
	for n := range 24 {
		for name, of := range hostileSenders {
			times := map[string]int{"garbage": 12, "junk": 1, "reach": 1}[name]
			for i := range times {
				c.raw("demo."+name, of(times*n+i))
			}
		}
		for i, sender := range workertest.GoodSenders {
			c.publishAs(sender, fmt.Sprintf("%s-%d", sender, n%3), time.Date(2026, 3, 2, 8, n, i, 0, time.UTC))
		}
	}
	c.wait("the good ones", func() bool { return c.endedOf(c.sent) })
	c.judge()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.sent {
		if end := c.ends[d.Sequence][0]; end.Action != pipeline.ActionAck || end.Deliveries > 1 {
			t.Errorf("%s: %s after %d deliveries, %v", d.ID, end.Action, end.Deliveries, end.Err)
		}
	}
	if len(c.gates) > 0 {
		t.Errorf("the gate said %q", c.gates)
	}
}
