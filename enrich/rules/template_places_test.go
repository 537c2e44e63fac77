package rules_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	ghtml "github.com/yuin/goldmark/renderer/html"

	"forager/enrich/rules"
)

// Whatever writes a link in Markdown, an event does not choose where it leads; nor does it stand
// where it could end what is around it.
func TestP7ATemplateThatLetsAnEventChooseIsRefused(t *testing.T) {
	t.Parallel()
	const host = "must begin with https:// and a whole host"
	for text, want := range map[string]string{
		"See [it][1]\n\n[1]: {{ detection.title }}\n":          host,
		"[1]: https://{{ detection.host }}/x\n":                host,
		"[1]: <{{ detection.host }}>\n":                        host,
		"See [it][1]\n\n[1]: /x/{{ detection.title }}":         host,
		"<https://{{ detection.host }}/x>":                     host,
		"<mailto:{{ detection.user }}@corp.example>":           host,
		"<{{ detection.user }}@corp.example>":                  host,
		"https://{{ detection.host }}":                         host,
		"https://x.example.{{ detection.host }}/":              host,
		"//{{ detection.host }}":                               host,
		"x https://y.example{{ detection.host }}":              host,
		"www.{{ detection.host }}.example/x":                   host,
		"[x](javascript:{{ detection.title }})":                host,
		"[x]( <{{ detection.title }}> 'title')":                host,
		"![x](//{{ detection.host }})":                         host,
		"[x](https://u:p@{{ detection.host }}/)":               host,
		"[a](https://edr.example(a){{ detection.host }})":      host,
		"<img src=\"{{ detection.ip }}{{ detection.user }}\">": "stands in HTML",
		"<div>\n{{ detection.user }}</div>":                    "stands in HTML",
		"a <b title='{{ detection.user }}'>b</b>":              "stands in HTML",
		"<!-- {{ detection.user }} -->":                        "stands in HTML",
		"[x](https://x.example/ \"{{ detection.user }}\")":     "stands in the label or title",
		"[{{ detection.user }}]: https://x.example/":           "stands in the label or title",
		"[a]: https://x.example/ '{{ detection.user }}'":       "stands in the label or title",
		"```{{ detection.user }}\nx\n```":                      "stands beside the fence",
		"it`s {{ detection.user }}":                            "stands behind a backtick",
		"`a`{{ detection.user }}":                              "stands behind a backtick", "`` {{ detection.user }} `": "stands behind a backtick",
	} {
		_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", Case: rules.CaseFields{Description: text}}}})
		if got := placesOf(err); !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for name, c := range map[string]rules.CaseFields{
		"a field of the type url": {Fields: []rules.Field{{Name: "ref", Type: "url", Value: "{{ detection.title }}"}}},
		"its host":                {Fields: []rules.Field{{Name: "ref", Type: "url", Value: "https://{{ detection.host }}/"}}},
		"one that is a script":    {Fields: []rules.Field{{Name: "ref", Type: "url", Value: "javascript:alert(1)"}}},
		"a task":                  {Tasks: []rules.Task{{Title: "t", Description: "[a][b]\n\n[b]: {{ detection.title }}"}}},
		"a page":                  {Pages: []rules.Page{{Title: "t", Content: "<https://{{ detection.host }}>"}}},
		"the name of a link":      {Links: []rules.Link{{Name: "<b>{{ detection.host }}</b>", URL: "https://x.example/"}}},
	} {
		_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", Case: c}}})
		if c.Links != nil {
			continue // HTML around is the operator's, the value is text
		}
		if got := placesOf(err); !strings.Contains(got, host) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// templates are those that a value may stand in, each with how many links it has.
var templates = map[string]int{
	"Host {{ detection.host }}.": 0, "{{ detection.host }}{{ detection.user }}": 0, "{{ detection.host }}.{{ detection.user }}": 0,
	"a@{{ detection.host }}": 0, "x.{{ detection.host }} {{ detection.user }}.com": 0, "mailto:{{ detection.user }}": 0,
	"# {{ detection.host }}\n\n> {{ detection.user }}\n\n- {{ detection.host }}": 0,
	"| a | b |\n|---|---|\n| {{ detection.host }} | {{ detection.user }} |\n":    0,
	"`{{ detection.host }}` and ``x {{ detection.user }}``":                      0,
	"```\n{{ detection.host }}\n```\n":                                           0,
	"~~~\n{{ detection.host }}\n~~~\n":                                           0,
	"> ```\n> {{ detection.host }}\n> ```\n":                                     0,
	"x\n\n    {{ detection.host }}\n":                                            0,
	"[in {{ detection.host }}](https://y.example/{{ detection.host }}) and [a][1].\n\n[1]: https://y.example/(a)/{{ detection.user }}\n": 2,
	"![i](https://y.example/{{ detection.host }})":                                         1,
	"<https://y.example/{{ detection.host }}> https://y.example/?q={{ detection.user }} x": 2,
	"[it](https://y.example/(a)/{{ detection.host }})":                                     1,
	`\{{ detection.host }}[x\]({{ detection.user }})`:                                      0,
	"[{{ detection.host }}] {{ detection.user }}\n\n[1]: https://y.example/\n":             0,
}

func TestP7NoValueActsInAnyPlaceOfATemplate(t *testing.T) {
	t.Parallel()
	for text, links := range templates {
		for i, a := range lures {
			actsNot(t, text, links, a, lures[(i*7+3)%len(lures)])
		}
	}
}

// actsNot fails when a value acts in a template that has so many links of its own. A text that gives way to the default is fine.
func actsNot(t *testing.T, text string, links int, host, user string) {
	t.Helper()
	d := seen("h")
	d.Host, d.User, d.Key = host, user, "k"
	got := written(t, rules.CaseFields{Description: text}, d)
	if len(got.Faults) > 0 {
		return
	}
	var out bytes.Buffer
	renderer := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList), goldmark.WithRendererOptions(ghtml.WithUnsafe()))
	if err := renderer.Convert([]byte(description(got)), &out); err != nil {
		t.Fatal(err)
	}
	page := inCode.ReplaceAllString(out.String(), "")
	own := strings.Count(page, `href="https://y.example/`) + strings.Count(page, `src="https://y.example/`)
	all := strings.Count(page, "href=") + strings.Count(page, "src=")
	bad := all != own || own > links
	for _, tag := range []string{"<script", "<em>", "<input", "onerror", "<h2"} {
		bad = bad || strings.Contains(page, tag)
	}
	if bad {
		t.Errorf("%q with %q and %q became\n%s\n%s", text, host, user, description(got), page)
	}
}

func FuzzP7NoValueActsInAnyPlaceOfATemplate(f *testing.F) {
	for i, a := range lures {
		f.Add(a, lures[(i*7+3)%len(lures)])
	}
	f.Fuzz(func(t *testing.T, host, user string) {
		for text, links := range templates {
			actsNot(t, text, links, host, user)
		}
	})
}

func TestP7WhatAnEventGivesIsComparedAsAWhole(t *testing.T) {
	t.Parallel()
	for op, works := range map[string]bool{"": true, "eq": true, "like": true, "ne": false, "match": false, "startsWith": false, "endsWith": false} {
		_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", Filter: []rules.Term{{Field: "title", Op: op, Value: "{{ detection.host }}"}}}}})
		if got := placesOf(err); (err == nil) != works || !works && !strings.Contains(got, "could reach any case: use eq") {
			t.Errorf("%q: %q", op, got)
		}
		if _, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", Filter: []rules.Term{{Field: "title", Op: op, Value: "* of ours"}}}}}); err != nil {
			t.Errorf("%q with a fixed value: %v", op, err)
		}
	}
	for _, value := range []string{"*{{ detection.host }}*", "a?{{ detection.host }}", "{{ detection.host }}%"} {
		_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", Filter: []rules.Term{{Field: "title", Op: "like", Value: value}}}}})
		if got := placesOf(err); !strings.Contains(got, "has a wildcard") {
			t.Errorf("%s: %q", value, got)
		}
	}
	filter := rules.Route{Name: "r", Filter: []rules.Term{{Field: "title", Op: "like", Value: "{{ detection.host }}"}}}
	for _, host := range []string{"*", "?", "%", "_", "a", `\*`, "c*"} {
		got, err := json.Marshal(decided(t, filter, seen(host)).Filter)
		if want := fmt.Sprintf(`{"_and":[{"_eq":{"_field":"title","_value":%q}}]}`, host); err != nil || string(got) != want {
			t.Errorf("%q becomes %s, %v, want %s", host, got, err, want)
		}
	}
}
