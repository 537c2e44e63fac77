package enrich_test

import (
	"testing"
	"time"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/enrich/rules"
)

// day is when the tests' detections happen.
func day(hour int) time.Time { return time.Date(2026, 3, 14, hour, 0, 0, 0, time.UTC) }

// seen makes a detection of a host.
func seen(host, id string, at time.Time) detection.Detection {
	return detection.Detection{
		Format: "native", ID: id, Time: at, Severity: canon.High, Title: "Suspicious logon", Host: host,
		Rule: detection.Rule{ID: "r1", Name: "Logon"},
		Observables: []detection.Observable{
			{DataType: "ip", Data: "198.51.100.7"}, {DataType: "hostname", Data: host},
		},
		Techniques: []detection.Reference{{Text: "T1059.001", Path: "techniques"}, {Text: "T1110", Path: "techniques"}},
	}
}

// planner is one with rules, at noon.
func planner(t *testing.T, all rules.Rules) *enrich.Planner {
	t.Helper()
	router, err := rules.NewRouter(all)
	if err != nil {
		t.Fatal(err)
	}
	return enrich.NewPlanner(enrich.PlannerOptions{
		Organisation: "soc", TLP: -1, PAP: -1, Router: router, Now: func() time.Time { return day(12) },
	})
}

// planned is the plan of one detection.
func planned(t *testing.T, p *enrich.Planner, sequence uint64, d detection.Detection) enrich.Plan {
	t.Helper()
	got, err := p.Plan(d, enrich.Origin{Stream: "DETECTIONS", Sequence: sequence, Time: d.Time})
	if err != nil {
		t.Fatal(err)
	}
	return got
}
