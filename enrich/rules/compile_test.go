package rules_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

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
