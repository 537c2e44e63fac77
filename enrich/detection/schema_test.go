package detection

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"forager/enrich/detection/formats"
)

// schema compiles one of docs/reference/schema.
func schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "..", "docs", "reference", "schema", name))
	mustBe(t, err)
	return s
}

// TestTheSchemaOfFormatFilesTakesAllThatThereAre, and refuses what the loader refuses.
func TestTheSchemaOfFormatFilesTakesAllThatThereAre(t *testing.T) {
	t.Parallel()
	s := schema(t, "format.json")
	files, err := filepath.Glob("formats/*.yaml")
	if err != nil || len(files) < 80 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		mustBe(t, err)
		if err := s.Validate(asJSON(t, text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	for _, wrong := range []string{
		"titel: [a]", "recognise: [{path: a}]", "drop: [{reason: x}]", "severity: [{path: a, bands: {1: lots}}]", "observables: [{typ: ip}]",
		"techniques: [{reader: list, path: a}]", "happened: {host: [a]}", "with: [{format: ecs, take: [tags]}]", "order: first",
	} {
		if s.Validate(asJSON(t, []byte("format: own\n"+wrong))) == nil {
			t.Errorf("%q: the schema takes it", wrong)
		}
		if _, err := formats.New(fstest.MapFS{"own.yaml": &fstest.MapFile{Data: []byte("format: own\n" + wrong)}}); err == nil {
			t.Errorf("%q: the loader takes it", wrong)
		}
	}
}

// asJSON gives YAML as a validator of JSON wants it.
func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	raw, err := yaml.YAMLToJSON(text)
	mustBe(t, err)
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	mustBe(t, err)
	return v
}

// TestTheSchemaOfTheNativeFormIsThatOfItsFormat: the fixtures fit, every member that the format reads is described, and what is
// described the format reads.
func TestTheSchemaOfTheNativeFormIsThatOfItsFormat(t *testing.T) {
	t.Parallel()
	s := schema(t, "detection.json")
	for _, name := range []string{"whole", "number-severity"} {
		text, err := os.ReadFile("testdata/native/" + name + ".json")
		mustBe(t, err)
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		mustBe(t, err)
		if err := s.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, wrong := range []string{`{}`, `{"schema":"v2","title":"x"}`, `{"schema":"forager.detection/v1"}`, `{"schema":"forager.detection/v1","title":"x","hots":"a"}`,
		`{"schema":"forager.detection/v1","title":"x","observables":[{"data":"1.2.3.4"}]}`, `{"schema":"forager.detection/v1","title":"x","severity":true}`} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(wrong))
		mustBe(t, err)
		if s.Validate(v) == nil {
			t.Errorf("%s: the schema takes it", wrong)
		}
	}
	var described struct{ Properties map[string]any }
	text, err := os.ReadFile("../../docs/reference/schema/detection.json")
	mustBe(t, err)
	mustBe(t, json.Unmarshal(text, &described))
	native, err := os.ReadFile("formats/native.yaml")
	mustBe(t, err)
	for name := range described.Properties {
		if !strings.Contains(string(native), name) {
			t.Errorf("the format does not read %s", name)
		}
	}
	d, err := New(Options{})
	mustBe(t, err)
	whole := map[string]any{"schema": "forager.detection/v1", "title": "x"}
	for name := range maps.Keys(described.Properties) {
		if _, given := whole[name]; !given && slices.Contains([]string{"process", "commandLine", "parent", "file", "from", "to", "action", "host", "user", "ip", "key", "direction", "description", "source"}, name) {
			whole[name] = "value-" + strings.ToLower(name)
		}
	}
	body, err := json.Marshal(whole)
	mustBe(t, err)
	r, err := d.Decode(Message{Body: body, Time: now})
	mustBe(t, err)
	happened := reflect.ValueOf(r.Detections[0].Happened)
	for i := range happened.NumField() {
		if happened.Field(i).String() == "" {
			t.Errorf("%s is described and not read", happened.Type().Field(i).Name)
		}
	}
}
