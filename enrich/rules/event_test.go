package rules_test

import (
	"strings"
	"testing"

	"forager/enrich/rules"
)

func TestRulesReadTheEventItself(t *testing.T) {
	t.Parallel()
	d := seen("web01")
	d.Link, d.CommandLine, d.Raw = "https://siem.example/1", "curl -s", `{"a": 1}`
	d.Fields = map[string]any{"a.b": "x_y", "n": int64(7), "f": 0.5, "yes": true, "all": []any{"p", "q"}, "mixed": []any{"p", int64(1)}}
	for text, want := range map[string]string{
		`{{ detection.fields["a.b"] }} {{ detection.fields["n"] }} {{ detection.fields["f"] }} {{ detection.fields["yes"] }}`: "x_y 7 0.5 true",
		`{{ detection.fields["all"] }}`:                            "p, q",
		`{{ detection.fields["n"] > 5 ? "many" : "few" }}`:         "many",
		`{{ detection.fields["a.b"].startsWith("x") }}`:            "true",
		`{{ "none" in detection.fields ? "there" : "not there" }}`: "not there",
		`{{ detection.fields["all"].size() }}`:                     "2",
		`{{ detection.link }} {{ detection.commandLine }}`:         "https://siem.example/1 curl -s",
		`{{ detection.raw }}`:                                      `{"a": 1}`,
	} {
		if got := written(t, rules.CaseFields{Title: text}, d); got.Title == nil || *got.Title != want || len(got.Faults) > 0 {
			t.Errorf("%s gives %+v, want %q; faults %v", text, got.Title, want, got.Faults)
		}
	}
	for _, text := range []string{`{{ detection.fields["none"] }}`, `{{ detection.fields["mixed"] }}`} {
		if got := written(t, rules.CaseFields{Title: text}, d); got.Title != nil || len(got.Faults) != 1 {
			t.Errorf("%s gives %+v, faults %v", text, got.Title, got.Faults)
		}
	}
	_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", When: `detection.fields["n"]`}}})
	if err == nil || !strings.Contains(err.Error(), "gives dyn, must give bool") {
		t.Errorf("a condition that is none: %v", err)
	}
}

func TestOnlyRulesThatLookAtEventsReadThem(t *testing.T) {
	t.Parallel()
	for when, want := range map[string]bool{
		`detection.host == "a"`: false, `detection.raw.contains("x")`: true, `detection.fields["a"] == "b"`: true,
	} {
		r, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", When: when}}})
		if err != nil || r.ReadsEvents() != want {
			t.Errorf("%s: reads events %v, %v", when, r.ReadsEvents(), err)
		}
	}
}
