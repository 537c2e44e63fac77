package apply_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"

	"forager/enrich/claim/claimtest"
	"forager/hive/hivetest"
)

// TestReplicasShareAHotKeyAtLittleCost: replicas that share a key wait for one another without a
// storm of requests to the ledger, and without long pauses between two holders. Requests are
// counted, and the clock is virtual: neither hangs on how busy the machine is. The waits are random,
// so the bounds are twice what is usual: four replicas need 3.3 times the requests of one, with 1.5
// times the writes, and 1.2 times as long.
func TestReplicasShareAHotKeyAtLittleCost(t *testing.T) {
	t.Parallel()
	alone := hotKey(t, 1)
	for _, n := range []int{2, 4} {
		shared := hotKey(t, n)
		if shared.calls > 6*alone.calls || shared.writes > 3*alone.writes {
			t.Errorf("%d replicas make %d requests, %d of them writes; one makes %d and %d", n, shared.calls, shared.writes, alone.calls, alone.writes)
		}
		if shared.took > 2*alone.took {
			t.Errorf("%d replicas take %v for what one does in %v", n, shared.took, alone.took)
		}
	}
}

// cost is what a number of applies needed.
type cost struct {
	calls, writes int64         // requests to the ledger
	took          time.Duration // by the virtual clock
}

// hotKey lets replicas do 80 applies of one key between them, at 20 ms a call.
func hotKey(t *testing.T, replicas int) (c cost) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		s.hive.Set(hivetest.Misbehaviour{Latency: 20 * time.Millisecond})
		s.ledger.SetBefore(func(op claimtest.Op) error {
			atomic.AddInt64(&c.calls, 1)
			if op.Name == "put" {
				atomic.AddInt64(&c.writes, 1)
			}
			<-time.After(300 * time.Microsecond)
			return nil
		})
		mustApply(t, s.worker(t), plan(t, 1, seen("web01", "first", day(9))))
		began := time.Now()
		var wg conc.WaitGroup
		for i := range replicas {
			wg.Go(func() {
				e := s.worker(t)
				for b := range 80 / replicas {
					mustApply(t, e, plan(t, uint64(1000*i+b+2), seen("web01", fmt.Sprint(i, b), day(9))))
				}
			})
		}
		wg.Wait()
		c.took = time.Since(began)
	})
	return c
}
