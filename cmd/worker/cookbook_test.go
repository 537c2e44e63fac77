package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/workertest"
)

// recipe is a heading of the cookbook, the rules below it, and an event that they are for.
var recipe = regexp.MustCompile("(?ms)^### (\\d+)\\. ([^\n]+)\n.*?^```yaml\n(.*?)^```\n.*?^```json(?: subject=(\\S+))?\n(.*?)^```$")

// named is the name of a rule.
var named = regexp.MustCompile(`(?m)^ +-? ?name: (.*)$`)

// TestTheCookbookWorks: every recipe alone is a configuration that compiles, and takes its event without a fault.
func TestTheCookbookWorks(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(workertest.Root(t), "docs", "how-to", "cookbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir, lookups := t.TempDir(), ""
	for _, b := range block.FindAllStringSubmatch(string(text), -1) {
		switch filepath.Ext(b[2]) {
		case ".yaml":
			lookups = b[3]
		case ".csv":
			if err := os.WriteFile(filepath.Join(dir, b[2]), []byte(b[3]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	recipes := recipe.FindAllStringSubmatch(string(text), -1)
	if len(recipes) != 20 || len(recipes) != strings.Count(string(text), "\n### ") {
		t.Fatalf("%d recipes, want 20, each with rules and an event", len(recipes))
	}
	for _, r := range recipes {
		t.Run(r[1], func(t *testing.T) {
			name := filepath.Join(dir, "forager"+r[1]+".yaml")
			if err := os.WriteFile(name, []byte(lookups+r[3]), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := configFlag{Config: name}.load(&shell.Shell{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := rulefiles.NewRouter(c, rulefiles.NewWitness()); err != nil {
				t.Fatal(err)
			}
			got := verdictOn(t, name, r[4], r[5])
			if want := named.FindStringSubmatch(r[3])[1]; got.Route != want && got.Silence != want || len(got.Faults) > 0 || got.Error != "" {
				t.Errorf("%s: %+v", r[2], got)
			}
		})
	}
}

// ruled is what the tests of documents want to know of explain's answer.
type ruled struct {
	Route, Silence, Error string
	Faults                []json.RawMessage
}

// verdictOn asks explain about one event in Forager's own form.
func verdictOn(t *testing.T, config, subject, event string) ruled {
	t.Helper()
	event = strings.Replace(event, "{", `{"schema": "forager.detection/v1", `, 1)
	args := []string{"explain", "--config", config}
	if subject != "" {
		args = append(args, "--subject", subject)
	}
	var out, complaints strings.Builder
	if code := run(t.Context(), args, nil, strings.NewReader(event), &out, &complaints); code != exitDone {
		t.Fatalf("exit %d: %s", code, complaints.String())
	}
	var got ruled
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return got
}
