package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"forager/cmd/worker/workertest"
)

const module = "forager"

// arrows are the imports that production code may have inside the module: one spine, leaves
// beside it. Who adds a package draws it here and in CONTRIBUTING.
var arrows = map[string][]string{
	"cmd/worker":              {"*"},
	"cmd/worker/demo":         {"cmd/worker/demo/servers", "cmd/worker/events", "cmd/worker/page", "cmd/worker/rulefiles", "cmd/worker/service", "cmd/worker/shell", "cmd/worker/terminal", "config", "enrich", "enrich/detection", "enrich/detection/canon", "filebound", "hive/hivetest", "mitre", "pipeline", "pipeline/natstest", "pipeline/stream"},
	"cmd/worker/demo/servers": {"hive/hivetest", "mitre"},
	"cmd/worker/check":        {"cmd/worker/rulefiles", "cmd/worker/service", "cmd/worker/shell", "cmd/worker/terminal", "config", "enrich/detection", "enrich/detection/canon", "hive", "hive/connector", "mitre", "pipeline", "pipeline/inspect", "pipeline/stream"},
	"cmd/worker/rulefiles":    {"cmd/worker/shell", "config", "enrich", "enrich/detection", "enrich/detection/formats", "enrich/lookup", "enrich/rules", "filebound", "mitre"},
	"cmd/worker/service":      {"cmd/worker/explanation", "cmd/worker/intake", "cmd/worker/page", "cmd/worker/recent", "cmd/worker/rulefiles", "cmd/worker/shell", "cmd/worker/telemetry", "cmd/worker/view", "config", "enrich", "enrich/analyze", "enrich/apply", "enrich/detection", "enrich/feedback", "enrich/files", "filebound", "hive", "hive/connector", "hive/throttle", "mitre", "pipeline", "pipeline/audit", "pipeline/deadletter", "pipeline/feedback", "pipeline/intake", "pipeline/journal", "pipeline/kvledger", "pipeline/metrics", "pipeline/objects", "pipeline/stream", "retry", "pipeline/rollback"},
	"cmd/worker/intake":       {"enrich/detection", "enrich/detection/malformed", "pipeline/intake"},
	"cmd/worker/telemetry":    {"pipeline/metrics", "hive", "filebound"},
	"cmd/worker/status":       {"cmd/worker/service", "cmd/worker/shell", "cmd/worker/terminal", "config", "enrich/claim", "enrich/detection/canon", "hive", "pipeline", "pipeline/deadletter", "pipeline/hold", "pipeline/kvledger", "pipeline/rollback", "pipeline/stream"},
	"cmd/worker/feedback":     {"cmd/worker/service", "cmd/worker/shell", "cmd/worker/terminal", "config", "enrich/feedback", "filebound", "pipeline/feedback", "pipeline/stream", "retry"},
	"cmd/worker/silences":     {"cmd/worker/rulefiles", "cmd/worker/service", "cmd/worker/shell", "cmd/worker/terminal", "cmd/worker/whatif", "config", "enrich", "enrich/detection/canon", "enrich/digest", "hive", "pipeline/history", "pipeline/stream"},
	"cmd/worker/prove":        {"cmd/worker/shell", "cmd/worker/terminal", "config", "filebound"}, // of what it audits it imports nothing
	"cmd/worker/whatif":       {"cmd/worker/rulefiles", "cmd/worker/service", "cmd/worker/shell", "cmd/worker/terminal", "config", "enrich", "enrich/detection", "enrich/detection/canon", "enrich/threshold", "pipeline/history", "pipeline/stream"},
	"cmd/worker/casefind":     {"cmd/worker/rulefiles", "cmd/worker/service", "cmd/worker/shell", "cmd/worker/terminal", "config", "enrich", "enrich/detection", "enrich/detection/canon", "hive", "pipeline/deadletter", "pipeline/history", "pipeline/hold", "pipeline/journal", "pipeline/stream"},
	"cmd/worker/events":       {"filebound"},
	"cmd/worker/setup":        {"cmd/worker/shell", "config", "deploy/forwarders", "pipeline/stream"},
	"cmd/worker/explanation":  {"cmd/worker/terminal", "enrich", "enrich/apply", "enrich/detection", "enrich/detection/canon", "enrich/detection/malformed", "enrich/related"},
	"cmd/worker/page":         {"cmd/worker/explanation"},
	"cmd/worker/recent":       {"enrich", "enrich/apply", "enrich/detection/canon", "pipeline", "pipeline/stream"},
	"cmd/worker/sightings":    {"mitre"},
	"cmd/worker/view":         {"cmd/worker/explanation", "cmd/worker/page", "cmd/worker/recent", "cmd/worker/sightings", "enrich", "enrich/apply", "enrich/claim", "enrich/detection", "enrich/detection/canon", "hive", "mitre", "pipeline", "pipeline/deadletter", "pipeline/kvledger", "pipeline/stream"},
	"cmd/worker/shell":        {},
	"cmd/worker/terminal":     {"cmd/worker/shell"},
	"cmd/worker/workertest":   {"hive/hivetest"},
	"cmd/worker/simulation":   {},

	"pipeline":            {"enrich", "enrich/claim", "enrich/detection", "enrich/detection/malformed", "enrich/threshold", "pipeline/deadletter", "pipeline/hold", "pipeline/inspect", "pipeline/journal", "pipeline/kvledger", "pipeline/stream", "retry"},
	"pipeline/deadletter": {"pipeline/stream"},
	"pipeline/objects":    {"enrich/files", "pipeline/stream"},
	"pipeline/hold":       {"enrich", "enrich/claim", "enrich/threshold", "pipeline/stream"},
	"pipeline/audit":      {"enrich", "pipeline/stream", "retry"},
	"pipeline/feedback":   {"enrich/feedback", "pipeline/stream", "retry"},
	"pipeline/intake":     {"pipeline/stream"},
	"pipeline/replay":     {"enrich", "enrich/detection", "pipeline", "pipeline/deadletter", "pipeline/stream", "retry"},
	"pipeline/metrics":    {"enrich", "enrich/apply", "enrich/detection", "pipeline", "pipeline/rollback", "pipeline/stream"},
	"pipeline/inspect":    {"enrich/threshold", "pipeline/audit", "pipeline/deadletter", "pipeline/journal", "pipeline/stream"},
	"pipeline/history":    {"pipeline/stream"},
	"pipeline/journal":    {"pipeline/stream"},
	"pipeline/kvledger":   {"enrich/claim", "pipeline/stream", "retry"},
	"pipeline/rollback":   {"enrich/claim", "filebound", "pipeline/stream"},
	"pipeline/stream":     {"filebound"},

	"enrich":                 {"enrich/alert", "enrich/claim", "enrich/detection", "enrich/detection/canon", "enrich/detection/malformed", "enrich/files", "enrich/markdown", "enrich/rules", "enrich/threshold", "hive", "mitre"},
	"enrich/rules":           {"enrich/detection", "enrich/detection/canon", "enrich/markdown", "enrich/threshold", "hive", "spelling"},
	"enrich/apply":           {"enrich", "enrich/alert", "enrich/analyze", "enrich/claim", "enrich/detection", "enrich/detection/canon", "enrich/digest", "enrich/files", "enrich/markdown", "enrich/related", "enrich/rules", "hive", "hive/connector", "mitre", "retry"},
	"enrich/alert":           {"enrich/detection/canon", "hive"},
	"enrich/feedback":        {"enrich/apply", "enrich/claim", "enrich/detection/canon", "hive"},
	"enrich/threshold":       {},
	"enrich/markdown":        {"enrich/detection/canon"},
	"enrich/digest":          {"enrich", "enrich/detection/canon", "enrich/markdown"},
	"enrich/due":             {},
	"enrich/analyze":         {"enrich/detection", "enrich/due", "enrich/rules", "hive", "hive/connector"},
	"enrich/related":         {"enrich/detection", "enrich/due", "hive"},
	"enrich/lookup":          {"enrich/detection/canon", "filebound"},
	"enrich/dryrun":          {"enrich", "enrich/alert", "enrich/apply", "enrich/claim", "hive"},
	"enrich/claim":           {},
	"enrich/claim/claimtest": {"enrich/claim"},
	"hive":                   {"hive/throttle", "hive/wire", "retry"},
	"config":                 {"spelling", "yamlbound"},

	"enrich/detection":           {"enrich/detection/canon", "enrich/detection/formats", "enrich/detection/lines", "enrich/detection/malformed", "enrich/detection/tree"},
	"enrich/detection/formats":   {"enrich/detection/canon", "enrich/detection/malformed", "enrich/detection/tree", "yamlbound", "filebound"},
	"enrich/detection/tree":      {"enrich/detection/malformed"},
	"enrich/detection/canon":     {},
	"enrich/detection/draft":     {"enrich/detection", "enrich/detection/canon", "enrich/detection/tree"},
	"enrich/detection/lines":     {},
	"enrich/detection/malformed": {},

	"enrich/threshold/thresholdtest":     {"enrich/threshold"},
	"enrich/answertest":                  {"enrich", "hive"},
	"enrich/markdown/markdowntest":       {},
	"enrich/files":                       {},
	"enrich/files/filestest":             {},
	"hive/throttle":                      {},
	"hive/admin":                         {"hive"},
	"hive/connector":                     {"hive"},
	"hive/wire":                          {"filebound"},
	"hive/hivetest":                      {},
	"mitre":                              {},
	"yamlbound":                          {},
	"filebound":                          {},
	"spelling":                           {},
	"retry":                              {},
	"pipeline/natstest":                  {},
	"racedetector":                       {},
	"cmd/worker/telemetry/collectortest": {},
}

// testArrows are what the tests of every package may import besides.
var testArrows = []string{"racedetector", "hive/hivetest", "pipeline/natstest", "enrich/answertest", "enrich/claim/claimtest", "enrich/threshold/thresholdtest", "enrich/files/filestest", "enrich/markdown/markdowntest", "cmd/worker/telemetry/collectortest"}

// ownTests are the packages whose tests need less of ours than this, or other things.
var ownTests = map[string][]string{
	"enrich/claim":           {"enrich/claim/claimtest", "racedetector"},
	"hive":                   {"hive/hivetest", "hive/admin", "hive/connector", "racedetector"},
	"enrich/claim/claimtest": {"enrich/claim/claimtest"},
	"enrich/files":           {"enrich/files/filestest"},
	"enrich/detection/draft": {"enrich/detection/formats"},
	"pipeline":               {"pipeline/objects", "enrich/answertest", "enrich/claim/claimtest", "enrich/threshold/thresholdtest", "pipeline/natstest", "racedetector"},
	"pipeline/objects":       {"enrich", "pipeline/natstest"},
	"pipeline/feedback":      {"enrich/claim", "hive", "pipeline/kvledger", "pipeline/natstest"},
	"pipeline/intake":        {"pipeline/natstest", "retry"},
	"pipeline/history":       {"pipeline/natstest"},
	"pipeline/journal":       {"pipeline/natstest"},
	"pipeline/rollback":      {"pipeline/kvledger", "pipeline/natstest"},
	"cmd/worker/check":       {"hive/hivetest", "pipeline/natstest", "cmd/worker/workertest"},
	"cmd/worker/demo":        {"cmd/worker/workertest"},
	"cmd/worker/whatif":      {"cmd/worker/demo/servers", "cmd/worker/workertest", "enrich/threshold/thresholdtest", "pipeline/natstest"},
	"cmd/worker/prove":       {"hive/hivetest", "pipeline/natstest", "cmd/worker/workertest"}, // a server, no code of the pipeline
	"cmd/worker/simulation":  {"cmd/worker/rulefiles", "cmd/worker/service", "cmd/worker/workertest", "config", "hive", "hive/hivetest", "pipeline/deadletter", "pipeline/natstest", "pipeline/replay", "pipeline/stream", "racedetector"},
	"cmd/worker/recent":      {"enrich/detection"},
	"cmd/worker/silences":    {"enrich/apply", "enrich/detection", "hive/hivetest", "pipeline/natstest"},
	"cmd/worker/service":     {"racedetector", "enrich/rules", "hive/hivetest", "pipeline/natstest", "pipeline/deadletter", "cmd/worker/demo/servers", "cmd/worker/workertest"},
}

// kept names outside packages that only some of ours may know.
var kept = map[string][]string{
	"github.com/nats-io/":                {"pipeline", "pipeline/stream", "pipeline/audit", "pipeline/intake", "pipeline/deadletter", "pipeline/feedback", "pipeline/hold", "pipeline/history", "pipeline/inspect", "pipeline/journal", "pipeline/kvledger", "pipeline/objects", "pipeline/replay", "pipeline/natstest", "cmd/worker/demo/servers", "cmd/worker/prove", "pipeline/rollback"}, // the last: the demonstration's forwarder
	"go.uber.org/zap":                    {"pipeline", "pipeline/audit", "pipeline/feedback", "pipeline/stream", "cmd/worker", "cmd/worker/service", "cmd/worker/intake", "cmd/worker/check", "cmd/worker/demo", "cmd/worker/feedback", "cmd/worker/silences", "cmd/worker/status", "cmd/worker/whatif", "cmd/worker/casefind", "cmd/worker/telemetry", "pipeline/rollback"},
	"go.opentelemetry.io/otel/":          {"pipeline", "cmd/worker/service", "cmd/worker/telemetry"},
	"go.opentelemetry.io/otel/sdk":       {"cmd/worker/telemetry"}, // the others know the interface alone
	"go.opentelemetry.io/otel/exporters": {"cmd/worker/telemetry"},
	"go.opentelemetry.io/proto":          {"cmd/worker/telemetry/collectortest"},
	"net/http/httptest":                  {"cmd/worker/workertest"}, // registers a flag in the binary
	"github.com/spf13":                   {"cmd/worker", "cmd/worker/shell", "cmd/worker/demo", "cmd/worker/feedback", "cmd/worker/setup", "cmd/worker/silences", "cmd/worker/status", "cmd/worker/whatif", "cmd/worker/casefind", "cmd/worker/prove"},
}

// banned packages must not be in the binary, however they got there.
var banned = map[string]string{
	"testing":                         "the test framework registers flags and exports",
	"github.com/stretchr/testify":     "an assertion library is for tests",
	"github.com/testcontainers":       "container clients are for tests",
	"github.com/rogpeppe/go-internal": "the script engine is for tests",
	"pgregory.net/rapid":              "property tests are for tests",
	"github.com/getkin/kin-openapi":   "contract tests are for tests",
	"go.uber.org/goleak":              "leak checks are for tests",
}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath                         string
	Name                               string
	Imports, TestImports, XTestImports []string
}

func (p pkg) dir() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

func TestImportsFollowTheArrows(t *testing.T) {
	for _, p := range goList(t, "./...") {
		for _, to := range p.Imports {
			if !allowed(p.dir(), to, nil) {
				t.Errorf("%s imports %s: not an arrow of the design", p.dir(), to)
			}
			for outside, friends := range kept {
				if strings.HasPrefix(to, outside) && !slices.Contains(friends, p.dir()) {
					t.Errorf("%s imports %s: only %v may", p.dir(), to, friends)
				}
			}
		}
		if strings.HasPrefix(p.dir(), "deploy/") {
			continue // its tests are about the whole
		}
		besides, own := ownTests[p.dir()]
		if !own {
			besides = testArrows
		}
		for _, to := range append(p.TestImports, p.XTestImports...) {
			if to != p.ImportPath && !allowed(p.dir(), to, besides) {
				t.Errorf("tests of %s import %s: not an arrow of the design", p.dir(), to)
			}
		}
	}
}

// TestEveryPackageIsDrawn: a package that nobody drew has no place yet.
func TestEveryPackageIsDrawn(t *testing.T) {
	for _, p := range goList(t, "./...") {
		if _, drawn := arrows[p.dir()]; !drawn && !strings.HasPrefix(p.dir(), "deploy/") {
			t.Errorf("%s: not among the arrows", p.dir())
		}
	}
}

// TestOnlyTheForwarderKnowsNATS: the demonstration publishes as somebody else's forwarder does,
// outside the pipeline, and tests store a large file or send a trace along as a sender would; nothing
// else of the command speaks to NATS.
func TestOnlyTheForwarderKnowsNATS(t *testing.T) {
	senders := []string{"cmd/worker/demo/servers/forwarder.go", "cmd/worker/large_test.go", "cmd/worker/tracing_whole_test.go", "cmd/worker/terminal_whole_test.go"}
	for name, text := range tree(t, ".go") {
		if strings.HasPrefix(name, "cmd/worker/prove/") {
			continue // it audits what the pipeline did, and shares no code with it
		}
		if strings.HasPrefix(name, "cmd/worker/") && !slices.Contains(senders, name) && strings.Contains(text, "\"github.com/nats-io/"+"nats.go") {
			t.Errorf("%s: imports nats.go", name)
		}
	}
}

// TestFilesAreReadToABound: what an operator names may be a device, or larger than the memory.
func TestFilesAreReadToABound(t *testing.T) {
	reads := regexp.MustCompile(`\bos\.(ReadFile|Open|OpenFile)\(|tls\.LoadX509KeyPair\(|nats\.(RootCAs|ClientCert|UserCredentials)\(`)
	for name, text := range tree(t, ".go") {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "deploy/") || strings.HasPrefix(name, "filebound/") || name == "mitre/generate.go" {
			continue
		}
		if found := reads.FindString(text); found != "" {
			t.Errorf("%s: %s… has no bound: read by filebound", name, found)
		}
	}
}

// TestTheAuditorSharesNoCode: what proves the worker is no part of it, what its imports import included.
func TestTheAuditorSharesNoCode(t *testing.T) {
	for _, p := range goList(t, "-deps", "./cmd/worker/prove") {
		inside, ours := strings.CutPrefix(p.ImportPath, module+"/")
		if first, _, _ := strings.Cut(inside, "/"); ours && slices.Contains([]string{"enrich", "pipeline", "hive", "mitre"}, first) {
			t.Errorf("the auditor holds %s", p.ImportPath)
		}
	}
}

func allowed(from, to string, besides []string) bool {
	inside, ours := strings.CutPrefix(to, module+"/")
	if !ours {
		return true
	}
	may := arrows[from]
	return slices.Contains(may, "*") || slices.Contains(may, inside) || slices.Contains(besides, inside)
}

func TestBinaryHoldsNothingOfTests(t *testing.T) {
	for _, p := range goList(t, "-deps", "./cmd/worker") {
		for bad, why := range banned {
			if p.ImportPath == bad || strings.HasPrefix(p.ImportPath, bad+"/") {
				t.Errorf("the binary holds %s: %s", p.ImportPath, why)
			}
		}
	}
}

func TestPackagesAreNamedForWhatTheyAre(t *testing.T) {
	for _, p := range goList(t, "./...") {
		for part := range strings.SplitSeq(p.dir(), "/") {
			if slices.Contains([]string{"util", "utils", "common", "types", "helpers", "models", "internal", "misc"}, part) {
				t.Errorf("%s: %q says nothing", p.dir(), part)
			}
		}
	}
}

func TestModuleReplacesNothing(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(workertest.Root(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(strings.TrimSpace(line), "replace") {
			t.Errorf("go.mod: %q: a clone elsewhere would build something else", strings.TrimSpace(line))
		}
	}
}

// TestNothingPointsAtThisMachine looks for the path that this repository happens to lie at, in what
// people wrote: the README has a worker compiled here, and a binary names its sources.
func TestNothingPointsAtThisMachine(t *testing.T) {
	here := filepath.ToSlash(workertest.Root(t))
	for name, text := range tree(t, "") {
		if strings.Contains(text, "\x00") {
			continue
		}
		if strings.Contains(text, here+"/") || strings.Contains(text, filepath.ToSlash(filepath.Dir(here))+"/shared") {
			t.Errorf("%s: holds a path of this machine", name)
		}
	}
}

// goList runs go list in the module's root.
func goList(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-e", "-json=ImportPath,Name,Imports,TestImports,XTestImports"}, args...)...)
	cmd.Dir = workertest.Root(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(out); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return pkgs
}
