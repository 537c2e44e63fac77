//go:build integration

package image

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// lookup is a line of the linker's dependencies in which a function comes up that looks for
// methods by a name made at run time.
var lookup = regexp.MustCompile(`(?m)^(\S+)(?: <\S+>)* -> (\S+) <ReflectMethod>$`)

// TestNothingLooksForMethodsByName: one such function makes the linker keep every exported method
// of every type, which was a sixth of the image. Libraries that read templates or command lines
// bring one.
func TestNothingLooksForMethodsByName(t *testing.T) {
	out := compile(t, "../..", os.DevNull, "-ldflags=-dumpdep")
	if !bytes.Contains(out, []byte("main.main -> ")) {
		t.Fatalf("the linker told no dependencies:\n%.2000s", out)
	}
	for _, found := range lookups(out) {
		t.Errorf("%s: the linker keeps every exported method for it", found)
	}
}

// lookups says who reaches a function that looks for methods by name.
func lookups(dependencies []byte) (all []string) {
	for _, m := range lookup.FindAllSubmatch(dependencies, -1) {
		all = append(all, fmt.Sprintf("%s, called by %s", m[2], m[1]))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestALookupIsSeen, as the linker writes it.
func TestALookupIsSeen(t *testing.T) {
	text := "main.main -> main.run\n" +
		"text/template.(*state).evalFieldChain -> text/template.(*state).evalField <ReflectMethod>\n" +
		"text/template.(*state).evalField <ReflectMethod> -> reflect.Value.MethodByName\n" +
		"type:reflect.Value <UsedInIface> -> reflect.(*Value).Method <ReflectMethod>\n"
	want := []string{
		"reflect.(*Value).Method, called by type:reflect.Value",
		"text/template.(*state).evalField, called by text/template.(*state).evalFieldChain",
	}
	if got := lookups([]byte(text)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTwoClonesMakeTheSameBinary, in folders of different names and depths, and whatever flags the
// environment gives to Go.
func TestTwoClonesMakeTheSameBinary(t *testing.T) {
	dir := t.TempDir()
	var sums []string
	for i, name := range []string{"one", filepath.Join("another", "place")} {
		clone := filepath.Join(dir, name)
		git := exec.CommandContext(t.Context(), "git", "clone", "-q", "../..", clone)
		if out, err := git.CombinedOutput(); err != nil {
			t.Fatalf("git clone: %v\n%s", err, out)
		}
		t.Setenv("GOFLAGS", []string{"", "-buildvcs=false -tags=whatever"}[i])
		worker := filepath.Join(clone, "dist", "worker")
		compile(t, clone, worker)
		binary, err := os.ReadFile(worker)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(binary, []byte(dir)) {
			t.Errorf("the binary of %s names its folder", name)
		}
		if !strings.Contains(version(t, worker), revision(t, clone)) {
			t.Errorf("worker version does not name the commit %s: %s", revision(t, clone), version(t, worker))
		}
		sums = append(sums, fmt.Sprintf("%x", sha256.Sum256(binary)))
	}
	t.Logf("sha256 %s", sums[0])
	if sums[0] != sums[1] {
		t.Errorf("two clones of one commit: sha256 %s and %s", sums[0], sums[1])
	}
}

// compile makes the binary of the image from a clone, and gives what was said.
func compile(t *testing.T, clone, worker string, flags ...string) []byte {
	t.Helper()
	script, err := filepath.Abs(filepath.Join(clone, "deploy", "image", "compile"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(worker), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), script, append([]string{worker}, flags...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("deploy/image/compile: %v\n%.2000s", err, out)
	}
	return out
}

func version(t *testing.T, worker string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), worker, "version").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func revision(t *testing.T, clone string) string {
	t.Helper()
	git := exec.CommandContext(t.Context(), "git", "rev-parse", "--short=12", "HEAD")
	git.Dir = clone
	out, err := git.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
