package apply_test

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/hive"
	"forager/hive/hivetest"

	"github.com/sourcegraph/conc"
)

// TestWhatComesWhileAnotherReplicaHasTheKeyJoinsTheApply, in the order of events, and each plan has its own error.
func TestWhatComesWhileAnotherReplicaHasTheKeyJoinsTheApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		far := &distant{Hive: s.client(t)}
		busy := s.worker(t, func(o *apply.Options) { o.Hive = func(string) apply.Hive { return far } })
		looked := &counting{Hive: s.client(t)}
		e := s.worker(t, func(o *apply.Options) { o.Hive = func(string) apply.Hive { return looked } })
		others := plan(t, 1, seen("web01", "a", day(9)))
		done := make(chan []error, 1)
		var other conc.WaitGroup
		defer other.Wait()
		other.Go(func() { done <- busy.Apply(t.Context(), enrich.BatchOf(others...)) })
		<-time.After(distance / 2) // it has the key, and looks for the case
		first, older := plan(t, 2, seen("web01", "b", day(9).Add(2*time.Minute))), plan(t, 3, seen("web01", "c", day(9).Add(time.Minute)))
		bad := seen("web01", "d", day(9).Add(3*time.Minute))
		bad.Observables[0].Data = refusedAddress
		refused := plan(t, 4, bad)
		asked := 0
		errs := e.Apply(t.Context(), enrich.Batch{Queue: first[0].Queue(), Plans: first, More: func() []enrich.Plan {
			asked++
			return append(older, refused...)
		}})
		for _, err := range <-done {
			if err != nil {
				t.Error(err)
			}
		}
		if asked != 1 || len(errs) != 3 || errs[0] != nil || errs[1] != nil {
			t.Fatalf("asked %d times, errors %v", asked, errs)
		}
		if enrich.ClassOf(errs[2]) != enrich.Rejected {
			t.Errorf("the plan with a value that TheHive refuses: %v", errs[2])
		}
		if looked.cases != 1 {
			t.Errorf("the case was looked at %d times for three detections", looked.cases)
		}
		s.holds(t, 1, 2, 2)
	})
}

// TestNothingJoinsAnApplyThatWaitedForNobody: what came since goes when its turn comes.
func TestNothingJoinsAnApplyThatWaitedForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		b := enrich.BatchOf(plan(t, 1, seen("web01", "a", day(9)))...)
		b.More = func() []enrich.Plan {
			t.Error("asked for more")
			return nil
		}
		if errs := s.worker(t).Apply(t.Context(), b); errs[0] != nil {
			t.Error(errs[0])
		}
	})
}

// refusedAddress is a value that counting's TheHive never takes.
const refusedAddress = "203.0.113.66"

// counting counts looks at a case, and refuses one observable.
type counting struct {
	apply.Hive
	cases int
	added atomic.Int64
}

func (c *counting) AddObservables(ctx context.Context, id string, o hive.NewObservable) (hive.ObservableResult, error) {
	c.added.Add(1)
	if i := slices.Index(o.Data, refusedAddress); i >= 0 {
		return hive.ObservableResult{}, &hive.Error{Op: "add observables", Status: http.StatusBadRequest, Type: "BadRequest", Message: "no", Sent: true}
	}
	return c.Hive.AddObservables(ctx, id, o)
}

func (c *counting) Case(ctx context.Context, id string) (hive.Case, error) {
	c.cases++
	return c.Hive.Case(ctx, id)
}

// TestValuesOfOneTypeGoInOneCallWhateverRuleBroughtThem: a backlog of many rules costs no call for each.
func TestValuesOfOneTypeGoInOneCallWhateverRuleBroughtThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		c := &counting{Hive: s.client(t)}
		e := s.worker(t, func(o *apply.Options) { o.Hive = func(string) apply.Hive { return c } })
		one, other := seen("web01", "a", day(9)), seen("web01", "b", day(9).Add(time.Second))
		other.Rule, other.Observables[0].Data = detection.Rule{ID: "r2", Name: "Other"}, "203.0.113.9"
		mustApply(t, e, plan(t, 1, one, other))
		if got := c.added.Load(); got != 2 {
			t.Errorf("%d calls, want one for each of two types", got)
		}
		s.holds(t, 1, 3, 2)
	})
}
