package apply_test

import (
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/claim/claimtest"
	"forager/hive"
	"forager/hive/hivetest"
)

// within plans one detection of a host under a window.
func within(t *testing.T, window time.Duration, sequence uint64, host, rule string, at time.Time) []enrich.Plan {
	t.Helper()
	p := enrich.NewPlanner(enrich.PlannerOptions{Organisation: hivetest.DefaultOrganisation, Window: window, TLP: -1, PAP: -1})
	d := seen(host, at.String(), at)
	d.Rule.ID = rule
	return []enrich.Plan{planned(t, p, sequence, d)}
}

// TestAMergedCaseTakesAsLongAsItsSourcesWould: the newest event of the case is known to the ledger
// alone, since all belong to one rule and day, and the description names them.
func TestAMergedCaseTakesAsLongAsItsSourcesWould(t *testing.T) {
	t.Parallel()
	for name, told := range map[string]bool{"audit documents tell of it": true, "the search finds it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newAuditDesk(t)
				e := d.learner()
				for i := range 4 {
					mustApply(t, e, within(t, time.Hour, uint64(1+i), "web01", "r", day(9).Add(time.Duration(i)*50*time.Minute)))
				}
				mustApply(t, e, within(t, time.Hour, 5, "db01", "r", day(9)))
				one, two := d.theCase("1"), d.theCase("2")
				_, err := d.analyst.MergeCases(t.Context(), one.ID, two.ID)
				d.must(err)
				if told {
					d.tell(e, 1)
				}
				// To TheHive nothing happened since nine: there is one procedure of each kind, and no comment.
				mustApply(t, e, within(t, time.Hour, 6, "web01", "r", day(12).Add(20*time.Minute)))
				if got := d.hive.Snapshot().Cases; len(got) != 1 {
					t.Fatalf("%d cases after what the merged one takes", len(got))
				}
				// The entry of the other key knows nothing of the host that had the later events.
				mustApply(t, e, within(t, time.Hour, 7, "db01", "r", day(12).Add(30*time.Minute)))
				if got := d.hive.Snapshot().Cases; len(got) != 1 {
					t.Errorf("%d cases: the merged one ends, for one key, before its newest event", len(got))
				}
			})
		})
	}
}

// TestWhatAnEarlierEventFoundIsNotTakenForItsEnd: a case that is found by its tag has events that
// the entry of the key does not know, and an early one that joins it is not its newest.
func TestWhatAnEarlierEventFoundIsNotTakenForItsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first time.Time // of the two detections after the ledger was lost
		cases int
	}{
		"an early event joins it":              {day(10), 1},
		"an event before it opens another":     {day(9).Add(-72 * time.Hour), 2},
		"an event long after it opens another": {day(9).Add(30 * 24 * time.Hour), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				const window = 24 * time.Hour
				e := d.worker(t)
				mustApply(t, e, within(t, window, 1, "web01", "r1", day(9)))
				mustApply(t, e, within(t, window, 2, "web01", "r2", day(9).Add(23*time.Hour)))
				d.ledger = claimtest.New()
				e = d.worker(t)
				mustApply(t, e, within(t, window, 3, "web01", "r1", c.first))
				mustApply(t, e, within(t, window, 4, "web01", "r1", day(9).Add(46*time.Hour)))
				if got := d.hive.Snapshot().Cases; len(got) != c.cases {
					t.Errorf("%d cases, want %d", len(got), c.cases)
				}
			})
		})
	}
}

// TestACaseThatWasDeletedLendsItsEndToNoOther.
func TestACaseThatWasDeletedLendsItsEndToNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		for i := range 4 {
			mustApply(t, e, within(t, time.Hour, uint64(1+i), "web01", "r", day(9).Add(time.Duration(i)*50*time.Minute)))
		}
		tag := within(t, time.Hour, 1, "web01", "r", day(9))[0].Tag()
		severity := 2
		_, err := d.analyst.CreateCase(t.Context(), hive.NewCase{Title: "By hand", Description: "x", Severity: &severity, StartDate: hive.MillisOf(day(9).Add(-3 * time.Hour)), Tags: []string{tag}})
		d.must(err)
		d.must(d.analyst.DeleteCase(t.Context(), d.theCase("1").ID))
		mustApply(t, e, within(t, time.Hour, 6, "web01", "r", day(12).Add(20*time.Minute)))
		got := d.hive.Snapshot().Cases
		if len(got) != 2 || len(got[0].Observables) != 0 {
			t.Errorf("the case made by hand ended long before, and took what happened then: %+v", got)
		}
	})
}
