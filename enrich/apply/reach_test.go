package apply_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"forager/enrich"
	"forager/enrich/detection"
)

// TestARefusedObjectCostsOnlyItself: the object of another is not opened, the case says so, and its
// own sender's file goes on.
func TestARefusedObjectCostsOnlyItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newSpoolDesk(t, 1<<20, map[string][]byte{"evidence/edr/dump": []byte("memory")})
		p := enrich.NewPlanner(enrich.PlannerOptions{TLP: -1, PAP: -1, Objects: []enrich.ObjectRule{{Subject: "alerts.edr.*", Bucket: "evidence", Prefix: "edr/"}}})
		var plans []enrich.Plan
		for i, subject := range []string{"alerts.other.x", "alerts.edr.x"} {
			one := seen("web01", subject, day(9))
			one.Files = []detection.File{{Name: "dump.bin", Object: "evidence/edr/dump"}, {Name: subject + ".txt", Data: []byte(subject)}}
			made, err := p.Plan(one, enrich.Origin{Stream: "S", Sequence: uint64(i + 1), Subject: subject})
			if err != nil {
				t.Fatal(err)
			}
			plans = append(plans, made)
		}
		errs := d.e.Apply(t.Context(), enrich.BatchOf(plans[:1]...))
		rejected, ok := errors.AsType[*enrich.RejectedError](errs[0])
		if !ok || len(rejected.Items) != 1 || rejected.Items[0].Item != "dump.bin" || !strings.Contains(rejected.Items[0].Reason, "files.objects") {
			t.Errorf("error %v", errs[0])
		}
		if got := d.attached(1 << 20); got != 1 || d.found.Load() != 0 {
			t.Errorf("%d files, %d objects looked at", got, d.found.Load())
		}
		c := d.hive.Snapshot().Cases[0]
		if !slices.Contains(c.Tags, "forager:object-refused") || !strings.Contains(c.Description, "Left out") {
			t.Errorf("the case does not say it: %q %q", c.Tags, c.Description)
		}
		mustApply(t, d.e, plans[1:])
		if got := d.attached(1 << 20); got != 3 {
			t.Errorf("%d files", got)
		}
	})
}
