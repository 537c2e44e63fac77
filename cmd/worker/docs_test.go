package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/config"
)

// TestReferenceOfTheReadmeIsThatOfTheCode: -update writes it anew.
func TestReferenceOfTheReadmeIsThatOfTheCode(t *testing.T) {
	name := filepath.Join(root(t), "README.md")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), "-update -->\n")
	got, tail, closed := strings.Cut(rest, "<!-- /reference -->")
	if !ok || !closed {
		t.Fatal("README.md has lost the marks around its reference")
	}
	var want strings.Builder
	if err := config.WriteReference(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		whole := head + "-update -->\n" + want.String() + "<!-- /reference -->" + tail
		if err := os.WriteFile(name, []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want.String(), got); d != "" {
		t.Error(d)
	}
}

// TestReadmeNamesEveryCommand, and no other.
func TestReadmeNamesEveryCommand(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	parser, err := newParser(&shell{out: t.Output(), err: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, c := range parser.Model.Children {
		known[c.Name] = true
		if !strings.Contains(string(text), "`worker "+c.Name) {
			t.Errorf("README.md does not say what worker %s does", c.Name)
		}
	}
	for _, after := range strings.Split(string(text), "worker ")[1:] {
		word, _, _ := strings.Cut(after, " ")
		word, _, _ = strings.Cut(word, "`")
		if strings.HasPrefix(after, word+"` |") && !known[word] {
			t.Errorf("README.md describes worker %s, which is no command", word)
		}
	}
}
