package apply_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection/canon"
	"forager/enrich/rules"
	"forager/hive"
	"forager/hive/hivetest"
)

// telling counts the comments of a case that say something.
func telling(c hivetest.Case, what string) (n int) {
	for _, text := range c.Comments {
		if strings.Contains(text, what) {
			n++
		}
	}
	return n
}

// notesIn names the rules and days of a text. Changes are left out, which depend on what came in one apply: that each is there
// once is counted by the simulator.
func notesIn(text string) (all []string) {
	for _, m := range apply.MarkersIn(text) {
		if name := m.Name(); !strings.HasPrefix(name, "severity-") && !strings.HasPrefix(name, "reopened-") {
			all = append(all, name)
		}
	}
	return all
}

// once fails where not exactly one comment of the one case says something, or anything is there twice.
func (s *site) once(t *testing.T, what ...string) {
	t.Helper()
	c := s.hive.Snapshot().Cases[0]
	for _, w := range what {
		if n := telling(c, w); n != 1 {
			t.Errorf("%d comments say %q:\n%s", n, w, strings.Join(c.Comments, "\n---\n"))
		}
	}
	if dup := s.hive.Stats(0).Duplicates; dup.Total() != 0 {
		t.Errorf("duplicates %+v", dup)
	}
}

// modes are the ways in which a case counts its detections.
var modes = map[string][]func(*apply.Options){"page": nil, "none": {undigested}}

func TestARaisedSeverityIsToldOnce(t *testing.T) {
	t.Parallel()
	for mode, options := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				e := d.worker(t, options...)
				mustApply(t, e, plan(t, 1, rated("web01", "a", 9, canon.Medium)))
				if n := len(d.hive.Snapshot().Cases[0].Comments); n != 0 {
					t.Errorf("a new case has %d comments", n)
				}
				for i := range uint64(2) {
					mustApply(t, e, plan(t, 2+i, rated("web01", "b", 10, canon.High)))
				}
				mustApply(t, e, plan(t, 4, rated("web01", "c", 11, canon.High), rated("web01", "d", 11, canon.Critical)))
				d.forget(d.theCase("1").ID)
				e = d.worker(t, options...)
				mustApply(t, e, plan(t, 5, rated("web01", "b", 10, canon.High), rated("web01", "d", 11, canon.Critical)))
				d.once(t, "**Severity raised from medium to high**", "**Severity raised from high to critical**", "| 2026-03-14 10:00:00 UTC | Suspicious logon |", "| `d` |")
				// An analyst lowers it, and a ledger that forgot all makes it high again: told before is told.
				low := 1
				d.must(d.analyst.UpdateCase(t.Context(), d.theCase("1").ID, hive.CaseUpdate{Severity: &low}))
				d.forget(d.theCase("1").ID)
				mustApply(t, d.worker(t, options...), plan(t, 9, rated("web01", "e", 12, canon.High)))
				d.once(t, " to high**")
			})
		})
	}
}

func TestAReopeningIsToldOnceForEachEnd(t *testing.T) {
	t.Parallel()
	for mode, options := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				e := d.worker(t, options...)
				mustApply(t, e, under(t, rules.ClosedReopen, 1, bare("a", day(9))))
				for i, end := range []int{10, 12} {
					status, at := "TruePositive", hive.MillisOf(day(end))
					d.must(d.analyst.UpdateCase(t.Context(), d.theCase("1").ID, hive.CaseUpdate{Status: &status, EndDate: &at}))
					for again := range 2 {
						mustApply(t, e, under(t, rules.ClosedReopen, uint64(2+4*i+again), bare(fmt.Sprint("b", i), day(end+1))))
					}
				}
				if c := d.hive.Snapshot().Cases[0]; c.Stage == "Closed" {
					t.Error("the case is closed")
				}
				d.once(t, "**Reopened**, since something was detected after its end, 2026-03-14 10:00:00 UTC", "after its end, 2026-03-14 12:00:00 UTC", "| 2026-03-14 13:00:00 UTC |")
			})
		})
	}
}

// TestAChangeIsToldWhateverIsLost: the worker dies, or an answer is lost, anywhere between the comment and the change.
func TestAChangeIsToldWhateverIsLost(t *testing.T) {
	t.Parallel()
	for _, at := range []hivetest.Stage{hivetest.BeforeEffect, hivetest.AfterEffect} {
		for _, route := range []string{"POST /api/v1/case/{id}/comment", "PATCH /api/v1/case/{id}"} {
			for _, dies := range []bool{false, true} {
				t.Run(fmt.Sprint(at, route, dies), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						d := newDesk(t)
						e := d.worker(t)
						mustApply(t, e, under(t, rules.ClosedReopen, 1, rated("web01", "a", 9, canon.Medium)))
						status, end := "TruePositive", hive.MillisOf(day(10))
						d.must(d.analyst.UpdateCase(t.Context(), d.theCase("1").ID, hive.CaseUpdate{Status: &status, EndDate: &end}))
						lost := 0
						d.hive.On(at, route, func(hivetest.Call) hivetest.Action {
							if lost++; lost > 1 && !dies || lost > 40 {
								return hivetest.Action{}
							}
							return hivetest.Action{Status: 502, Message: "bad gateway"}
						})
						again := under(t, rules.ClosedReopen, 2, rated("web01", "b", 11, canon.Critical))
						for range 4 {
							for _, err := range e.Apply(t.Context(), enrich.BatchOf(again...)) {
								if err == nil && dies && lost <= 40 && at == hivetest.BeforeEffect {
									t.Error("done, though nothing could be")
								}
							}
							if dies {
								lost = 41
								e = d.worker(t) // another one
							}
							wait(t.Context(), time.Minute)
						}
						c := d.hive.Snapshot().Cases[0]
						if c.Severity != 4 || c.Stage == "Closed" {
							t.Errorf("severity %d, stage %s", c.Severity, c.Stage)
						}
						d.once(t, "**Severity raised from medium to critical**", "**Reopened**")
					})
				})
			}
		}
	}
}

func TestWhatAnAnalystRemovedOfChangesStaysAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		mustApply(t, e, plan(t, 1, rated("web01", "a", 9, canon.Medium)))
		mustApply(t, e, plan(t, 2, rated("web01", "b", 10, canon.High)))
		c := d.theCase("1")
		for _, comment := range d.comments(c.ID) {
			d.must(d.analyst.DeleteComment(t.Context(), comment.ID))
		}
		low := 1
		d.must(d.analyst.UpdateCase(t.Context(), c.ID, hive.CaseUpdate{Severity: &low}))
		other := rated("web01", "c", 11, canon.High)
		other.Rule.ID = "r2"
		mustApply(t, e, plan(t, 3, other)) // lists the comments
		mustApply(t, e, plan(t, 4, rated("web01", "d", 12, canon.Critical)))
		d.once(t, "from low to critical**")
		if n := telling(d.hive.Snapshot().Cases[0], "to high**"); n != 0 {
			t.Error("a comment that an analyst removed is back")
		}
	})
}

func TestChangesAreToldOfWhereRulesFilledTheDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e := s.worker(t)
		for i := range 40 {
			one := rated("web01", fmt.Sprint(i), 9, canon.Medium)
			one.Rule.ID = fmt.Sprint("r", i)
			mustApply(t, e, plan(t, uint64(i+1), one))
		}
		for i, severity := range []canon.Severity{canon.High, canon.Critical} {
			mustApply(t, e, plan(t, uint64(50+i), rated("web01", fmt.Sprint("h", i), 9, severity)))
		}
		s.once(t, "to high**", "to critical**")
		if n := len(s.hive.Snapshot().Cases[0].Comments); n > 20 {
			t.Errorf("%d comments", n)
		}
	})
}

// TestAChangeThatTheHiveRefusesToTellOfIsMade: the comment is charged, and where words of the event were refused, it goes
// without them.
func TestAChangeThatTheHiveRefusesToTellOfIsMade(t *testing.T) {
	t.Parallel()
	for _, all := range []bool{false, true} {
		t.Run(fmt.Sprint(all), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hivetest.Options{})
				e := s.worker(t)
				mustApply(t, e, plan(t, 1, rated("web01", "a", 9, canon.Medium)))
				s.hive.On(hivetest.BeforeEffect, "POST /api/v1/case/{id}/comment", func(c hivetest.Call) hivetest.Action {
					if all || strings.Contains(string(c.Body), "Suspicious") {
						return hivetest.Action{Status: 400, Type: "BadRequest", Message: "no"}
					}
					return hivetest.Action{}
				})
				errs := e.Apply(t.Context(), enrich.BatchOf(plan(t, 2, rated("web01", "b", 10, canon.High))...))
				c := s.hive.Snapshot().Cases[0]
				if c.Severity != 3 || all != slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
					t.Errorf("severity %d, %v", c.Severity, errs)
				}
				if n := telling(c, "**Severity raised from medium to high**"); all && n != 0 || !all && n != 1 {
					t.Errorf("%d comments: %s", n, c.Comments)
				}
			})
		})
	}
}

// TestACaseThatMayNotBeReopenedIsNotCalledReopened: its detections are added, and it stays closed.
func TestACaseThatMayNotBeReopenedIsNotCalledReopened(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		mustApply(t, e, under(t, rules.ClosedReopen, 1, bare("a", day(9))))
		status, at := "TruePositive", hive.MillisOf(day(10))
		d.must(d.analyst.UpdateCase(t.Context(), d.theCase("1").ID, hive.CaseUpdate{Status: &status, EndDate: &at}))
		if !d.hive.Deny(d.theCase("1").ID, "manageCase/reopen") {
			t.Fatal("nothing was denied")
		}
		_ = e.Apply(t.Context(), enrich.BatchOf(under(t, rules.ClosedReopen, 2, bare("b", day(11)))...))
		if c := d.hive.Snapshot().Cases[0]; c.Stage != "Closed" || telling(c, "**Reopened**") != 0 {
			t.Errorf("stage %s, comments %s", c.Stage, c.Comments)
		}
	})
}
