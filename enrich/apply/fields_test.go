package apply_test

import (
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
)

// severe is a detection of web01 with a severity.
func severe(id string, severity int) detection.Detection {
	d := seen("web01", id, day(9))
	d.Severity = canon.Severity(severity)
	return d
}

// TestARaiseThatComesLateLowersNothing: an update that has no answer may take effect after the next one, which is of more. So the next
// one waits until it must have, whichever worker it is.
func TestARaiseThatComesLateLowersNothing(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(t *testing.T, d desk, e *apply.Applier) *apply.Applier{
		"same worker":  func(_ *testing.T, _ desk, e *apply.Applier) *apply.Applier { return e },
		"other worker": func(t *testing.T, d desk, _ *apply.Applier) *apply.Applier { t.Helper(); return d.worker(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				e := d.worker(t)
				mustApply(t, e, plan(t, 1, severe("a", 1)))
				updates := d.late("PATCH /api/v1/case/{id}")
				mustApply(t, e, plan(t, 2, severe("b", 2)))
				mustApply(t, next(t, d, e), plan(t, 3, severe("c", 4)))
				wait(t.Context(), time.Minute)
				if c := d.hive.Snapshot().Cases[0]; c.Severity != 4 || updates.Load() < 2 {
					t.Errorf("severity %d after %d updates, want 4", c.Severity, updates.Load())
				}
			})
		})
	}
}
