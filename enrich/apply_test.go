package enrich_test

import (
	"testing"
	"testing/synctest"
	"time"

	"forager/hive/hivetest"
)

func TestApplyOpensOneCaseWithAllEffects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e := s.worker(t)
		apply(t, e, plan(t, 1, seen("web01", "a", day(9)), seen("web01", "b", day(10))))
		got := s.hive.Snapshot()
		if len(got.Cases) != 1 {
			t.Fatalf("%d cases", len(got.Cases))
		}
		c := got.Cases[0]
		if len(c.Observables) != 2 || len(c.Procedures) != 2 || c.Severity != 3 || c.StartDate != day(9).UnixMilli() {
			t.Errorf("case is %+v", c)
		}
		if len(c.Comments) != 0 {
			t.Errorf("the description names its first detections, yet there are comments %q", c.Comments)
		}
	})
}

func TestApplyTwiceIsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		plans := plan(t, 1, seen("web01", "a", day(9)), seen("web01", "b", day(10)))
		for range 3 {
			apply(t, s.worker(t), plans)
			<-time.After(time.Hour)
		}
		stats := s.hive.Stats(24 * time.Hour)
		if stats.Cases != 1 || stats.Observables != 2 || stats.Procedures != 2 || stats.Comments != 0 {
			t.Errorf("stats %+v", stats)
		}
	})
}
