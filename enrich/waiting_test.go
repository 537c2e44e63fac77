package enrich_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/enrich/threshold"
)

func waitingPlan(t *testing.T, r rules.Route, d detection.Detection, window time.Duration) enrich.Plan {
	t.Helper()
	router, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{r}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := enrich.NewPlanner(enrich.PlannerOptions{Router: router, Window: window}).Plan(d, enrich.Origin{Sequence: 7})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAPlanSaysWhatItWaitsFor: by whom it is counted, in which organisation and for which route; numbers may change.
func TestAPlanSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	d := detection.Detection{Format: "native", ID: "a", Time: time.Unix(1_700_000_000, 0), Host: "web01", User: "alice"}
	five := rules.Threshold{Count: 5, Within: time.Hour}
	byKey := waitingPlan(t, rules.Route{Name: "r", Threshold: &five}, d, 0).Threshold
	if byKey.By != "host:web01" || byKey.Rule != (threshold.Rule{Kind: threshold.Count, Need: 5, Within: 3_600_000}) || len(byKey.ID) != 16 || len(byKey.Hash) != 32 {
		t.Errorf("%+v", byKey)
	}
	hash := func(r rules.Route, d detection.Detection) string { return waitingPlan(t, r, d, 0).Threshold.Hash }
	six, user := rules.Threshold{Count: 6, Within: 2 * time.Hour}, rules.Threshold{Count: 5, Within: time.Hour, By: "detection.user"}
	other := d
	other.Host = "web02"
	for name, c := range map[string]struct {
		got  string
		same bool
	}{
		"another number":       {hash(rules.Route{Name: "r", Threshold: &six}, d), true},
		"another route":        {hash(rules.Route{Name: "s", Threshold: &five}, d), false},
		"another organisation": {hash(rules.Route{Name: "r", Organisation: "acme", Threshold: &five}, d), false},
		"another host":         {hash(rules.Route{Name: "r", Threshold: &five}, other), false},
		"by user":              {hash(rules.Route{Name: "r", Threshold: &user}, d), false},
	} {
		if (c.got == byKey.Hash) != c.same {
			t.Errorf("%s: counts with the first %v, want %v", name, !c.same, c.same)
		}
	}
	if hash(rules.Route{Name: "r", Threshold: &user}, d) != hash(rules.Route{Name: "r", Threshold: &user}, other) {
		t.Error("one user on two hosts is counted apart")
	}
	alerts := rules.Route{Name: "r", As: rules.AsAlert, Threshold: &five} // each event has its alert: they are counted by host all the same
	again := d
	again.ID = "b"
	if hash(alerts, d) != byKey.Hash || hash(alerts, again) != byKey.Hash {
		t.Error("alerts of one host are counted apart")
	}
	if p := waitingPlan(t, rules.Route{Name: "r"}, d, 0); p.Threshold != nil {
		t.Errorf("without one: %+v", p.Threshold)
	}
}

// TestACaseTakesWhatWaitedForIt: else what waited would open a second case before it.
func TestACaseTakesWhatWaitedForIt(t *testing.T) {
	t.Parallel()
	d := detection.Detection{Format: "native", ID: "a", Time: time.Unix(1_700_000_000, 0), Host: "web01"}
	day := rules.Threshold{Count: 5, Within: 48 * time.Hour}
	var got []time.Duration
	for _, window := range []time.Duration{time.Hour, 72 * time.Hour, -1} {
		got = append(got, waitingPlan(t, rules.Route{Name: "r", Threshold: &day}, d, window).Window)
	}
	if diff := cmp.Diff([]time.Duration{48 * time.Hour, 72 * time.Hour, 0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
