package apply_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/hive/hivetest"
)

// foreignEntries are values of the ledger that nobody of this version wrote.
var foreignEntries = map[string]string{
	"no JSON":             `{"v":1,`,
	"no object":           `[1,2]`,
	"empty":               ``,
	"newer":               `{"v":99,"cases":[]}`,
	"head of texts":       `{"v":"1","lease":"x"}`,
	"body of numbers":     `{"v":1,"cases":7}`,
	"body of other lists": `{"v":1,"cases":[[1,2,3]],"opened":"no"}`,
	"deep":                strings.Repeat(`{"v":`, 20_000),
	"large":               `{"v":1,"cases":[],"x":"` + strings.Repeat("y", 5<<20) + `"}`,
}

// TestEntryThatCannotBeReadCostsItsKeyAlone: not the ledger's fault, and no reason to stop.
func TestEntryThatCannotBeReadCostsItsKeyAlone(t *testing.T) {
	t.Parallel()
	for name, value := range foreignEntries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hivetest.Options{})
				plans := plan(t, 1, seen("dc-01", "a", day(9)), seen("ws-07", "b", day(9)))
				if _, err := s.ledger.Put(t.Context(), "key."+plans[0].Hash, []byte(value), 0); err != nil {
					t.Fatal(err)
				}
				e := s.worker(t)
				for range 3 {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
					err := e.Apply(ctx, enrich.BatchOf(plans[:1]...))[0]
					cancel()
					if class := enrich.ClassOf(err); class != enrich.Transient || errors.Is(err, enrich.ErrLedger) {
						t.Errorf("class %v: %v", class, err)
					}
				}
				if err := e.Apply(t.Context(), enrich.BatchOf(plans[1:]...))[0]; err != nil {
					t.Errorf("another key: %v", err)
				}
			})
		})
	}
}
