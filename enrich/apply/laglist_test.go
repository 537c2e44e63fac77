package apply_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/hive/hivetest"
)

// TestAListThatLagsRemovesNothing: what was just posted, and TheHive does not list yet, was not removed by an analyst; what
// one removes is noticed when lists have caught up.
func TestAListThatLagsRemovesNothing(t *testing.T) {
	t.Parallel()
	for mode, options := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				d.hive.Set(hivetest.Misbehaviour{Lag: 5 * time.Second, LagChildren: true})
				e := d.worker(t, options...)
				techniques := []string{"T1059.001", "T1110", "T1486", "T1105"}
				send := func(n int) {
					one := of(fmt.Sprint("r", n), fmt.Sprint("id", n), day(9))
					one.Techniques = []detection.Reference{{Text: techniques[n]}}
					one.Observables = []detection.Observable{{DataType: "ip", Data: fmt.Sprint("203.0.113.", n)}}
					one.Files = []detection.File{{Name: fmt.Sprint("f", n), Data: []byte{byte(n)}}}
					mustApply(t, e, plan(t, uint64(n+1), one))
				}
				for n := range 3 { // at once
					send(n)
				}
				id := d.theCase("1").ID
				known := func() apply.CaseEntry {
					entry, err := e.ReadEntry(t.Context(), id)
					d.must(err)
					return entry
				}
				if got := known().Removed; len(got) != 0 {
					t.Errorf("removed %v", got)
				}
				wait(t.Context(), time.Minute)
				d.removeProcedure(id, "T1110")
				for _, c := range d.comments(id) {
					d.must(d.analyst.DeleteComment(t.Context(), c.ID))
				}
				wait(t.Context(), time.Minute)
				send(3)
				if got := known().Removed; len(got) != 3 {
					t.Errorf("removed %v, want a procedure and two comments", got)
				}
				wait(t.Context(), time.Minute)
				send(1)
				send(2)
				c := d.hive.Snapshot().Cases[0]
				if len(c.Comments) != 1 || len(c.Procedures) != 3 || d.hive.Stats(0).Duplicates.Total() != 0 {
					t.Errorf("%d comments, %d procedures, duplicates %+v", len(c.Comments), len(c.Procedures), d.hive.Stats(0).Duplicates)
				}
			})
		})
	}
}
