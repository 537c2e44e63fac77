package apply_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive"
	"forager/hive/hivetest"
)

func planner(t *testing.T, all rules.Rules) *enrich.Planner {
	t.Helper()
	router, err := rules.NewRouter(all)
	if err != nil {
		t.Fatal(err)
	}
	return enrich.NewPlanner(enrich.PlannerOptions{
		Organisation: hivetest.DefaultOrganisation, TLP: -1, PAP: -1, Router: router,
		Now: func() time.Time { return day(12) },
	})
}

func planned(t *testing.T, p *enrich.Planner, sequence uint64, d detection.Detection) enrich.Plan {
	t.Helper()
	got, err := p.Plan(d, enrich.Origin{Stream: "DETECTIONS", Sequence: sequence, Time: d.Time})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRefusedConfigurationCostsATagAndNotTheCase(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string]rules.CaseFields{
		"an assignee who is gone":            {Assignee: "gone@example.test"},
		"a template that was renamed":        {Template: "renamed"},
		"a custom field that does not exist": {Fields: []rules.Field{{Name: "nowhere", Value: "x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hivetest.Options{})
				p := planner(t, rules.Rules{Routes: []rules.Route{{Name: "r", Case: fields}}})
				mustApply(t, s.worker(t), []enrich.Plan{planned(t, p, 1, seen("web01", "a", day(9)))})
				got := s.hive.Snapshot().Cases
				if len(got) != 1 || !slices.Contains(got[0].Tags, "forager:degraded") || len(got[0].Procedures) != 2 {
					t.Errorf("cases %+v", got)
				}
			})
		})
	}
}

func TestARouteOpensOnlySoManyCasesAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		p := planner(t, rules.Rules{Routes: []rules.Route{{Name: "r", MaxNewCases: 2}}})
		workers := []*apply.Applier{s.worker(t), s.worker(t)}
		for i := range 6 {
			d := seen(fmt.Sprintf("host%d", i), fmt.Sprint(i), day(9).Add(time.Duration(i)*time.Minute))
			for range 2 { // and once more, as a redelivery
				mustApply(t, workers[i%2], []enrich.Plan{planned(t, p, uint64(i+1), d)})
			}
		}
		got := s.hive.Snapshot().Cases
		if len(got) != 3 || got[2].Title != "Too many new cases: route r" || !slices.Contains(got[2].Tags, "forager:overflow") || len(got[2].Observables) != 5 {
			t.Errorf("cases %+v", got)
		}
	})
}

func TestAnOwnFilterFindsACaseThatForagerDidNotOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		two := 2
		_, err := d.analyst.CreateCase(t.Context(), hive.NewCase{
			Title: "Campaign", Description: "by hand", Severity: &two, StartDate: hive.MillisOf(day(8)), Tags: []string{"campaign:web01"},
		})
		d.must(err)
		p := planner(t, rules.Rules{Routes: []rules.Route{{Name: "r", Filter: []rules.Term{{Field: "tags", Value: "campaign:{{ detection.host }}"}}}}})
		e := d.worker(t)
		mustApply(t, e, []enrich.Plan{planned(t, p, 1, seen("web01", "a", day(9))), planned(t, p, 2, seen("web01", "b", day(10)))})
		mustApply(t, e, []enrich.Plan{planned(t, p, 3, seen("db01", "c", day(9)))})
		got := d.hive.Snapshot().Cases
		if len(got) != 2 || len(got[0].Procedures) != 2 || telling(got[0], "forager: rule=") != 1 {
			t.Errorf("cases %+v", got)
		}
	})
}
