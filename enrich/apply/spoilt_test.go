package apply_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/hive/hivetest"
)

// TestAnObservableThatFailsForEverCostsItsOwnerAlone: an hour of tries, while the key goes on.
func TestAnObservableThatFailsForEverCostsItsOwnerAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		refuseWord(d.site, "spoiler", 500)
		bad := seen("web01", "bad", day(9))
		bad.Rule.ID = "bad rule"
		bad.Techniques = []detection.Reference{{Text: "T1486"}}
		bad.Observables = append(bad.Observables, detection.Observable{DataType: "other", Data: "spoiler"}, detection.Observable{DataType: "ip", Data: "203.0.113.9"})
		mine := plan(t, 1, bad)
		pause, began := time.Second, time.Now()
		for try := range 25 {
			good := seen("web01", fmt.Sprint("good", try), day(9))
			good.Rule.ID = fmt.Sprint("rule", try)
			good.Observables = []detection.Observable{{DataType: "other", Data: fmt.Sprint("value ", try)}}
			plans := append(plan(t, uint64(10+try), good), mine...)
			errs := e.Apply(t.Context(), enrich.BatchOf(plans...))
			if errs[0] != nil {
				t.Errorf("try %d: a detection of the same key: %v", try, errs[0])
			}
			if enrich.ClassOf(errs[1]) != enrich.Transient || !strings.Contains(errs[1].Error(), "spoiler") {
				t.Errorf("try %d: %v of class %v", try, errs[1], enrich.ClassOf(errs[1]))
			}
			<-time.After(pause)
			pause = min(2*pause, 5*time.Minute)
		}
		if lasted := time.Since(began); lasted < time.Hour {
			t.Errorf("only %v", lasted)
		}
		got := d.hive.Snapshot()
		if len(got.Cases) != 1 {
			t.Fatalf("%d cases", len(got.Cases))
		}
		c, text := got.Cases[0], strings.Join(append(got.Cases[0].Comments, got.Cases[0].Description), "\n")
		if len(c.Observables) != 25+3 || len(c.Procedures) != 3 || strings.Count(text, "forager: rule=") != 2+17 { // further rules of a day are told of in the digest
			t.Errorf("%d observables, %d procedures, markers %d", len(c.Observables), len(c.Procedures), strings.Count(text, "forager: rule="))
		}
		if dup := d.hive.Stats(hivetest.DefaultWindow).Duplicates; dup.Total() != 0 {
			t.Errorf("duplicates %+v", dup)
		}
	})
}
