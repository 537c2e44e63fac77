package apply_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/detection/canon"
	"forager/hive"
	"forager/hive/hivetest"
)

// desk is an analyst's own way to TheHive.
type desk struct {
	*site
	analyst *hive.Client
	t       *testing.T
}

func newDesk(t *testing.T) desk {
	s := newSite(t, hivetest.Options{})
	return desk{site: s, analyst: s.client(t), t: t}
}

func (d desk) theCase(number string) hive.Case {
	d.t.Helper()
	c, err := d.analyst.Case(d.t.Context(), number)
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

func (d desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func procedures(t *testing.T, d desk, id string) (all []hive.Procedure) {
	t.Helper()
	for p, err := range d.analyst.CaseProcedures(t.Context(), id) {
		d.must(err)
		all = append(all, p)
	}
	return all
}

func (d desk) removeProcedure(id, technique string) (procedure string) {
	d.t.Helper()
	for _, p := range procedures(d.t, d, id) {
		if p.PatternID == technique {
			d.must(d.analyst.DeleteProcedure(d.t.Context(), p.ID))
			return p.ID
		}
	}
	d.t.Fatalf("no procedure %s", technique)
	return ""
}

func (d desk) removeObservables(id, dataType string) {
	d.t.Helper()
	for o, err := range d.analyst.CaseObservables(d.t.Context(), id) {
		d.must(err)
		if o.DataType == dataType {
			d.must(d.analyst.DeleteObservable(d.t.Context(), o.ID))
		}
	}
}

func techniques(c hivetest.Case) (ids []string) {
	for _, p := range c.Procedures {
		ids = append(ids, p.PatternID)
	}
	return ids
}

func TestP5WhatAnAnalystRemovedStaysAway(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]bool{"by the same worker": false, "by a worker that knows only the ledger": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				e := d.worker(t)
				mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
				c := d.theCase("1")
				d.removeProcedure(c.ID, "T1110")
				d.removeObservables(c.ID, "ip")
				d.must(d.analyst.UpdateCase(t.Context(), c.ID, hive.CaseUpdate{RemoveTags: []string{"native"}}))
				if replace {
					e = d.worker(t)
				}
				next := carrying(seen("web01", "b", day(10)), "T1059.001", "T1110", "T1486")
				mustApply(t, e, plan(t, 2, next, seen("web01", "c", day(11))))
				got := d.hive.Snapshot().Cases[0]
				if ids := techniques(got); !slices.Equal(ids, []string{"T1059.001", "T1486"}) {
					t.Errorf("procedures %v, want the removed T1110 away and the new T1486 there", ids)
				}
				if len(got.Observables) != 1 || slices.Contains(got.Tags, "native") {
					t.Errorf("observables %+v, tags %v", got.Observables, got.Tags)
				}
			})
		})
	}
}

func TestP5SeverityIsOnlyRaisedAboveWhatForagerItselfWrote(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		sequence := uint64(0)
		send := func(severity canon.Severity) int {
			sequence++
			one := seen("web01", time.Now().String(), day(9).Add(time.Duration(sequence)*time.Minute))
			one.Severity = severity
			mustApply(t, e, plan(t, sequence, one))
			return d.theCase("1").Severity
		}
		set := func(severity int) {
			d.must(d.analyst.UpdateCase(t.Context(), d.theCase("1").ID, hive.CaseUpdate{Severity: &severity}))
		}
		send(canon.Medium)
		if got := send(canon.High); got != 3 {
			t.Errorf("a higher detection left severity %d", got)
		}
		set(1)
		if got := send(canon.High); got != 1 {
			t.Errorf("the analyst's severity 1 became %d", got)
		}
		if got := send(canon.Critical); got != 4 {
			t.Errorf("a detection above all that was written left severity %d", got)
		}
		set(2)
		if got := send(canon.Critical); got != 2 {
			t.Errorf("the analyst's severity 2 became %d", got)
		}
	})
}

func TestP5AHandMadeProcedureIsNotAddedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
		c := d.theCase("1")
		_, err := d.analyst.AddProcedure(t.Context(), c.ID, hive.NewProcedure{
			PatternID: "T1486", Tactic: "impact", OccurDate: hive.MillisOf(day(9)),
		})
		d.must(err)
		mustApply(t, e, plan(t, 2, carrying(seen("web01", "b", day(10)), "T1486")))
		if n := len(procedures(t, d, c.ID)); n != 3 {
			t.Errorf("%d procedures, want 3", n)
		}
	})
}

func TestADeletedCaseLeavesATombstone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newAuditDesk(t)
		e := d.learner()
		mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
		d.must(d.analyst.DeleteCase(t.Context(), d.theCase("1").ID))
		d.tell(e, 1)
		plans := plan(t, 2, seen("web01", "b", day(10)), seen("web01", "c", day(10).Add(30*24*time.Hour)))
		errs := e.Apply(t.Context(), enrich.BatchOf(plans...))
		var dropped *enrich.DroppedError
		if !errors.As(errs[0], &dropped) || dropped.Reason != "case deleted" || errs[1] != nil {
			t.Errorf("errors %v", errs)
		}
		if got := d.hive.Snapshot().Cases; len(got) != 1 || got[0].StartDate != plans[1].At.UnixMilli() {
			t.Errorf("cases %+v", got)
		}
	})
}

func TestAMergedCaseIsFollowedWithItsRemovals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
		mustApply(t, e, plan(t, 2, seen("db01", "b", day(9))))
		one, two := d.theCase("1"), d.theCase("2")
		d.removeProcedure(one.ID, "T1110")
		// The next detection notices the removal; then the cases are merged.
		mustApply(t, e, plan(t, 3, carrying(seen("web01", "c", day(10)), "T1486")))
		d.removeProcedure(two.ID, "T1110")
		_, err := d.analyst.MergeCases(t.Context(), one.ID, two.ID)
		d.must(err)
		mustApply(t, e, plan(t, 4, seen("web01", "d", day(11))))
		mustApply(t, e, plan(t, 5, seen("db01", "e", day(11))))
		got := d.hive.Snapshot().Cases
		if len(got) != 1 {
			t.Fatalf("%d cases after the merge", len(got))
		}
		if ids := techniques(got[0]); slices.Contains(ids, "T1110") {
			t.Errorf("the removed technique is back: %v", ids)
		}
	})
}

func TestAClosedCaseTakesWhatHappenedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
		status, end := "TruePositive", hive.MillisOf(day(12))
		d.must(d.analyst.UpdateCase(t.Context(), d.theCase("1").ID, hive.CaseUpdate{Status: &status, EndDate: &end}))
		late := carrying(seen("web01", "b", day(11)), "T1486")
		mustApply(t, e, plan(t, 2, late, seen("web01", "c", day(13))))
		got := d.hive.Snapshot().Cases
		if len(got) != 2 || len(got[0].Procedures) != 3 || got[0].Stage != "Closed" || got[1].StartDate != day(13).UnixMilli() {
			t.Errorf("cases %+v", got)
		}
	})
}
