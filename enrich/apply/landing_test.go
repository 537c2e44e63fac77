package apply_test

import (
	"strconv"
	"testing"
	"time"

	"forager/enrich"
	"forager/hive"
)

// TestPlansSayWhereTheyLand: each plan of an apply in its case, before anything is added there.
func TestPlansSayWhereTheyLand(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	e := d.worker(t)
	plans := plan(t, 1, seen("web01", "a", day(9)), seen("web01", "b", day(9)), seen("web01", "c", day(9).Add(30*24*time.Hour)))
	b, landed := enrich.BatchOf(plans...), map[int]enrich.Landing{}
	b.Landed = func(plan int, in enrich.Landing) { landed[plan] = in }
	for i, err := range e.Apply(t.Context(), b) {
		if err != nil {
			t.Errorf("plan %d: %v", i, err)
		}
	}
	if len(landed) != 3 || landed[0] != landed[1] || landed[0] == landed[2] {
		t.Fatalf("landed in %v", landed)
	}
	for i, in := range landed {
		if c := d.theCase(strconv.Itoa(in.Number)); c.ID != in.ID || c.StartDate != hive.MillisOf(plans[i].At) && i != 1 {
			t.Errorf("plan %d landed in %v, which is %v of %v", i, in, c.ID, c.StartDate)
		}
	}
}
