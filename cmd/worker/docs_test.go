package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"forager/cmd/worker/shell"
	"forager/cmd/worker/workertest"
	"forager/config"
)

// TestReferenceOfTheConfigurationIsThatOfTheCode: -update writes it anew.
func TestReferenceOfTheConfigurationIsThatOfTheCode(t *testing.T) {
	name := filepath.Join(workertest.Root(t), "docs", "reference", "configuration.md")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), "-update -->\n")
	got, tail, closed := strings.Cut(rest, "<!-- /reference -->")
	if !ok || !closed {
		t.Fatal("configuration.md has lost the marks around its reference")
	}
	var want strings.Builder
	if err := config.WriteReference(&want); err != nil {
		t.Fatal(err)
	}
	if *Update {
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

// inTable is a command that the table of commands describes.
var inTable = regexp.MustCompile("`worker ([a-z]+)`")

// TestReferenceTellsOfTheCommandsInTheOrderOfHelp, and of no other.
func TestReferenceTellsOfTheCommandsInTheOrderOfHelp(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(workertest.Root(t), "docs", "reference", "commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| Command | Does |")
	table, _, _ = strings.Cut(table, "\n\n")
	var told []string
	for _, row := range inTable.FindAllStringSubmatch(table, -1) {
		told = append(told, row[1])
	}
	if d := cmp.Diff(shell.Names(newCommandLine(&shell.Shell{})), told); d != "" {
		t.Errorf("commands, help -, commands.md +:\n%s", d)
	}
}

// TestHelpIsWhatPeopleHaveRead: -update writes it anew; read it before you commit it.
func TestHelpIsWhatPeopleHaveRead(t *testing.T) {
	var all strings.Builder
	describe(t, newCommandLine(&shell.Shell{}), &all)
	name := filepath.Join("testdata", "help.txt")
	if *Update {
		if err := os.WriteFile(name, []byte(all.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), all.String()); d != "" {
		t.Errorf("%s, want -, got +:\n%s", name, d)
	}
	for i, line := range strings.Split(all.String(), "\n") {
		if n := utf8.RuneCountInString(line); n > shell.Columns {
			t.Errorf("%s:%d: %d columns, at most %d", name, i+1, n, shell.Columns)
		}
	}
}

// describe writes the help of a command and of those below it.
func describe(t *testing.T, c *cobra.Command, w io.Writer) {
	t.Helper()
	fmt.Fprintf(w, "$ %s --help\n", c.CommandPath())
	if err := shell.WriteHelp(w, c); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(w)
	for _, sub := range shell.Children(c) {
		describe(t, sub, w)
	}
}

// block is a fenced block of a document: its language, the file that it is, if any, and its text.
var block = regexp.MustCompile("(?ms)^```([a-z]+)(?: (\\S+))?\n(.*?)^```$")

// TestTheTutorialOfFormatsIsTrue: its files are written, its commands run, in their order, and what they print is what it shows.
func TestTheTutorialOfFormatsIsTrue(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(workertest.Root(t), "docs", "tutorial", "own-format.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	commands := 0
	for _, b := range block.FindAllStringSubmatch(string(text), -1) {
		switch language, file, text := b[1], b[2], b[3]; {
		case file != "":
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		case language == "console":
			command, want, _ := strings.Cut(text, "\n")
			args, isWorker := strings.CutPrefix(command, "$ worker ")
			if !isWorker {
				t.Fatalf("no command: %s", command)
			}
			var got strings.Builder
			run(t.Context(), strings.Fields(args), nil, strings.NewReader(""), &got, &got)
			if d := cmp.Diff(want, got.String()); d != "" {
				t.Errorf("%s, the document -, the command +:\n%s", command, d)
			}
			commands++
		}
	}
	if commands < 3 {
		t.Errorf("%d commands", commands)
	}
}
