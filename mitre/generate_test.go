package mitre

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the embedded catalogue and golden files anew")

// shared finds a folder of the data that lie beside the repository, or, for
// bundles, where ATTACK_BUNDLES_DIR says. It skips the test without them.
func shared(tb testing.TB, parts ...string) string {
	tb.Helper()
	if dir := os.Getenv("ATTACK_BUNDLES_DIR"); dir != "" && slices.Contains(parts, "attack") {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			tb.Fatal("no go.mod above the package")
		}
		dir = filepath.Dir(dir)
	}
	dir = filepath.Join(append([]string{filepath.Dir(dir), "shared"}, parts...)...)
	if _, err := os.Stat(dir); err != nil {
		if *update {
			tb.Fatalf("nothing to write the catalogue from: %v", err)
		}
		tb.Skipf("needs the shared data, which are not beside this repository: %v", err)
	}
	return dir
}

// sourceBundles reads all bundles that the embedded catalogue is made of.
func sourceBundles(tb testing.TB) [][]byte {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(shared(tb, "data", "attack"), "*.json"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no bundles: %v", err)
	}
	var out [][]byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

const textHead = `# MITRE ATT&CK(R): ids, names, tactics and relations of techniques; written by "go generate ./mitre".
# (c) 2025 The MITRE Corporation. This work is reproduced and distributed with the permission of The MITRE Corporation.
`

// writeText writes a catalogue in the form that readText reads.
func writeText(c *Catalogue) []byte {
	var out bytes.Buffer
	out.WriteString(textHead)
	for _, releases := range domains(c) {
		fmt.Fprintf(&out, "\ndomain\t%s\n", releases[0].domain)
		ids := map[string]bool{}
		var said []map[string]*state
		for _, r := range releases {
			var matrix []string
			for _, t := range r.tactics {
				matrix = append(matrix, t.id)
			}
			fmt.Fprintf(&out, "release\t%s\t%s\n", r.version, strings.Join(matrix, " "))
			said = append(said, columns(r))
			for id := range said[len(said)-1] {
				ids[id] = true
			}
		}
		for _, id := range slices.Sorted(maps.Keys(ids)) {
			out.WriteString(row(id, releases, said))
		}
	}
	return out.Bytes()
}

// domains groups the releases of a catalogue.
func domains(c *Catalogue) [][]*release {
	return slices.Collect(func(yield func([]*release) bool) {
		for i := 0; i < len(c.releases); {
			j := i
			for j < len(c.releases) && c.releases[j].domain == c.releases[i].domain {
				j++
			}
			if !yield(c.releases[i:j]) {
				return
			}
			i = j
		}
	})
}

// columns are a release's techniques, and its tactics in the same form.
func columns(r *release) map[string]*state {
	out := maps.Clone(r.techniques)
	for _, t := range r.tactics {
		out[t.id] = &state{name: t.name, tactics: []string{t.short}}
	}
	return out
}

// row is the line of one technique or tactic: what each release says, where
// that differs from the one before.
func row(id string, releases []*release, said []map[string]*state) string {
	var name, cells string
	var old *state
	for i, r := range releases {
		s := said[i][id]
		switch {
		case s == nil && old != nil:
			cells += "\t" + r.version + " gone"
		case s != nil && name == "":
			name = s.name
			cells += "\t" + r.version + " " + cellText(id, name, s)
		case s != nil && old == nil:
			cells += "\t" + r.version + " " + cellText(id, "", s)
		case s != nil && !cmp.Equal(old, s, cmp.AllowUnexported(state{})):
			cells += "\t" + r.version + " " + cellText(id, old.name, s)
		}
		old = s
	}
	return id + "\t" + name + cells + "\n"
}

func cellText(id, name string, s *state) string {
	words := []string{strings.Join(s.tactics, ",")}
	if len(s.tactics) == 0 {
		words[0] = "-"
	}
	if s.deprecated {
		words = append(words, "deprecated")
	}
	if s.successor != "" {
		words = append(words, ">"+s.successor)
	} else if s.revoked {
		words = append(words, "revoked")
	}
	if s.parent != parentOf(id) {
		words = append(words, "^"+s.parent)
	}
	if s.name != name {
		words = append(words, "="+s.name)
	}
	return strings.Join(words, " ")
}

func TestEmbeddedCatalogueIsWhatTheBundlesSay(t *testing.T) {
	c, err := new(Catalogue).With(sourceBundles(t)...)
	if err != nil {
		t.Fatal(err)
	}
	want := writeText(c)
	if *update {
		if err := os.WriteFile("catalogue.txt", want, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), embedded); diff != "" {
		t.Errorf("catalogue.txt is out of date, run go generate ./mitre (-bundles +embedded):\n%.4000s", diff)
	}
	releases, err := readText(string(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.releases, releases, cmp.AllowUnexported(release{}, state{}, tactic{})); diff != "" {
		t.Errorf("what was read back differs from the bundles (-bundles +text):\n%.4000s", diff)
	}
}

func TestEmbeddedCatalogueIsSmall(t *testing.T) {
	if n := len(embedded); n > 150_000 {
		t.Errorf("embedded catalogue has %d bytes, more than 150 KB", n)
	}
}
