package deploytest

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write golden files anew")

// TestEachValueSetRendersAsPeopleHaveRead: -update writes it anew; read it before you commit it. The dashboard and the alert rules are
// files of their own, which other tests read.
func TestEachValueSetRendersAsPeopleHaveRead(t *testing.T) {
	sets := valueSets(t)
	if len(sets) != 7 {
		t.Errorf("%d value sets, want 7", len(sets))
	}
	for _, set := range slices.Sorted(maps.Keys(sets)) {
		var got strings.Builder
		for _, o := range render(t, "--values", sets[set]) {
			if !strings.HasSuffix(o.name, "-dashboard") && !strings.HasSuffix(o.kind, " PrometheusRule") {
				fmt.Fprintf(&got, "---\n%s\n", strings.TrimSpace(string(o.text)))
			}
		}
		name := filepath.Join("testdata", "rendered", set+".yaml")
		if *update {
			if err := os.WriteFile(name, []byte(got.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got.String()); d != "" {
			t.Errorf("%s, want -, got +:\n%s", name, d)
		}
	}
}

// TestTheChartIsPackagedForARegistry: what "helm push" wants, without what only tests need; a release's version is that of its tag.
func TestTheChartIsPackagedForARegistry(t *testing.T) {
	dir := t.TempDir()
	if out, complaint, err := runHelm(t, "package", chart, "--version", "1.2.3", "--app-version", "1.2.3", "--destination", dir); err != nil {
		t.Fatalf("%v\n%s%s", err, out, complaint)
	}
	archive := filepath.Join(dir, "forager-1.2.3.tgz")
	shown, complaint, err := runHelm(t, "show", "chart", archive)
	if err != nil {
		t.Fatalf("%v\n%s", err, complaint)
	}
	var about struct {
		Name, Version, AppVersion, Description string
		Annotations                            map[string]string
	}
	if err := yaml.Unmarshal([]byte(shown), &about); err != nil {
		t.Fatal(err)
	}
	if about.Name != "forager" || about.Version != "1.2.3" || about.AppVersion != "1.2.3" {
		t.Errorf("%+v", about)
	}
	// https://artifacthub.io/docs/topics/annotations/helm/
	if about.Annotations["artifacthub.io/license"] != "Apache-2.0" || about.Annotations["artifacthub.io/category"] != "security" {
		t.Errorf("annotations: %v", about.Annotations)
	}
	var changes []struct{ Kind, Description string }
	if err := yaml.UnmarshalStrict([]byte(about.Annotations["artifacthub.io/changes"]), &changes); err != nil || len(changes) == 0 {
		t.Errorf("changes: %v %v", changes, err)
	}
	for _, c := range changes {
		if !slices.Contains([]string{"added", "changed", "deprecated", "removed", "fixed", "security"}, c.Kind) || c.Description == "" {
			t.Errorf("change: %+v", c)
		}
	}
	if _, complaint, err := runHelm(t, "template", "soc", archive, "--set", "thehive.url=https://hive"); err != nil {
		t.Errorf("the archive does not render: %v\n%s", err, complaint)
	}
}

// TestTheSchemaKnowsEveryValue: it refuses what is beside a value, at every depth, so that no typing mistake is passed over.
func TestTheSchemaKnowsEveryValue(t *testing.T) {
	text, err := os.ReadFile(chart + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	var leaves []string
	walk("", load(t, chart+"/values.yaml"), &leaves)
	for _, leaf := range leaves {
		at, parts := schema, strings.Split(leaf, ".")
		for i, part := range parts {
			properties, _ := at["properties"].(map[string]any)
			next, known := properties[part].(map[string]any)
			if !known {
				if at["additionalProperties"] == false || properties != nil && at["patternProperties"] == nil && i == 0 {
					t.Errorf("the schema does not know %s", leaf)
				}
				break // a map of any keys, such as labels
			}
			at = resolve(schema, next)
		}
	}
}

// resolve follows a reference.
func resolve(schema, s map[string]any) map[string]any {
	ref, is := s["$ref"].(string)
	if !is {
		return s
	}
	definitions, _ := schema["definitions"].(map[string]any)
	found, _ := definitions[strings.TrimPrefix(ref, "#/definitions/")].(map[string]any)
	return found
}

// shown is a value of YAML as people would write it.
func shown(v any) string {
	if n, ok := v.(float64); ok {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprint(v)
}
