package rules_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/rules"
)

func TestRulesThatCannotWorkAreRefusedAllAtOnceWithTheirPlace(t *testing.T) {
	t.Parallel()
	_, err := rules.NewRouter(rules.Rules{
		Routes: []rules.Route{
			{Name: "a", When: "detection.hots == 'x'"},
			{Name: "b", When: "detection.severity +\n  'x'"},
			{Name: "c", When: "detection.host"},
			{Name: "d", Key: "1 + 1"},
			{Name: "e", Case: rules.CaseFields{Title: "x {{ detection.hots }}"}},
			{Name: "f", Case: rules.CaseFields{Description: "x\n{{ 1 + }}"}},
			{Name: "g", Case: rules.CaseFields{Links: []rules.Link{{Name: "x", URL: "https://{{ detection.host }}/x"}, {Name: "y", URL: "javascript:alert(1)"}}}},
			{Name: "h", Filter: []rules.Term{{Field: "tags", Op: "regex", Value: "x"}}, Closed: "maybe", Minimum: 9, Via: "post"},
			{Name: "i", Case: rules.CaseFields{Fields: []rules.Field{{Name: "n", Type: "colour", Value: "x"}}}},
			{},
		},
		Silences: []rules.Silence{{Name: "s"}},
	})
	var got []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var at *rules.RuleError
		if !errors.As(e, &at) {
			t.Fatalf("error %v", e)
		}
		got = append(got, fmt.Sprintf("%s.%s %d:%d", at.Rule, at.Field, at.Line, at.Column))
	}
	slices.Sort(got)
	want := []string{
		"routes[0].when 1:10", "routes[1].when 1:20", "routes[2].when 1:1", "routes[3].key 1:1", "routes[4].case.title 1:15",
		"routes[5].case.description 2:7", "routes[6].case.links[0].url 1:1", "routes[6].case.links[1].url 1:1",
		"routes[7].closed 0:0", "routes[7].filter[0] 0:0", "routes[7].minimum 0:0", "routes[7].via 0:0", "routes[8].case.fields[0].type 0:0",
		"routes[9].name 0:0", "silences[0].expires 0:0", "silences[0].owner 0:0", "silences[0].reason 0:0", "silences[0].when 0:0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestARouteOfAlertsSaysNothingOfCases: nor one of cases of alerts.
func TestARouteOfAlertsSaysNothingOfCases(t *testing.T) {
	t.Parallel()
	hour := time.Hour
	for field, r := range map[string]rules.Route{
		"as":           {As: "page"},
		"group":        {As: rules.AsAlert, Group: "host"},
		"maxNewAlerts": {MaxNewAlerts: 1},
		"via":          {As: rules.AsAlert, Via: rules.ViaAlert},
		"analyze":      {As: rules.AsAlert, Analyze: []rules.Analysis{{Analyzer: "x"}}},
		"filter":       {As: rules.AsAlert, Filter: []rules.Term{{Field: "tags", Value: "x"}}},
		"closed":       {As: rules.AsAlert, Closed: rules.ClosedNew},
		"maxNewCases":  {As: rules.AsAlert, MaxNewCases: 1},
		"case.tasks":   {As: rules.AsAlert, Case: rules.CaseFields{Tasks: []rules.Task{{Title: "x"}}}},
		"case.pages":   {As: rules.AsAlert, Case: rules.CaseFields{Pages: []rules.Page{{Title: "x"}}}},
		"key":          {As: rules.AsAlert, Key: "detection.user"},
		"window":       {As: rules.AsAlert, Window: &hour},
		"":             {As: rules.AsAlert, Group: rules.GroupRule, Key: "detection.user", Window: &hour, MaxNewAlerts: 5},
	} {
		r.Name = "x"
		_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{r}})
		at, is := errors.AsType[*rules.RuleError](err)
		if is != (field != "") || is && at.Field != field {
			t.Errorf("%q: %v", field, err)
		}
	}
	if _, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "x", Group: rules.GroupRule}}}); err == nil {
		t.Error("a group of cases is taken")
	}
}

func TestHowOftenAnAnalyzerLooks(t *testing.T) {
	t.Parallel()
	for field, a := range map[string]rules.Analysis{
		"analyze[0].once":   {Analyzer: "x", Once: "day"},
		"analyze[0].window": {Analyzer: "x", Window: time.Hour},
		" case":             {Analyzer: "x", Once: rules.OnceCase},
		" window":           {Analyzer: "x", Once: rules.OnceWindow, Window: 90 * time.Minute},
	} {
		_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "x", Analyze: []rules.Analysis{a}}}})
		at, is := errors.AsType[*rules.RuleError](err)
		if is == (field[0] == ' ') || is && at.Field != field {
			t.Errorf("%q: %v", field, err)
		}
	}
	for want, window := range map[string]time.Duration{"once in 24h": 24 * time.Hour, "once in 1h30m": 90 * time.Minute} {
		if got := (rules.Analysis{Once: rules.OnceWindow, Window: window}).Often(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if _, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "x", Analyze: []rules.Analysis{{Analyzer: "x", Once: rules.OnceWindow, Window: time.Minute}}}}}); err == nil {
		t.Error("a window that is shorter than lists may lag is taken")
	}
}
