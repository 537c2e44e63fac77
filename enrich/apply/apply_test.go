package apply_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/detection"
	"forager/hive/hivetest"
)

func TestApplyOpensOneCaseWithAllEffects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e := s.worker(t)
		mustApply(t, e, plan(t, 1, seen("web01", "a", day(9)), seen("web01", "b", day(10))))
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

func TestP3ApplyTwiceIsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		plans := plan(t, 1, seen("web01", "a", day(9)), seen("web01", "b", day(10)))
		for range 3 {
			mustApply(t, s.worker(t), plans)
			<-time.After(time.Hour)
		}
		stats := s.hive.Stats(24 * time.Hour)
		if stats.Cases != 1 || stats.Observables != 2 || stats.Procedures != 2 || stats.Comments != 0 {
			t.Errorf("stats %+v", stats)
		}
	})
}

func TestP8DatesComeFromTheEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		old := seen("web01", "a", day(9))
		mustApply(t, s.worker(t), plan(t, 1, old))
		lastWeek := seen("web01", "b", day(9).AddDate(0, 0, -7))
		mustApply(t, s.worker(t), plan(t, 2, lastWeek))
		replaced := seen("web01", "c", day(10))
		replaced.TimeReplaced = true
		mustApply(t, s.worker(t), plan(t, 3, replaced))
		got := s.hive.Snapshot().Cases
		if len(got) != 2 || got[0].StartDate != old.Time.UnixMilli() || got[1].StartDate != lastWeek.Time.UnixMilli() {
			t.Fatalf("cases %+v", got)
		}
		for i, at := range []time.Time{old.Time, lastWeek.Time} {
			for _, p := range got[i].Procedures {
				if p.OccurDate != at.UnixMilli() {
					t.Errorf("case %d: procedure %s occurred at %d, the event at %d", i+1, p.PatternID, p.OccurDate, at.UnixMilli())
				}
			}
		}
		if !slices.Contains(got[0].Tags, "forager:time-replaced") {
			t.Errorf("tags %v", got[0].Tags)
		}
	})
}

// TestP8ObservablesWereSightedWhenTheyWereDetected: whatever goes in one call, within a minute; and storms make few calls.
func TestP8ObservablesWereSightedWhenTheyWereDetected(t *testing.T) {
	t.Parallel()
	s := newSite(t, hivetest.Options{})
	e := s.worker(t)
	detected := func(n int, at time.Time) detection.Detection {
		d := seen("web01", fmt.Sprint(n), at)
		d.Observables = append(d.Observables, detection.Observable{DataType: "ip", Data: fmt.Sprint("203.0.113.", n)})
		return d
	}
	bearing := detected(2, day(10))
	bearing.Files = []detection.File{{Name: "a.txt", Data: []byte("x")}}
	mustApply(t, e, plan(t, 1, bearing, detected(3, day(10).Add(30*time.Second)), detected(1, day(9))))
	mustApply(t, e, plan(t, 4, detected(4, day(8)), detected(1, day(12))))
	want := map[string]int64{
		"web01": day(9).UnixMilli(), "198.51.100.7": day(9).UnixMilli(), "203.0.113.1": day(9).UnixMilli(),
		"203.0.113.2": day(10).UnixMilli(), "203.0.113.3": day(10).UnixMilli(), "203.0.113.4": day(8).UnixMilli(), "": day(10).UnixMilli(),
	}
	got := map[string]int64{}
	for _, o := range s.hive.Snapshot().Cases[0].Observables {
		got[o.Data] = o.SightedAt
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sighted (-want +got):\n%s", diff)
	}
	before := s.hive.Stats(0).Total
	var storm []detection.Detection
	for i := range 90 {
		storm = append(storm, detected(10+i, day(9).Add(time.Duration(i)*10*time.Minute)))
	}
	mustApply(t, e, plan(t, 10, storm...))
	if calls := s.hive.Stats(0).Total - before; calls > 4+1 { // and the case
		t.Errorf("%d calls", calls)
	}
}
