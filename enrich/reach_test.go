package enrich_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/rules"
)

func TestWhichObjectsASenderMayName(t *testing.T) {
	rules := []enrich.ObjectRule{
		{Subject: "alerts.edr.>", Bucket: "EVIDENCE", Prefix: "edr/"},
		{Subject: "alerts.*.all", Bucket: "SHARED"},
	}
	for _, c := range []struct {
		subject, object string
		rules           []enrich.ObjectRule
		want            bool
	}{
		{"alerts.edr.host1", "EVIDENCE/edr/dump", nil, false},
		{"alerts.edr.host1", "ANY/alerts.edr.host1/dump", nil, true},
		{"alerts.edr.host1", "ANY/alerts.edr.host10/dump", nil, false},
		{"alerts.edr.host1", "ANY/alerts.edr.host1", nil, false},
		{"alerts.edr.host1", "ANY/alerts.edr/dump", nil, false},
		{"alerts.edr.host1", "alerts.edr.host1/dump", nil, false},
		{"alerts.edr", "ANY/alerts.edr.host1/dump", nil, false},
		{"", "ANY//dump", nil, false},
		{"", "ANY/dump", nil, false},
		{"a/b", "ANY/a/b/dump", nil, false}, // the prefix of sender a
		{"alerts.edr.host1", "EVIDENCE/edr/dump", rules, true},
		{"alerts.edr.host1", "EVIDENCE/edr", rules, false},
		{"alerts.edr.host1", "EVIDENCE/other/dump", rules, false},
		{"alerts.edr.host1", "evidence/edr/dump", rules, false},
		{"alerts.edr.host1", "SHARED/x", rules, false},
		{"alerts.edr", "EVIDENCE/edr/dump", rules, false},
		{"alerts.ndr.host1", "EVIDENCE/edr/dump", rules, false},
		{"alerts.ndr.all", "SHARED/anything/at/all", rules, true},
		{"alerts.ndr.all", "ANY/alerts.ndr.all/dump", rules, true},
	} {
		d := seen("web01", "a", day(9))
		d.Files = []detection.File{{Name: "dump.bin", Object: c.object}, {Name: "note.txt", Data: []byte("x")}}
		p, err := enrich.NewPlanner(enrich.PlannerOptions{Objects: c.rules}).Plan(d, enrich.Origin{Sequence: 1, Subject: c.subject})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(p.Files) == 2; got != c.want || len(p.Files)+len(p.Barred) != 2 || slices.Contains(p.Tags, "forager:object-refused") == c.want {
			t.Errorf("%s names %s: %v, barred %d, tags %v", c.subject, c.object, got, len(p.Barred), p.Tags)
		}
		if says := strings.Contains(strings.Join(p.Steps(), "\n"), "files.objects"); says == c.want {
			t.Errorf("%s names %s: explain says %q", c.subject, c.object, p.Steps())
		}
	}
}

// TestWhatAnEventSaysReachesNoObject: an event that takes the route of another sender by its words may still
// name its own sender's objects alone.
func TestWhatAnEventSaysReachesNoObject(t *testing.T) {
	t.Parallel()
	router, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "edr", When: "detection.source == 'edr' && detection.format == 'native'"}}})
	if err != nil {
		t.Fatal(err)
	}
	planner := enrich.NewPlanner(enrich.PlannerOptions{Router: router, Objects: []enrich.ObjectRule{{Subject: "alerts.edr.>", Bucket: "EVIDENCE", Prefix: "edr/"}}})
	for subject, want := range map[string]int{"alerts.edr.host1": 1, "alerts.web.host1": 0} {
		d := seen("web01", "a", day(9))
		d.Source, d.Files = "edr", []detection.File{{Name: "dump.bin", Object: "EVIDENCE/edr/dump"}}
		p, err := planner.Plan(d, enrich.Origin{Sequence: 1, Subject: subject})
		if err != nil || p.Route != "edr" || len(p.Files) != want {
			t.Errorf("%s: route %q, files %v, %v", subject, p.Route, p.Files, err)
		}
	}
}

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
		errs := d.e.Apply(t.Context(), plans[0].Queue(), plans[:1])
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
		apply(t, d.e, plans[1:])
		if got := d.attached(1 << 20); got != 3 {
			t.Errorf("%d files", got)
		}
	})
}

// TestARoutesOwnTextHidesNoRefusedObject: whatever text a route gives a case, what was left out
// stands below it.
func TestARoutesOwnTextHidesNoRefusedObject(t *testing.T) {
	t.Parallel()
	d := seen("web01", "a", day(9))
	d.Files = []detection.File{{Name: "dump.bin", Object: "evidence/edr/dump"}}
	text := planned(t, planner(t, rules.Rules{Routes: []rules.Route{{Name: "r", Case: rules.CaseFields{Description: "Call the owner."}}}}), 1, d).Description()
	if !strings.HasPrefix(text, "Call the owner.\n") || !strings.Contains(text, "**Left out**: file `dump.bin`") {
		t.Errorf("the text of the case is %q", text)
	}
}
