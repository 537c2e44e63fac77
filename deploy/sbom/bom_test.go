package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write golden files anew")

// recorded is what Go would record in a binary.
func recorded() *debug.BuildInfo {
	return &debug.BuildInfo{
		GoVersion: "go1.26.8", Path: "forager/cmd/worker", Main: debug.Module{Path: "forager", Version: "v1.2.3"},
		Settings: []debug.BuildSetting{{Key: "-tags", Value: "image"}, {Key: "vcs.time", Value: "2026-03-01T08:00:00Z"}},
		Deps: []*debug.Module{
			{Path: "github.com/Example/Upper", Version: "v2.0.0+incompatible", Sum: "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
			{Path: "go.example.org/old", Version: "v1.0.0", Replace: &debug.Module{Path: "go.example.org/new", Version: "v1.0.1", Sum: "h1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}},
		},
	}
}

// TestEveryPartIsDescribed: -update writes the golden file anew.
func TestEveryPartIsDescribed(t *testing.T) {
	got := encoded(t, recorded(), licences{"github.com/Example/Upper": "MIT", "go.example.org/new": "MPL-2.0"})
	name := filepath.Join("testdata", "sbom.cdx.json")
	if *update {
		if err := os.WriteFile(name, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Error(d)
	}
	if err := validate(t, got); err != nil {
		t.Error(err)
	}
}

// TestTheSpecificationsSchemaIsInForce: what it forbids is refused, so that its silence means something.
func TestTheSpecificationsSchemaIsInForce(t *testing.T) {
	good := string(encoded(t, recorded(), licences{"github.com/Example/Upper": "MIT", "go.example.org/new": "MPL-2.0"}))
	for name, change := range map[string][2]string{
		"licence that SPDX has not": {`"id": "MPL-2.0"`, `"id": "Mozilla"`},
		"hash that is none":         {`"content": "0101`, `"content": "h1:0101`},
		"no name":                   {`"name": "go.example.org/new",`, ``},
		"time that is none":         {`"timestamp": "2026-03-01T08:00:00Z"`, `"timestamp": "yesterday"`},
		"serial number":             {`"urn:uuid:`, `"uuid:`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Errorf("%s: nothing to change", name)
		}
		if validate(t, []byte(bad)) == nil {
			t.Errorf("%s: passes", name)
		}
	}
}

// TestABinaryOfThisMachineIsDescribed: the test's own.
func TestABinaryOfThisMachineIsDescribed(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, _ := debug.ReadBuildInfo()
	var list strings.Builder
	for _, m := range info.Deps {
		list.WriteString(m.Path + " MIT\n")
	}
	terms := filepath.Join(t.TempDir(), "licences.txt")
	if err := os.WriteFile(terms, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var one, two bytes.Buffer
	for _, out := range []*bytes.Buffer{&one, &two} {
		if err := run([]string{"-licences", terms, self}, out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("two runs differ")
	}
	if err := validate(t, one.Bytes()); err != nil {
		t.Error(err)
	}
	var bom cdx.BOM
	if err := json.Unmarshal(one.Bytes(), &bom); err != nil {
		t.Fatal(err)
	}
	if got, want := len(*bom.Components), len(info.Deps)+1; got != want || want < 2 {
		t.Errorf("%d components, want %d", got, want)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	_, err := describe(recorded(), nil, licences{"github.com/Example/Upper": "MIT"})
	if err == nil || !strings.Contains(err.Error(), "go.example.org/new: its licence is not in the list") {
		t.Errorf("no licence: %v", err)
	}
	info := recorded()
	info.Deps[0].Sum = ""
	_, err = describe(info, nil, licences{"github.com/Example/Upper": "MIT", "go.example.org/new": "MIT"})
	if err == nil || !strings.Contains(err.Error(), "github.com/Example/Upper v2.0.0+incompatible: no checksum") {
		t.Errorf("no checksum: %v", err)
	}
	for _, args := range [][]string{{}, {"-licences", "nowhere.txt", "x"}, {"-licences", "bom.go", "nowhere"}, {"-licences", "bom.go", "bom.go"}} {
		var out bytes.Buffer
		if err := run(args, &out); err == nil || out.Len() > 0 {
			t.Errorf("%q: %v, wrote %q", args, err, out.String())
		}
	}
}

func encoded(t *testing.T, info *debug.BuildInfo, known licences) []byte {
	t.Helper()
	bom, err := describe(info, []byte("the binary"), known)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// validate holds a document against the schema of CycloneDX 1.6, which comes with the library.
func validate(t *testing.T, document []byte) error {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	const base = "http://cyclonedx.org/schema/"
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for id, file := range map[string]string{
		"bom-1.6.schema.json": "bom-1.6.schema.json", "spdx.schema.json": "spdx.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "schema", file))
		if err != nil {
			t.Fatal(err)
		}
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(base+id, schema); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile(base + "bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}
