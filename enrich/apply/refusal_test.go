package apply_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/hive/hivetest"
)

func TestARefusedItemIsChargedToWhoBroughtItAndSpoilsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		bad := seen("web01", "bad", day(9))
		bad.Observables = append(bad.Observables, detection.Observable{DataType: "other", Data: strings.Repeat("x", 5000)})
		plans := plan(t, 1, seen("web01", "good", day(9)), bad, seen("web01", "fine", day(10)))
		errs := s.worker(t).Apply(t.Context(), enrich.BatchOf(plans...))
		var rejected *enrich.RejectedError
		if errs[0] != nil || errs[2] != nil || !errors.As(errs[1], &rejected) || rejected.Items[0].Step != "observable" {
			t.Errorf("errors %v", errs)
		}
		if got := s.hive.Snapshot().Cases[0]; len(got.Observables) != 2 || len(got.Procedures) != 2 {
			t.Errorf("case %+v", got)
		}
	})
}

func TestAnUnknownDataTypeBecomesOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		d := seen("web01", "a", day(9))
		d.Observables = []detection.Observable{{DataType: "wallet", Data: "bc1q"}}
		e := s.worker(t)
		mustApply(t, e, plan(t, 1, d))
		d.ID = "b"
		mustApply(t, e, plan(t, 2, d))
		got := s.hive.Snapshot().Cases[0].Observables
		if len(got) != 1 || got[0].DataType != "other" || !slices.Contains(got[0].Tags, "type:wallet") {
			t.Errorf("observables %+v", got)
		}
	})
}

func TestATechniqueThatTheServerLacksBecomesATag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{}) // it holds a handful of patterns
		d := seen("web01", "a", day(9))
		d.Techniques = []detection.Reference{{Text: "T1059.001"}, {Text: "T1498"}, {Text: "T1110"}}
		mustApply(t, s.worker(t), plan(t, 1, d))
		got := s.hive.Snapshot().Cases[0]
		if len(got.Procedures) != 2 || !slices.Contains(got.Tags, "attack:T1498") {
			t.Errorf("procedures %+v, tags %v", got.Procedures, got.Tags)
		}
	})
}

func TestABatchTooLargeIsHalved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{MaxBody: 4096})
		d := seen("web01", "a", day(9))
		d.Techniques = nil
		d.Observables = nil
		for i := range 40 {
			d.Observables = append(d.Observables, detection.Observable{DataType: "other", Data: fmt.Sprintf("%03d%s", i, strings.Repeat("x", 300))})
		}
		mustApply(t, s.worker(t), plan(t, 1, d))
		if n := len(s.hive.Snapshot().Cases[0].Observables); n != 40 {
			t.Errorf("%d observables", n)
		}
	})
}

func TestP6ACaseTakesNoMoreThanItsLimitAndSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e := s.worker(t, func(o *apply.Options) { o.Limits = apply.Limits{Observables: 5, Procedures: 1} })
		for i := range 4 {
			d := seen("web01", fmt.Sprint(i), day(9+i))
			for n := range 3 {
				d.Observables = append(d.Observables, detection.Observable{DataType: "ip", Data: fmt.Sprintf("203.0.113.%d", 3*i+n)})
			}
			mustApply(t, e, plan(t, uint64(i+1), d))
		}
		got := s.hive.Snapshot().Cases[0]
		if len(got.Observables) != 4 || len(got.Procedures) != 1 { // a quarter is kept for indicators
			t.Errorf("%d observables, %d procedures", len(got.Observables), len(got.Procedures))
		}
		for _, tag := range []string{"forager:limit-observable", "forager:limit-procedure"} {
			if !slices.Contains(got.Tags, tag) {
				t.Errorf("tags %v lack %s", got.Tags, tag)
			}
		}
	})
}

func TestAStopLetsTheRunningCallFinishAndStartsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		ctx, stop := context.WithCancel(t.Context())
		s.hive.On(hivetest.BeforeEffect, "POST /api/v1/case", func(hivetest.Call) hivetest.Action {
			stop()
			<-time.After(time.Second)
			return hivetest.Action{}
		})
		plans := plan(t, 1, seen("web01", "a", day(9)))
		err := s.worker(t).Apply(ctx, enrich.BatchOf(plans...))[0]
		if enrich.ClassOf(err) != enrich.Interrupted {
			t.Errorf("error %v of class %v", err, enrich.ClassOf(err))
		}
		got := s.hive.Snapshot().Cases
		if len(got) != 1 || len(got[0].Observables) != 0 {
			t.Errorf("cases %+v", got)
		}
		// The next worker owes nobody a wait: what was done is written down.
		began := time.Now()
		mustApply(t, s.worker(t), plans)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the next worker took %v", took)
		}
		if stats := s.hive.Stats(24 * time.Hour); stats.Cases != 1 || stats.Observables != 2 {
			t.Errorf("stats %+v", stats)
		}
	})
}
