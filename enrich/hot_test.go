package enrich_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"

	"forager/enrich/ledgertest"
	"forager/hive/hivetest"
)

// Replicas that share one hot key take turns; what is lost between two holders must be little.
// The clock is virtual, so that the figure is the protocol's own.
func TestReplicasShareAHotKeyAtLittleCost(t *testing.T) {
	t.Parallel()
	alone := hotKey(t, 1)
	for _, n := range []int{2, 4} {
		if took := hotKey(t, n); took > alone*5/4 {
			t.Errorf("%d replicas take %v for what one does in %v", n, took, alone)
		}
	}
}

// hotKey lets replicas do 80 applies of one key between them, at 20 ms a call.
func hotKey(t *testing.T, replicas int) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		s.hive.Set(hivetest.Misbehaviour{Latency: 20 * time.Millisecond})
		s.ledger.Before = func(ledgertest.Op) error {
			<-time.After(300 * time.Microsecond)
			return nil
		}
		apply(t, s.worker(t), plan(t, 1, seen("web01", "first", day(9))))
		began := time.Now()
		var wg conc.WaitGroup
		for i := range replicas {
			wg.Go(func() {
				e := s.worker(t)
				for b := range 80 / replicas {
					apply(t, e, plan(t, uint64(1000*i+b+2), seen("web01", fmt.Sprint(i, b), day(9))))
				}
			})
		}
		wg.Wait()
		took = time.Since(began)
	})
	return took
}
