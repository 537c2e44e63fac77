package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/workertest"
)

// TestTheRulesOfTheDocumentsWork: what is shown is a configuration that compiles.
func TestTheRulesOfTheDocumentsWork(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(workertest.Root(t), "docs", "how-to", "rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, fenced := strings.Cut(string(text), "```yaml\n")
	shown, rest, closed := strings.Cut(rest, "```\n")
	_, rest, again := strings.Cut(rest, "```yaml\n")
	texts, _, end := strings.Cut(rest, "```\n")
	if !fenced || !closed || !again || !end {
		t.Fatal("rules.md shows no routes, or no texts")
	}
	shown = strings.Replace(shown, "silences:\n", "  - name: texts\n    case:\n      "+strings.ReplaceAll(texts, "\n", "\n      ")+"\nsilences:\n", 1)
	dir := t.TempDir()
	name := filepath.Join(dir, "forager.yaml")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "rules.d"), 0o755), os.WriteFile(name, []byte(shown), 0o600)); err != nil {
		t.Fatal(err)
	}
	cfg, err := configFlag{Config: name}.load(&shell.Shell{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rulefiles.NewRouter(cfg, rulefiles.NewWitness()); err != nil || len(cfg.Routes) != 3 || len(cfg.Silences) != 1 {
		t.Errorf("%v; %d routes, %d silences", err, len(cfg.Routes), len(cfg.Silences))
	}
}

// TestMistakesInRulesAreNamedWithTheirPlace, all of them, by check.
func TestMistakesInRulesAreNamedWithTheirPlace(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "forager.yaml")
	text := `nats: {url: "nats://127.0.0.1:4222"}
hive: {url: "http://127.0.0.1:9000", apiKey: x}
allowLists:
  - {name: a, action: drop, kind: cidr, values: [10.0.0.0/99]}
  - {name: b, action: drop, file: missing.json}
routes:
  - name: r
    when: |
      detection.host == "a" &&
        detection.severity == "high"
    case:
      title: "é {{ detection.nope }}"
      links: [{name: x, url: "https://{{ detection.host }}/"}]
      severity: '{{ detection.severity'
      tlp: red hot
      description: |
        Seen by {{ detection.source }}
        on {{ detection.hots }} as {{ detection.rule }}.
      tasks: [{title: "{{.Host}}"}]
silences:
  - {name: s, when: "detection.host", owner: o, reason: r, expires: 2026-01-01}
`
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, complaints strings.Builder
	if code := run(t.Context(), []string{"check", "--config", name}, nil, nil, &out, &complaints); code != exitUsage {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{
		"line 4, column 49: allowLists[0].values", "line 5, column 35: allowLists[1].file", "line 10, column 28: routes[0].when",
		"line 12, column 29: routes[0].case.title", "line 13, column 31: routes[0].case.links[0].url", "line 14, column 18: routes[0].case.severity", "line 15, column 12: routes[0].case.tlp",
		"line 18, column 24: routes[0].case.description", "line 18, column 39: routes[0].case.description",
		"line 19, column 24: routes[0].case.tasks[0].title", "line 21, column 22: silences[0].when",
	} {
		if !strings.Contains(complaints.String(), "forager.yaml: "+want) {
			t.Errorf("%s\nlacks %s", complaints.String(), want)
		}
	}
}
