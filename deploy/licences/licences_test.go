package licences

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write licences.txt anew")

// terms are the licences that are accepted, by words that only they have; the first that fits.
var terms = []struct{ name, words string }{
	{"Apache-2.0", "Apache License"},
	{"MPL-2.0", "Mozilla Public License"},
	{"BSD-3-Clause", "Neither the name"},
	{"BSD-2-Clause", "Redistributions in binary form"},
	{"MIT", "Permission is hereby granted, free of charge"},
	{"ISC", "Permission to use, copy, modify, and/or distribute"},
}

// part is what go list says of a package.
type part struct {
	Module *struct {
		Path, Dir string
		Main      bool
	}
}

// TestEveryPartHasALicenceThatWeMayUse: of the worker as it is installed, and of the image.
func TestEveryPartHasALicenceThatWeMayUse(t *testing.T) {
	found := map[string]string{}
	for _, tags := range []string{"", "image"} {
		for _, p := range parts(t, tags) {
			if p.Module == nil || p.Module.Main || found[p.Module.Path] != "" {
				continue
			}
			name, err := licence(p.Module.Dir)
			if err != nil {
				t.Errorf("%s: %v", p.Module.Path, err)
			}
			found[p.Module.Path] = name
		}
	}
	var lines []string
	for path, name := range found {
		lines = append(lines, path+" "+name+"\n")
	}
	slices.Sort(lines)
	got := strings.Join(lines, "")
	if *update {
		if err := os.WriteFile("licences.txt", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("licences.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("licences.txt, want -, got + (-update writes it):\n%s", diff)
	}
}

func parts(t *testing.T, tags string) []part {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tags, "-json=Module", "./cmd/worker")
	cmd.Dir, cmd.Stderr = filepath.Join("..", ".."), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []part
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p part
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// errTerms says that nobody has looked at a module's terms yet.
var errTerms = errors.New("no licence that this list accepts: look at it, then add its words")

// licence reads the module's own file, or that of a module around it.
func licence(dir string) (string, error) {
	for range 3 {
		files, err := filepath.Glob(filepath.Join(dir, "[LlCc][IiOo][CcPp][EeYy]*"))
		if err != nil {
			return "", err
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				continue // a folder of that name
			}
			plain := strings.Join(strings.Fields(string(text)), " ")
			for _, l := range terms {
				if strings.Contains(plain, l.words) {
					return l.name, nil
				}
			}
		}
		dir = filepath.Dir(dir)
	}
	return "", errTerms
}
