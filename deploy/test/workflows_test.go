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

// used is an action that a step uses; pinned is one by its commit, with the version that the commit is.
var (
	used   = regexp.MustCompile(`(?m)^\s*(?:- )?uses: (.*)$`)
	pinned = regexp.MustCompile(`(?m)@[0-9a-f]{40} # (v\d+)\.\d+\.\d+$`)
)

// TestActionsArePinnedByTheirCommit: a tag may be moved to other code.
func TestActionsArePinnedByTheirCommit(t *testing.T) {
	uses := 0
	for _, name := range workflowFiles(t) {
		for _, m := range used.FindAllStringSubmatch(string(content(t, name)), -1) {
			uses++
			if !pinned.MatchString(strings.TrimSpace(m[1])) {
				t.Errorf("%s: %s: want a commit, and behind it the version", name, m[1])
			}
		}
	}
	if uses < 6 {
		t.Errorf("%d actions found: this test reads the workflows wrongly", uses)
	}
}

// TestAReleaseHasAllThatIsPromised: what the documents say of a release is in its workflow.
func TestAReleaseHasAllThatIsPromised(t *testing.T) {
	text := string(content(t, filepath.Join(workflows, "release.yaml")))
	for what, sign := range map[string]string{
		"programs": "deploy/release/archives", "list of parts": "make sbom", "checksums": "sha256sum", "signature of the checksums": "cosign sign-blob --yes",
		"provenance": "actions/attest-build-provenance@", "two architectures": "platforms: linux/amd64,linux/arm64", "signature of the image": "cosign sign --yes \"$IMAGE\"",
		"list of parts of the image": "cosign attest --yes --type cyclonedx", "chart": "push \"dist/release/forager-$VERSION.tgz\" \"oci://", "who signs": "id-token: write",
	} {
		if !strings.Contains(text, sign) {
			t.Errorf("%s: no %q", what, sign)
		}
	}
	archives := string(content(t, "../release/archives"))
	for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/", "windows/"} {
		if !strings.Contains(archives, platform) {
			t.Errorf("no program for %s", platform)
		}
	}
	if !strings.Contains(string(content(t, "../../CHANGELOG.md")), "## [0.1.0]") {
		t.Error("CHANGELOG.md has no first version")
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
	byVersion := pinned.ReplaceAllString(string(text), "@$1") // by which the linter knows the inputs of an action
	found, err := linter.Lint(name, []byte(byVersion), nil)
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
