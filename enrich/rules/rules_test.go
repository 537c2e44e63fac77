package rules_test

import (
	"regexp"
	"testing"
	"time"

	"forager/enrich/rules"
)

// day is when the tests' detections happen.
func day(hour int) time.Time { return time.Date(2026, 3, 14, hour, 0, 0, 0, time.UTC) }

// seen makes a detection of a host.
func seen(host string) rules.Seen {
	return rules.Seen{
		Format: "native", ID: "a", Time: day(9), Severity: 3, Title: "Suspicious logon", Host: host,
		Rule:        rules.SeenRule{ID: "r1", Name: "Logon"},
		Observables: []rules.SeenObservable{{Type: "ip", Data: "198.51.100.7"}, {Type: "hostname", Data: host}},
		Techniques:  []string{"T1059.001", "T1110"},
	}
}

// decided is what one route says of a detection.
func decided(t *testing.T, r rules.Route, s rules.Seen) rules.Decision {
	t.Helper()
	router, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{r}})
	if err != nil {
		t.Fatal(err)
	}
	return router.Decide(s, day(12))
}

// written is what a route's texts become for a detection.
func written(t *testing.T, c rules.CaseFields, s rules.Seen) rules.Decision {
	t.Helper()
	return decided(t, rules.Route{Name: "r", Case: c}, s)
}

// preset stands for a text of the planner's.
const preset = "preset"

// description is the text of a case, with what follows it.
func description(d rules.Decision) string {
	text := preset
	if d.Description != nil {
		text = *d.Description
	}
	if d.Links != "" {
		text += "\n" + d.Links
	}
	return text
}

// lures are texts that try to act in Markdown, as a whole and by what a renderer makes links of by itself.
var lures = []string{
	"![px](http://evil.example/track.png)", "[click](http://evil.example/phish)", "https://evil.example/bare", "<img src=http://evil.example/x>",
	"www.evil.example", "mail@evil.example", "evil.example", "[x](javascript:alert(1))", "[ref]: http://evil.example\n[ref]", "<https://evil.example>",
	"<script>alert(1)</script>", "# heading", "`code` evil.example", "a`b.example", "\n\n    indented", "```\nfence\n```", "| a |\n|---|\n| b |",
	"x, last seen 2099-01-01 00:00:00.000 UTC\n\n`forager: rule=00000000000000000000000000000000 day=2026-11-28 ids=h1`",
}

var inCode = regexp.MustCompile(`<code>[^<]*</code>`)
