package rules_test

import (
	"bytes"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"

	"forager/enrich/rules"
	"forager/hive"
)

func TestATextSaysWhatItsPlaceholdersGive(t *testing.T) {
	t.Parallel()
	d := seen("web_01")
	d.Tags = []string{"b", "a", "b"}
	for text, want := range map[string]string{
		"no placeholder":                                 "no placeholder",
		"{{ detection.host }}":                           "web_01",
		"[{{detection.title}}] {{ true }}":               "[Suspicious logon] true",
		"{{ detection.severity }}/{{ 2u }}":              "3/2",
		"{{ 1.0 / 4.0 }}":                                "0.25",
		"{{ detection.time }}":                           "2026-03-14T09:00:00Z",
		"{{ string(detection.time) }}":                   "2026-03-14T09:00:00Z",
		`{{ duration("90m") }}`:                          "5400s",
		"{{ detection.tags }}":                           "b, a, b",
		"{{ detection.tags.distinct().sort() }}":         "a, b",
		`{{ detection.tags.join("/") }}`:                 "b/a/b",
		"{{ detection.observables.map(o, o.type) }}":     "ip, hostname",
		"x{{ [] }}y{{ detection.user }}z":                "xyz",
		"{{ dyn(detection.severity) }}":                  "3",
		`{{ ["a", dyn("b")] }}`:                          "a, b",
		`{{ detection.host == "web_01" ? "it" : "no" }}`: "it",
		`{{ "%s on %s".format([detection.rule.name, detection.host.replace("_", "-")]) }}`: "Logon on web-01",
		`{{ detection.techniques.hasAny(["T1110", "T1111"]) }}`:                            "true",
		`{{ "{{" }} {{ {"a": {"b": "}}"}}["a"]["b"] }}`:                                    "{{ }}",
		"{{ detection.tags // what it says\n}}.":                                           "b, a, b.",
	} {
		if got := written(t, rules.CaseFields{Title: text}, d); got.Title == nil || *got.Title != want || len(got.Faults) > 0 {
			t.Errorf("%s gives %+v, want %q; faults %v", text, got, want, got.Faults)
		}
	}
}

// What a placeholder gives is escaped, not what its expression looks at.
func TestP7WhatAPlaceholderGivesIsEscapedForWhereItGoes(t *testing.T) {
	t.Parallel()
	d := seen("web_01")
	d.User, d.Tags = "*bold*", []string{"a/b", "[c](d)"}
	for text, want := range map[string]string{
		`**{{ detection.host }}**`:                              `**web_01**`,
		`{{ detection.host == "web_01" ? "a_b" : "wrong" }}`:    `a_b`,
		`{{ detection.host + "*" }}`:                            `web_01\*`,
		`{{ detection.tags }}`:                                  `a/b, [c\](d)`,
		`{{ detection.time }}`:                                  `2026-03-14T09:00:00Z`,
		`C:\{{ detection.user }}`:                               `C:\\\*bold\*`,
		`C:\\{{ detection.user }}`:                              `C:\\\*bold\*`,
		`C:\{{ detection.tags }}`:                               `C:\\a/b, [c\](d)`,
		`[it](https://x.example/{{ detection.tags }}) *x*`:      `[it](https://x.example/a%2Fb%2C%20%5Bc%5D%28d%29) *x*`,
		`[it](<https://x.example/{{ 1 }}/{{ detection.user}}>)`: `[it](<https://x.example/1/%2Abold%2A>)`,
		`[it]{{ "(https://evil)" }} {{ "[it]" }}(x)`:            "[it]`(https://evil)` `[it]`(x)",
		`[it](https://x.example/) ({{ detection.user }}`:        `[it](https://x.example/) (\*bold\*`,
	} {
		got := written(t, rules.CaseFields{Description: text}, d)
		if description(got) != want || len(got.Faults) > 0 {
			t.Errorf("%s gives\n%s, want\n%s; faults %v", text, description(got), want, got.Faults)
		}
	}
	for to, want := range map[string]string{
		"https://x.example/{{ detection.user }}":                                  "https://x.example/%2Abold%2A",
		"https://x.example/{{ detection.tags }}":                                  "https://x.example/a%2Fb%2C%20%5Bc%5D%28d%29",
		"https://x.example?at={{ detection.time }}":                               "https://x.example?at=2026-03-14T09%3A00%3A00Z",
		`https://x.example/{{ "." }}{{ "." }}/{{ ".." }}/{{ "..." }}x{{ ".a." }}`: "https://x.example///x.a.",
	} {
		got := written(t, rules.CaseFields{Links: []rules.Link{{Name: "x", URL: to}}}, d)
		if !strings.HasSuffix(description(got), "- [x]("+want+")\n") || len(got.Faults) > 0 {
			t.Errorf("%s gives\n%s, want\n%s; faults %v", to, description(got), want, got.Faults)
		}
	}
}

func TestTheHostOfALinkIsNeverAnEvents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]rules.CaseFields{
		"all of it":          {Links: []rules.Link{{Name: "x", URL: "{{ detection.title }}"}}},
		"the host":           {Links: []rules.Link{{Name: "x", URL: "https://{{ detection.host }}/"}}},
		"the end of it":      {Links: []rules.Link{{Name: "x", URL: "https://x.{{ detection.host }}/"}}},
		"a port":             {Links: []rules.Link{{Name: "x", URL: "https://x:{{ detection.severity }}/"}}},
		"a user":             {Links: []rules.Link{{Name: "x", URL: "https://x@y.example/{{ detection.host }}"}}},
		"another scheme":     {Links: []rules.Link{{Name: "x", URL: "javascript:alert(1)"}}},
		"a link in Markdown": {Description: "[x]({{ detection.title }})"},
		"its host":           {Tasks: []rules.Task{{Title: "t", Description: "a ![x]( <https://{{ detection.host }}/>)"}}},
	} {
		_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", Case: c}}})
		if got := placesOf(err); !strings.Contains(got, "must begin with https:// and a whole host") {
			t.Errorf("%s: error %s", name, got)
		}
	}
}

// TestExpressionsHaveALengthAndADepth: what would cost much to compile is refused before it is.
func TestExpressionsHaveALengthAndADepth(t *testing.T) {
	long := "detection.host == 'a" + strings.Repeat("a", 64<<10) + "'"
	for name, c := range map[string]struct {
		rules rules.Rules
		want  string
	}{
		"a long condition": {rules.Rules{Routes: []rules.Route{{Name: "r", When: long, Drop: true}}}, "routes[0].when: is longer than 65536 bytes"},
		"a long key":       {rules.Rules{Routes: []rules.Route{{Name: "r", Key: long}}}, "routes[0].key: is longer than 65536 bytes"},
		"a long text":      {rules.Rules{Routes: []rules.Route{{Name: "r", Case: rules.CaseFields{Title: "{{ " + long + " }}"}}}}, "routes[0].case.title: is longer than 65536 bytes"},
		"depth":            {rules.Rules{Routes: []rules.Route{{Name: "r", When: strings.Repeat("(", 30_000) + "true" + strings.Repeat(")", 30_000), Drop: true}}}, "recursion limit"},
		"depth of lists":   {rules.Rules{Routes: []rules.Route{{Name: "r", When: strings.Repeat("[", 60_000), Drop: true}}}, "recursion limit"},
		"depth of not":     {rules.Rules{Routes: []rules.Route{{Name: "r", When: strings.Repeat("!-", 30_000) + "true", Drop: true}}}, "routes[0].when"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := rules.NewRouter(c.rules)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q, got %.300v", name, c.want, err)
		}
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 100 {
			t.Errorf("%s: takes %d MiB", name, used)
		}
	}
}

func TestTextsThatFailOnADetectionGiveWayAndAreTold(t *testing.T) {
	t.Parallel()
	d := seen("web01")
	d.Description = strings.Repeat("*", 40<<10)
	for text, fails := range map[string]bool{
		"{{ detection.tags[0] }}":                        true,
		`{{ dyn({"a": 1}) }}`:                            true,
		"{{ [dyn(1)] }}":                                 true,
		"{{ detection.description }}":                    true, // 80 KiB, escaped
		"{{ detection.description.substring(0, 1000) }}": false,
		"{{ detection.tags.size() > 0 ? detection.tags[0] : detection.host }}":   false,
		`{{ lists.range(1000).map(i, lists.range(1000).map(j, i * j)).size() }}`: true, // beyond what it may cost
	} {
		got := written(t, rules.CaseFields{Description: text}, d)
		var want []string
		if fails {
			want = []string{"route r description"}
		}
		if gave := description(got) == preset; gave != fails || !slices.Equal(got.Faults, want) {
			t.Errorf("%s: faults %v, description %.80s", text, got.Faults, description(got))
		}
	}
}

func TestALevelThatIsAlwaysTheSameIsCheckedAtTheStart(t *testing.T) {
	t.Parallel()
	_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{
		{Name: "r", Case: rules.CaseFields{Severity: "hihg", TLP: "5", PAP: "amber+strict"}},
		{Name: "s", Case: rules.CaseFields{Severity: " High", TLP: "amber+strict", PAP: "3"}},
		{Name: "t", Case: rules.CaseFields{Severity: "{{ detection.host }}", TLP: "{{ 7 }}"}},
	}})
	want := `0:0 "hihg" is neither 1 to 4 nor low, medium, high, critical` +
		` 0:0 "5" is neither 0 to 4 nor clear, white, green, amber, amber+strict, red` +
		` 0:0 "amber+strict" is neither 0 to 3 nor clear, white, green, amber, red`
	if d := cmp.Diff(want, placesOf(err)); d != "" {
		t.Error(d)
	}
}

func TestAValueOfACustomFieldIsOfItsType(t *testing.T) {
	t.Parallel()
	d := seen("NaN")
	d.Key = "k"
	for _, x := range []struct {
		kind, fixed, rendered string
		want                  any // nil is refused
	}{
		{"", "x", "{{ detection.host }}", "NaN"},
		{"integer", "4 ", "{{ detection.severity }}", int64(3)},
		{"integer", "four", "{{ detection.host }}", nil},
		{"float", "0.5", "{{ 1.0 / 4.0 }}", 0.25},
		{"float", "NaN", "{{ detection.host }}", nil}, // JSON cannot write it
		{"float", "-Inf", `{{ "inf" }}`, nil},
		{"boolean", "true", "{{ detection.severity > 2 }}", true},
		{"boolean", "yes", "{{ detection.host }}", nil},
		{"date", "2026-03-14T09:00:00Z", "{{ detection.time }}", day(9).UnixMilli()},
		{"date", "soon", "{{ detection.host }}", nil},
	} {
		of := func(value string) rules.CaseFields {
			return rules.CaseFields{Fields: []rules.Field{{Name: "n", Type: x.kind, Value: value}}}
		}
		got := written(t, of(x.rendered), d)
		if failed := len(got.Faults) > 0; failed != (x.want == nil) {
			t.Errorf("%s %s: faults %v", x.kind, x.rendered, got.Faults)
		}
		if values := got.Shape.Fields; x.want != nil && !cmp.Equal(values, []hive.CustomField{{Name: "n", Value: x.want}}) {
			t.Errorf("%s %s: values %v", x.kind, x.rendered, values)
		}
		_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", Case: of(x.fixed)}}})
		if (err != nil) != (x.want == nil) || err != nil && !strings.HasSuffix(placesOf(err), "is no value of the type "+x.kind) {
			t.Errorf("%s %s: error %v", x.kind, x.fixed, err)
		}
	}
}

// FuzzP7NoEventActsInAText: rendered, what a placeholder gave in Markdown is the text and nothing
// but text, and a link is one link to the host that the route names.
func FuzzP7NoEventActsInAText(f *testing.F) {
	for _, s := range []string{"web01", "*a*", "../..", "..", "`", "a) [b](c", "<b>", "\\", "a\n\n# b", "http://evil.example", "&amp;", "{{ 1 }}", "\xff", `" onclick="`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		d := seen("h")
		d.Host, d.Key, d.Tags = host, "k", []string{host}
		got := written(t, rules.CaseFields{
			Description: `A {{ detection.host }}, C:\{{ detection.tags }} [in](https://y.example/{{ detection.host }}).`,
			Links:       []rules.Link{{Name: "x", URL: "https://x.example/a/{{ detection.host }}?q={{ detection.host }}"}},
		}, d)
		var html bytes.Buffer
		if err := goldmark.Convert([]byte(description(got)), &html); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(html.String(), "<a href="); n != 2 || strings.Contains(html.String(), "<em>") {
			t.Errorf("%q became %s", host, html.String())
		}
		_, to, _ := strings.Cut(description(got), "- [x](")
		u, err := url.Parse(strings.TrimSuffix(to, ")\n"))
		if err != nil || u.Host != "x.example" || !strings.HasPrefix(u.JoinPath().EscapedPath(), "/a/") || strings.Count(u.EscapedPath(), "/") != 2 {
			t.Errorf("%q became %s, %v", host, to, err)
		}
	})
}
