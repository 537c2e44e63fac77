package hive_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"forager/hive"
)

// snippet is a piece of Go in docs/how-to/go-client.md, and the example that it was taken from.
var snippet = regexp.MustCompile("(?s)<!-- (Example[A-Za-z_]*) -->\n```go\n(.*?)\n```")

// TestPageShowsWhatExamplesRun: the code of docs/how-to/go-client.md is that of examples, line by line.
func TestPageShowsWhatExamplesRun(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "docs", "how-to", "go-client.md"))
	must(t, err)
	files, err := filepath.Glob("example*_test.go")
	must(t, err)
	var examples strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		examples.Write(text)
	}
	found := snippet.FindAllStringSubmatch(string(page), -1)
	if want := strings.Count(string(page), "```go\n") - 1; len(found) != want { // the first makes a client
		t.Errorf("%d of %d pieces name their example", len(found), want)
	}
	for _, s := range found {
		_, body, there := strings.Cut(examples.String(), "\nfunc "+s[1]+"() {")
		if !there {
			t.Errorf("no example %s", s[1])
			continue
		}
		body, _, _ = strings.Cut(body, "\n}\n")
		for line := range strings.Lines(s[2]) {
			_, rest, there := strings.Cut(body, strings.TrimSpace(line)+"\n")
			if !there {
				t.Errorf("%s does not run, there: %s", s[1], line)
				break
			}
			body = rest
		}
	}
}

// TestPackageDocumentHasALineForEachMethod.
func TestPackageDocumentHasALineForEachMethod(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("doc.go")
	must(t, err)
	for _, m := range []string{"String", "Format", "CloseIdle"} { // what every client has
		text = append(text, "\n//\t"+m+" "...)
	}
	for m := range reflect.TypeFor[*hive.Client]().Methods() {
		if !regexp.MustCompile("\n//\t" + m.Name + "\\s").Match(text) {
			t.Errorf("doc.go has no line for %s", m.Name)
		}
	}
}
