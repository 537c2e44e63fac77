package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/cmd/worker/workertest"
	"forager/enrich/detection/formats"
)

// TestReferenceOfFormatsIsThatOfTheirFiles: -update writes docs/reference/formats.md anew.
func TestReferenceOfFormatsIsThatOfTheirFiles(t *testing.T) {
	all, err := formats.Describe()
	if err != nil {
		t.Fatal(err)
	}
	root := workertest.Root(t)
	name := filepath.Join(root, "docs", "reference", "formats.md")
	var want strings.Builder
	want.WriteString(formatsHead)
	for _, f := range all {
		fmt.Fprintf(&want, "| [`%s`](#%s) | %s | %s |\n", f.Name, f.Name, cell(f.Product), cell(reasons(f)))
	}
	for _, f := range all {
		writeFormat(&want, f)
		fmt.Fprintf(&want, "\n[Format file](../../enrich/detection/formats/%s)", f.File)
		sample := filepath.Join("cmd", "worker", "demo", "samples", f.Name+".ndjson")
		if _, err := os.Stat(filepath.Join(root, sample)); err == nil {
			fmt.Fprintf(&want, ", [sample](../../%s)", filepath.ToSlash(sample))
		}
		want.WriteString("\n")
	}
	if *Update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.String(), string(got)); d != "" {
		t.Errorf("docs/reference/formats.md (go test ./cmd/worker -run Reference -update), want -, got +:\n%s", d)
	}
}

const formatsHead = `# Formats

What the built-in formats recognise and read. This file is generated from them: ` + "`go test ./cmd/worker -run Reference -update`" + ` writes it anew.
` + "`worker formats show NAME`" + ` says the same of an operator's formats, and ` + "`worker explain --why`" + ` where the values of one alert were found.

- A path ` + "`a.b`" + ` is nested, flat or both; names match whatever their case, with or without "_" and "-". Texts of conditions stand as they are compared:
  without case, "_" and "-".
- Of several places of a field the first that says something counts; of observables, tags and techniques all do. ` + "`a` + `b`" + ` are read together.
- Places hold under conditions, too: the file of the format has them.
- **key** is the sender's own correlation key. Where it names none, host, user and address are asked, then the **last key**.
- What is **dropped** is acknowledged and counted by its reason.

| Format | Reads | Drops |
|---|---|---|
`

// reasons are those for which a format drops parts.
func reasons(f formats.File) string {
	var all []string
	for _, d := range f.Drops {
		if !slices.Contains(all, d.Reason) {
			all = append(all, d.Reason)
		}
	}
	return strings.Join(all, ", ")
}

// writeFormat writes the section of a format.
func writeFormat(w *strings.Builder, f formats.File) {
	fmt.Fprintf(w, "\n## %s\n\n%s\n", f.Name, f.Comment)
	bullets := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(w, "\n%s:\n- %s\n", title, strings.Join(lines, "\n- "))
		}
	}
	bullets("Recognised by any of", f.Recognised)
	var drops []string
	for _, d := range f.Drops {
		drops = append(drops, d.Reason+": "+d.When)
	}
	bullets("Dropped", drops)
	if !f.Fragment {
		bullets("Severity, the first that says one", append(f.Severity, "else "+f.Default))
	}
	bullets("Takes from other formats", f.Takes)
	w.WriteString("\n| Field | From |\n|---|---|\n")
	for _, of := range f.Fields {
		fmt.Fprintf(w, "| %s | %s |\n", of.Name, cell(strings.Join(of.From, ", ")))
	}
}

// cell is a text fit for a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
