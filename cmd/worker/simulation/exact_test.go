package simulation

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"forager/cmd/worker/workertest"
)

var (
	again = flag.Int("simulation.again", 0, "so many seeds does TestTheSameSeedEndsAlike live through twice")
	exact = flag.Bool("simulation.exact", false, "build a binary in which a seed decides the order of goroutines, too")
)

// A seed decides what happens, and the simulator's dice. Go decides at random which case of a select is taken, in which order
// timers of one moment fire and maps are walked, and by the machine's clock when a goroutine is put off or another thread goes
// on. exactly are changes to Go's own code that take all of that away, for a process with one processor: what a bubble draws is
// its own, and nobody is put off. They are texts of the toolchain that go.mod names, and fit no other.
var exactly = []change{
	{"runtime/synctest.go", "	now     int64  // current fake time\n", "	now     int64  // current fake time\n	random  uint64 // state of bubbleRand\n"},
	{"runtime/rand.go", "func rand() uint64 {\n", "func rand() uint64 {\n	if x, ok := bubbleRand(); ok {\n		return x\n	}\n"},
	{"runtime/rand.go", "// randn is like rand() % n but faster.\n", `// bubbleRand draws from what belongs to the bubble of the goroutine that runs.
//
//go:nosplit
func bubbleRand() (uint64, bool) {
	gp := getg().m.curg
	if gp == nil || gp.bubble == nil {
		return 0, false
	}
	b := gp.bubble
	b.random += 0x9e3779b97f4a7c15
	z := b.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31, true
}

// bubbleRandn is cheaprandn, drawn from the bubble.
func bubbleRandn(n uint32) uint32 {
	if x, ok := bubbleRand(); ok {
		return uint32((uint64(uint32(x)) * uint64(n)) >> 32)
	}
	return cheaprandn(n)
}

// randn is like rand() % n but faster.
`},
	{"runtime/rand.go", "	globalRand.state.Init(*seed)\n	clear(seed[:])\n", "	clear(seed[:])\n	globalRand.state.Init(*seed)\n"},
	{"runtime/select.go", "j := cheaprandn(uint32(norder + 1))", "j := bubbleRandn(uint32(norder + 1))"},
	{"runtime/time.go", "			t.rand = cheaprand()\n", "			t.rand = bubbleRandn(1 << 31)\n"},
	{"runtime/proc.go", "func retake(now int64) uint32 {\n", "func retake(now int64) uint32 {\n	if gomaxprocs == 1 {\n		return 0\n	}\n"},
	{"crypto/internal/sysrand/rand.go", "func Read(b []byte) {\n", "func Read(b []byte) {\n	for i := range b {\n		b[i] = byte(runtimeRand())\n	}\n	if len(b) > 0 {\n		return\n	}\n"},
	{"crypto/internal/sysrand/rand.go", "var testingOnlyFailRead bool\n", "var testingOnlyFailRead bool\n\n//go:linkname runtimeRand runtime.rand\nfunc runtimeRand() uint64\n"},
}

// change is one, of a file below Go's src.
type change struct{ file, from, to string }

// changed are the files as they become; an error names a text that is not there once.
func changed(root string) (map[string]string, error) {
	files := map[string]string{}
	for _, c := range exactly {
		name := filepath.Join(root, "src", c.file)
		if files[name] == "" {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			files[name] = string(text)
		}
		if n := strings.Count(files[name], c.from); n != 1 {
			return nil, fmt.Errorf("%s of %s has %d times %q", c.file, runtime.Version(), n, c.from)
		}
		files[name] = strings.Replace(files[name], c.from, c.to, 1)
	}
	return files, nil
}

// builtExactly is the tests' binary with all of that.
func builtExactly(t *testing.T) string {
	t.Helper()
	files, err := changed(goroot(t))
	workertest.Must(t, err)
	return built(t, files)
}

// trace is all that a run did, in its order: a digest of the story, of all that replicas said with its time, and of the end.
func (o outcome) trace() string {
	lines := uncertain.ReplaceAllString(strings.Join(append(slices.Clone(o.Told), o.Lines...), "\n"), "…")
	return fmt.Sprintf("%x", sha256.Sum256([]byte(lines+o.State)))[:16]
}

// uncertain is what of a log the machine decides: folders of the run.
var uncertain = regexp.MustCompile(`/[^" ]*forager-simulation-[0-9]+`)

// TestTheSameSeedEndsAlike says how much of a run its seed decides.
func TestTheSameSeedEndsAlike(t *testing.T) {
	if *again == 0 {
		t.Skip("with -simulation.again")
	}
	binary := self(t)
	if *exact {
		binary = builtExactly(t)
	}
	n := 0
	runs := map[uint64][]outcome{}
	liveAll(t, binary, func() (schedule, bool) {
		n++
		return newSchedule(max(*from, 1)+uint64((n-1)/2), *shifts), n <= 2**again
	}, func(r run) { runs[r.Seed] = append(runs[r.Seed], r.outcome) })
	traces, ends := 0, 0
	for _, seed := range slices.Sorted(maps.Keys(runs)) {
		a, b := runs[seed][0], runs[seed][1]
		if a.State == b.State {
			ends++
		}
		if a.trace() == b.trace() {
			traces++
			continue
		}
		t.Logf("seed %d: ends %s and %s; they part at:\n%s", seed, a.State, b.State, parting(a.Lines, b.Lines))
	}
	t.Logf("of %d seeds that were lived through twice, %d had one trace, %d one end", len(runs), traces, ends)
	if *exact && traces < len(runs) {
		t.Errorf("%d seeds had two traces", len(runs)-traces)
	}
}

// parting is the first line that two runs do not share.
func parting(a, b []string) string {
	for i := range min(len(a), len(b)) {
		x, y := uncertain.ReplaceAllString(a[i], "…"), uncertain.ReplaceAllString(b[i], "…")
		if x != y {
			return fmt.Sprintf("line %d:\n%s%s", i, x, y)
		}
	}
	return fmt.Sprintf("after %d and %d lines", len(a), len(b))
}
