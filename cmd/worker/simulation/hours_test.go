package simulation

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sourcegraph/conc/pool"

	"forager/racedetector"
)

var (
	budget   = flag.Duration("simulation.for", 0, "how much of the machine's time fresh seeds may take; the last ones may take longer")
	seeds    = flag.Int("simulation.seeds", racedetector.Fewer(2, 1), "so many fresh seeds at least")
	from     = flag.Uint64("simulation.from", 1, "the first of them; 0: any")
	beside   = flag.Int("simulation.beside", 0, "so many runs at once; 0: one for each processor")
	shifts   = flag.Int("simulation.shifts", 1, "shifts of a run; one is 40 minutes of traffic, and what follows until the next")
	limit    = flag.Duration("simulation.limit", standstill, "how much of the machine's time a run may take")
	talks    = flag.Bool("simulation.log", false, "show what the replicas said in a run that failed")
	profiles = flag.String("simulation.profiles", "", "a folder for a profile of every run")
)

// standstill is how much of the machine's time a run may take: only one whose virtual time stands still takes longer.
const standstill = 10 * time.Minute

// live lives through a schedule in a process of its own.
func live(t *testing.T, s schedule) outcome {
	t.Helper()
	return liveIn(t, self(t), s)
}

func self(t *testing.T) string {
	t.Helper()
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// frugal makes a process that has little to do beside others: what runs at once are processes, and a bubble has nothing for a
// second processor to do. It keeps its memory within a bound instead of collecting garbage often.
func frugal() []string {
	return []string{"GOMAXPROCS=1", "GOGC=off", "GOMEMLIMIT=384MiB", "GODEBUG=asyncpreemptoff=1"}
}

// liveIn does it with the tests' binary of this name.
func liveIn(t *testing.T, binary string, s schedule) (o outcome) {
	t.Helper()
	begun := time.Now()
	file := filepath.Join(t.TempDir(), "schedule.json")
	if err := os.WriteFile(file, toJSON(s), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), binary, "-test.run=^TestALife$", "-test.timeout="+limit.String())
	if *profiles != "" {
		c.Args = append(c.Args, "-test.cpuprofile="+filepath.Join(*profiles, fmt.Sprintf("seed%d.pprof", s.Seed)))
	}
	c.Env = append(append(os.Environ(), frugal()...), lifeFile+"="+file)
	said, err := c.CombinedOutput()
	text, unread := os.ReadFile(file + ".out")
	if err != nil || unread != nil || json.Unmarshal(text, &o) != nil {
		o.Findings = append(o.Findings, fmt.Sprintf("the process ended: %v\n%s", err, said))
	}
	o.Real, o.Worked = time.Since(begun), c.ProcessState.UserTime()+c.ProcessState.SystemTime()
	return o
}

// run is a schedule, and how it ended.
type run struct {
	schedule
	outcome
}

// liveAll lives through schedules until there are no more, so many at once as there are processors, and hands over each
// run as it ends. Both functions are called by one goroutine at a time.
func liveAll(t *testing.T, binary string, next func() (schedule, bool), ended func(run)) {
	t.Helper()
	n := *beside
	if n <= 0 {
		n = runtime.NumCPU()
	}
	var mu sync.Mutex
	take := func() (schedule, bool) {
		mu.Lock()
		defer mu.Unlock()
		return next()
	}
	all := pool.New().WithMaxGoroutines(n)
	for range n {
		all.Go(func() {
			for s, more := take(); more; s, more = take() {
				o := liveIn(t, binary, s)
				mu.Lock()
				ended(run{s, o})
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

// TestHoursOfASOC lives through the schedules that failed before, then through fresh ones, until its time is over.
func TestHoursOfASOC(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	sum := outcome{Done: map[kind]int{}}
	before := schedulesThatFailed(t)
	before = before[:racedetector.Fewer(len(before), 0)]
	first := *from
	if first == 0 {
		first = uint64(begun.UnixNano()) % 1_000_000_000
	}
	var bad []run
	fresh := 0
	binary := self(t)
	liveAll(t, binary, func() (s schedule, more bool) {
		if len(before) > 0 {
			s, before = before[0], before[1:]
			return s, true
		}
		if more = len(bad) == 0 && (time.Since(begun) < *budget || fresh < *seeds); more {
			s = newSchedule(first+uint64(fresh), *shifts)
			fresh++
		}
		return s, more
	}, func(r run) {
		if sum.add(t, r); len(r.Findings) > 0 {
			bad = append(bad, r)
		}
	})
	took := time.Since(begun)
	for _, r := range bad {
		r.tell(t)
	}
	t.Logf("%s in %s: %.2f hours a second, and %.2f a second of a processor; the longest rest after a shift took %s", sum.Simulated, took, sum.Simulated.Hours()/took.Seconds(), sum.Simulated.Hours()/sum.Worked.Seconds(), sum.Rest)
	for _, k := range slices.Sorted(maps.Keys(sum.Done)) {
		t.Logf("%s: %d", k, sum.Done[k])
	}
}

// add counts a run in.
func (o *outcome) add(t *testing.T, r run) {
	t.Helper()
	o.Simulated, o.Worked, o.Rest = o.Simulated+r.Simulated, o.Worked+r.Worked, max(o.Rest, r.Rest)
	for k, n := range r.Done {
		o.Done[k] += n
	}
	t.Logf("seed %d: schedule %s, state %s, %s in %s, %s of a processor", r.Seed, digest(r.schedule), r.State, r.Simulated, r.Real, r.Worked)
}

// tell tells the story of a run that failed.
func (r run) tell(t *testing.T) {
	t.Helper()
	t.Errorf("seed %d (put %s into testdata/failed, named for what it was):\n%s", r.Seed, r.keep(t), strings.Join(r.Findings, "\n"))
	small, o := shrink(t, r.schedule, r.outcome)
	t.Logf("the story, of %d events:\n%s\n\n%s", small.events(), strings.Join(o.Told, "\n"), strings.Join(o.Findings, "\n"))
	if *talks {
		t.Log(strings.Join(o.Lines, ""))
	}
}
