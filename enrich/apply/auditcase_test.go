package apply_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/hive/hivetest"
)

// heardEvents counts events.
type heardEvents struct {
	mu  sync.Mutex
	all []apply.Event
}

func (h *heardEvents) Happened(e apply.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, e)
}

func (h *heardEvents) count(kind apply.EventKind) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.all {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func TestADocumentOfADeletedCaseSparesTheWaitAndTheAlert(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newAuditDesk(t)
		var heard heardEvents
		e := d.learner(func(o *apply.Options) { o.Events = &heard })
		mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
		d.must(d.analyst.DeleteCase(t.Context(), d.theCase("1").ID))
		d.tell(e, 1)
		wait(t.Context(), time.Minute) // longer than a search may lag
		d.tell(e, 1)                   // twice: it was deleted no later for that
		plans := plan(t, 2, seen("web01", "b", day(10)))
		began := time.Now()
		errs := e.Apply(t.Context(), enrich.BatchOf(plans...))
		var dropped *enrich.DroppedError
		if !errors.As(errs[0], &dropped) || dropped.Reason != "case deleted" {
			t.Errorf("errors %v", errs)
		}
		if took := time.Since(began); took > time.Second || heard.count(apply.EventUnseen) != 0 {
			t.Errorf("took %v, %d alerts", took, heard.count(apply.EventUnseen))
		}
	})
}

func TestADocumentOfAMergeIsFollowedWithoutASearch(t *testing.T) {
	t.Parallel()
	for version := range 2 {
		t.Run(fmt.Sprint("v", version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newAuditDesk(t)
				e := d.learner()
				mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
				mustApply(t, e, plan(t, 2, seen("db01", "b", day(9))))
				d.removeProcedure(d.theCase("1").ID, "T1110")
				d.removeProcedure(d.theCase("2").ID, "T1110")
				d.tell(e, version)
				d.hive.Set(hivetest.Misbehaviour{Lag: time.Hour}) // the search shows nothing new
				_, err := d.analyst.MergeCases(t.Context(), d.theCase("1").ID, d.theCase("2").ID)
				d.must(err)
				d.tell(e, version)
				began := time.Now()
				mustApply(t, e, plan(t, 3, seen("web01", "c", day(10))))
				if took := time.Since(began); took > time.Second {
					t.Errorf("took %v", took)
				}
				got := d.hive.Snapshot().Cases
				if len(got) != 1 || got[0].Number != 3 || slices.Contains(techniques(got[0]), "T1110") {
					t.Errorf("cases %+v", got)
				}
			})
		})
	}
}

func TestAllowLetsARemovedTechniqueComeBack(t *testing.T) {
	t.Parallel()
	for name, told := range map[string]bool{"removal told": true, "removal not noticed yet": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, e, c := openedDesk(t)
				d.removeProcedure(c.ID, "T1110")
				if told {
					d.tell(e, 1)
				}
				if _, err := e.LiftRemoval(t.Context(), c.ID, "T1486"); !errors.Is(err, apply.ErrNotRemoved) {
					t.Errorf("a technique that was never there: %v", err)
				}
				want := []apply.Removal{{Kind: "procedure", Item: "T1110/credential-access"}}
				if got, err := e.LiftRemoval(t.Context(), c.ID, "t1110"); err != nil || !slices.Equal(got, want) {
					t.Fatalf("lifted %v, %v", got, err)
				}
				d.tell(e, 0) // late, once more: older than the lifting
				if got := d.recall(e, c.ID); len(got.Removed) != 0 || !slices.Equal(got.Lifted, want) {
					t.Fatalf("%+v", got)
				}
				mustApply(t, d.learner(), plan(t, 2, carrying(seen("web01", "b", day(10)), "T1110")))
				if got := techniques(d.hive.Snapshot().Cases[0]); !slices.Equal(got, []string{"T1059.001", "T1110"}) {
					t.Errorf("procedures %v", got)
				}
				if got := d.recall(e, c.ID); len(got.Removed)+len(got.Lifted) != 0 {
					t.Errorf("still marked: %+v", got)
				}
				d.removeProcedure(c.ID, "T1110") // removed anew, it stays away anew
				d.tell(e, 1)
				mustApply(t, e, plan(t, 3, carrying(seen("web01", "c", day(11)), "T1110", "T1486")))
				if got := techniques(d.hive.Snapshot().Cases[0]); !slices.Equal(got, []string{"T1059.001", "T1486"}) {
					t.Errorf("procedures %v after the second removal", got)
				}
			})
		})
	}
}

func TestAllowingWhatIsThereDoublesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, e, c := openedDesk(t)
		if _, err := e.LiftRemoval(t.Context(), c.ID, "T1110"); err != nil {
			t.Fatal(err)
		}
		mustApply(t, e, plan(t, 2, seen("web01", "b", day(10))))
		if got := techniques(d.hive.Snapshot().Cases[0]); !slices.Equal(got, []string{"T1059.001", "T1110"}) {
			t.Errorf("procedures %v", got)
		}
	})
}

func TestRecallTellsWhatTheLedgerKnows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newAuditDesk(t)
		e := d.learner()
		if m := d.recall(e, "~1"); m.Known || m.Severity != -1 {
			t.Errorf("of nothing: %+v", m)
		}
		mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
		m := d.recall(e, d.theCase("1").ID)
		if !m.Known || m.Held || m.Unsettled || m.Observables != 2 || len(m.Procedures) != 2 || m.Severity != 3 || len(m.Comments) != 1 {
			t.Errorf("%+v", m)
		}
	})
}

func TestLearnSaysWhatWasLearntAndOfWhatIsSentAgainNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, e, c := openedDesk(t)
		mustApply(t, e, plan(t, 2, seen("db01", "b", day(9))))
		mustApply(t, e, plan(t, 3, seen("mail01", "c", day(9))))
		d.removeProcedure(c.ID, "T1110")
		_, err := d.analyst.MergeCases(t.Context(), c.ID, d.theCase("2").ID)
		d.must(err)
		d.must(d.analyst.DeleteCase(t.Context(), d.theCase("3").ID))
		got := d.tell(e, 1) // the sources of a merge are deleted, too
		want := map[apply.AuditEffect]int{apply.AuditRemoval: 1, apply.AuditCaseMerged: 1, apply.AuditCaseDeleted: 3, apply.AuditNothing: got[apply.AuditNothing]}
		if !maps.Equal(got, want) {
			t.Errorf("learnt %v", got)
		}
		again := d.tell(e, 1)
		if again[apply.AuditNothing] != got[apply.AuditNothing]+5 || len(again) != 1 {
			t.Errorf("learnt %v from what is known", again)
		}
		d.analyst = d.client(t) // the worker's own account
		d.removeProcedure(d.theCase("4").ID, "T1059.001")
		if own := d.tell(e, 1); own[apply.AuditOwnChange] != 1 {
			t.Errorf("learnt %v from the worker itself", own)
		}
	})
}
