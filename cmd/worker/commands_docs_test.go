package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"

	"forager/cmd/worker/shell"
	"forager/cmd/worker/workertest"
)

var (
	// fence is a fenced block of a document: its language, what stands behind that, and its text.
	fence = regexp.MustCompile("(?ms)^```([a-z]+)(?: (\\S+))?[^\n]*\n(.*?)^```$")
	// aside is the comment at the end of a command.
	aside  = regexp.MustCompile(`\s+# .*$`)
	target = regexp.MustCompile(`(?m)^([a-z]+):`)
)

// needs are what keeps a block of commands from being run by a test: servers of NATS and TheHive, or a cluster.
var needs = []string{"needs=server", "needs=cluster"}

// TestCommandsOfDocumentsRun: what stands in a block of commands is run as it stands, in the order of the document, among the files that the
// document shows; or the block says what it needs. The worker's commands and flags are there in any case.
func TestCommandsOfDocumentsRun(t *testing.T) {
	root, ran, marked := workertest.Root(t), 0, 0
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, m[1])
	}
	pages := tree(t, ".md")
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		t.Run(name, func(t *testing.T) {
			t.Chdir(yourEvents(t))
			for _, b := range fence.FindAllStringSubmatch(pages[name], -1) {
				language, behind, text := b[1], b[2], b[3]
				switch {
				case language == "sh" && slices.Contains(needs, behind):
					marked++
					eachCommand(text, func(words []string) { knownToTheWorker(t, words) })
				case language == "sh" && behind == "":
					eachCommand(text, func(words []string) {
						ran++
						runAsItStands(t, root, targets, words)
					})
				case language == "sh":
					t.Errorf("```sh %s: none of %v", behind, needs)
				case behind != "" && !strings.Contains(behind, "="):
					if err := os.WriteFile(behind, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
	if ran < 10 || marked < 8 {
		t.Errorf("%d commands were run, %d blocks are marked: this test reads the documents wrongly", ran, marked)
	}
}

// yourEvents makes a directory with what documents call path/to/….
func yourEvents(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "path", "to", "events"), 0o755); err != nil {
		t.Fatal(err)
	}
	const event = `{"schema":"forager.detection/v1","title":"One","severity":2,"host":"web01"}`
	const foreign = `{"alert_id":"X-77","rule_name":"Suspicious login","severity":"high","hostname":"ws-42","username":"carla","src_ip":"203.0.113.50","timestamp":"2026-03-02T01:00:00Z"}`
	for file, text := range map[string]string{"alert.json": event, "events/one.json": event, "alert-of-my-tool.json": foreign} {
		if err := os.WriteFile(filepath.Join(dir, "path", "to", file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// runAsItStands runs a command of the worker; of make and of scripts it looks whether they are there.
func runAsItStands(t *testing.T, root string, targets, words []string) {
	t.Helper()
	line := strings.Join(words, " ")
	switch args := argumentsOfTheWorker(words); {
	case args != nil:
		var out, complaints strings.Builder
		if code := run(t.Context(), args, nil, strings.NewReader(""), &out, &complaints); code != exitDone {
			t.Errorf("%s: ends with %d: %s", line, code, complaints.String())
		}
	case words[0] == "make":
		if !slices.Contains(targets, words[1]) {
			t.Errorf("%s: no such target", line)
		}
	case words[0] == "go" && words[1] == "build", strings.HasPrefix(words[0], ".ci/"):
		path := filepath.Join(root, filepath.FromSlash(words[0]))
		if words[0] == "go" {
			path = filepath.Join(root, filepath.FromSlash(words[len(words)-1]))
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	default:
		t.Errorf("%s: is neither run nor marked", line)
	}
}

// knownToTheWorker looks whether there are the command and the flags.
func knownToTheWorker(t *testing.T, words []string) {
	t.Helper()
	args := argumentsOfTheWorker(words)
	if args == nil {
		return
	}
	var found *cobra.Command
	found, rest, err := newCommandLine(&shell.Shell{}).Find(args)
	if err == nil {
		err = found.ParseFlags(rest)
	}
	if err == nil {
		err = found.ValidateArgs(found.Flags().Args())
	}
	if err != nil {
		t.Errorf("%s: %v", strings.Join(words, " "), err)
	}
}

// argumentsOfTheWorker are what stands behind the worker's name; nil when another program is called.
func argumentsOfTheWorker(words []string) []string {
	for len(words) > 0 && strings.Contains(words[0], "=") { // variables
		words = words[1:]
	}
	switch {
	case len(words) > 0 && (words[0] == "./worker" || words[0] == "worker"):
		return words[1:]
	case len(words) > 2 && slices.Equal(words[:3], []string{"go", "run", "./cmd/worker"}):
		return words[3:]
	default:
		return nil
	}
}

// eachCommand gives the words of each line, as a shell parts them, up to where its output goes elsewhere.
func eachCommand(text string, do func([]string)) {
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		var words []string
		var quote rune
		fresh := true
		for _, r := range aside.ReplaceAllString(strings.TrimSpace(line), "") {
			switch {
			case r == quote:
				quote = 0
			case quote == 0 && (r == '\'' || r == '"'):
				quote, fresh = r, fresh && !appendWord(&words)
			case quote == 0 && unicode.IsSpace(r):
				fresh = true
			default:
				if fresh {
					appendWord(&words)
					fresh = false
				}
				words[len(words)-1] += string(r)
			}
		}
		if end := slices.IndexFunc(words, func(w string) bool { return w == ">" || w == "|" }); end >= 0 {
			words = words[:end]
		}
		if len(words) > 0 && !strings.HasPrefix(words[0], "#") {
			do(words)
		}
	}
}

func appendWord(words *[]string) bool {
	*words = append(*words, "")
	return true
}

func TestCommandsAreReadAsAShellReadsThem(t *testing.T) {
	var got [][]string
	eachCommand("./worker a --b 'c d' > e   # f\n\n# no\nA=1 go run ./cmd/worker x | y\n", func(words []string) { got = append(got, words) })
	if len(got) != 2 || !slices.Equal(got[0], []string{"./worker", "a", "--b", "c d"}) || !slices.Equal(argumentsOfTheWorker(got[1]), []string{"x"}) {
		t.Errorf("%q", got)
	}
}
