package enrich_test

import (
	"slices"
	"strings"
	"testing"

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
