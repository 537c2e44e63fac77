package apply_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/hive"
)

// forget purges what the ledger knows of a case; its marks stay.
func (d desk) forget(id string) {
	d.t.Helper()
	_, revision, err := d.ledger.Get(d.t.Context(), "case."+id)
	d.must(err)
	d.must(d.ledger.Purge(d.t.Context(), "case."+id, revision))
}

// comments are the comments of a case.
func (d desk) comments(id string) (all []hive.Comment) {
	d.t.Helper()
	for m, err := range d.analyst.CaseComments(d.t.Context(), id) {
		d.must(err)
		all = append(all, m)
	}
	return all
}

// rated is a detection of a severity.
func rated(host, id string, hour int, severity canon.Severity) detection.Detection {
	d := seen(host, id, day(hour))
	d.Severity = severity
	return d
}

// TestACommentThatIsBackCountsAgain: the apply that finds it there already counts its detection in it.
func TestACommentThatIsBackCountsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, e, c := openedDesk(t, undigested)
		of := func(id string, hour int) detection.Detection {
			one := seen("web01", id, day(hour))
			one.Rule.ID = "r2"
			return one
		}
		mustApply(t, e, plan(t, 2, of("b", 10)))
		comment := d.comments(c.ID)[0]
		d.must(d.analyst.DeleteComment(t.Context(), comment.ID))
		d.tell(e, 1)
		_, err := d.analyst.AddComment(t.Context(), c.ID, comment.Message)
		d.must(err)
		d.forget(c.ID) // so that the case is listed
		e = d.learner(undigested)
		mustApply(t, e, plan(t, 3, of("c", 11)))
		wait(t.Context(), 2*time.Minute)
		d.must(e.FlushComments(t.Context()))
		got := d.comments(c.ID)
		if len(got) != 1 || !strings.Contains(got[0].Message, "at least 2 detections") {
			t.Errorf("comments %+v", got)
		}
		if marked := d.recall(e, c.ID).Removed; len(marked) != 0 {
			t.Errorf("still marked: %v", marked)
		}
	})
}

// TestWhatWasRemovedBeforeAMergeThatNobodyToldStaysAway: that the case came of the other is seen by
// its description, and that something was removed by what it lacks.
func TestWhatWasRemovedBeforeAMergeThatNobodyToldStaysAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
		mustApply(t, e, plan(t, 2, carrying(seen("db01", "b", day(9)), "T1486")))
		one, two := d.theCase("1"), d.theCase("2")
		d.removeProcedure(one.ID, "T1110")
		_, err := d.analyst.MergeCases(t.Context(), one.ID, two.ID)
		d.must(err)
		mustApply(t, e, plan(t, 3, seen("web01", "c", day(10))))
		got := d.hive.Snapshot().Cases
		if len(got) != 1 || !slices.Equal(techniques(got[0]), []string{"T1059.001", "T1486"}) {
			t.Errorf("cases %+v", got)
		}
	})
}

// TestLevelsStayLoweredAfterAMerge: the most that was written to either case counts, whichever of
// the two the worker asks for first.
func TestLevelsStayLoweredAfterAMerge(t *testing.T) {
	t.Parallel()
	for _, hosts := range [][]string{{"web01", "db01"}, {"db01", "web01"}} {
		t.Run(fmt.Sprint(hosts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				e := d.worker(t)
				send := func(sequence uint64, one detection.Detection, tlp, pap int) {
					plans := plan(t, sequence, one)
					plans[0].TLP, plans[0].PAP = tlp, pap
					mustApply(t, e, plans)
				}
				send(1, rated("web01", "a", 9, canon.High), 3, 3)
				send(2, rated("db01", "b", 9, canon.Low), 0, 0)
				one, two, low := d.theCase("1"), d.theCase("2"), 1
				d.must(d.analyst.UpdateCase(t.Context(), one.ID, hive.CaseUpdate{Severity: &low, TLP: &low, PAP: &low}))
				_, err := d.analyst.MergeCases(t.Context(), one.ID, two.ID)
				d.must(err)
				send(3, rated(hosts[0], "c", 10, canon.Low), 0, 0)
				send(4, rated(hosts[1], "d", 10, canon.Low), 0, 0)
				for i, host := range hosts {
					send(uint64(5+i), rated(host, fmt.Sprint("e", i), 11, canon.High), 3, 3)
				}
				if got := d.theCase("3"); got.Severity != 1 || got.TLP != 1 || got.PAP != 1 {
					t.Errorf("severity %d, TLP %d, PAP %d: want what the analyst set", got.Severity, got.TLP, got.PAP)
				}
				send(7, rated("web01", "f", 12, canon.Critical), 4, 3)
				if got := d.theCase("3"); got.Severity != 4 || got.TLP != 4 {
					t.Errorf("severity %d, TLP %d: a detection above all that was written raises", got.Severity, got.TLP)
				}
			})
		})
	}
}
