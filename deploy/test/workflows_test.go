package deploytest

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

const workflows = "../../.github/workflows"

// TestWorkflowsAreWhatActionsUnderstands: syntax, expressions, contexts and the inputs of known actions.
func TestWorkflowsAreWhatActionsUnderstands(t *testing.T) {
	files := workflowFiles(t)
	if len(files) < 2 {
		t.Fatalf("workflows: %v", files)
	}
	for _, name := range files {
		for _, complaint := range lint(t, name, content(t, name)) {
			t.Error(complaint)
		}
	}
}

// TestTheWorkflowLinterSeesMistakes, so that its silence means something.
func TestTheWorkflowLinterSeesMistakes(t *testing.T) {
	for name, change := range map[string][2]string{
		"key":        {"timeout-minutes:", "timeout-minute:"},
		"expression": {"github.ref", "github.rev"},
		"input":      {"go-version-file:", "go-version-path:"},
	} {
		file := filepath.Join(workflows, "ci.yaml")
		text := string(content(t, file))
		bad := strings.Replace(text, change[0], change[1], 1)
		if bad == text || len(lint(t, file, []byte(bad))) == 0 {
			t.Errorf("%s: passes, or is not in %s", name, file)
		}
	}
}

// Of a line in a workflow: the targets of make, and the repository's own scripts.
var (
	made   = regexp.MustCompile(`\bmake ([a-z ]+)`)
	script = regexp.MustCompile(`(?:^|[ "])(\.ci/[a-z]+|deploy/[a-z/]+)\b`)
	target = regexp.MustCompile(`(?m)^([a-z]+):`)
)

// TestWorkflowsCallOnlyWhatTheRepositoryHas: targets of the Makefile and scripts that may be run.
func TestWorkflowsCallOnlyWhatTheRepositoryHas(t *testing.T) {
	var targets []string
	for _, m := range target.FindAllSubmatch(content(t, "../../Makefile"), -1) {
		targets = append(targets, string(m[1]))
	}
	calls := 0
	for _, name := range workflowFiles(t) {
		for line := range strings.Lines(string(content(t, name))) {
			line, _, _ = strings.Cut(line, "#")
			if m := made.FindStringSubmatch(line); m != nil {
				for called := range strings.FieldsSeq(m[1]) {
					calls++
					if !slices.Contains(targets, called) {
						t.Errorf("%s: make %s: no such target", name, called)
					}
				}
			}
			for _, m := range script.FindAllStringSubmatch(line, -1) {
				calls++
				if info, err := os.Stat(filepath.Join("../..", m[1])); err != nil || info.Mode()&0o111 == 0 {
					t.Errorf("%s: %s: no such script", name, m[1])
				}
			}
		}
	}
	if calls < 3 {
		t.Errorf("%d calls found: this test reads the workflows wrongly", calls)
	}
}

func workflowFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(workflows + "/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func lint(t *testing.T, name string, text []byte) (complaints []string) {
	t.Helper()
	var quiet bytes.Buffer
	linter, err := actionlint.NewLinter(&quiet, &actionlint.LinterOptions{Color: actionlint.ColorOptionKindNever})
	if err != nil {
		t.Fatal(err)
	}
	found, err := linter.Lint(name, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		complaints = append(complaints, e.Error())
	}
	return complaints
}

func content(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
