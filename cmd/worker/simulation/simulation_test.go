package simulation

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/synctest"
	"time"
	_ "unsafe" // for the server's clock

	"github.com/nats-io/nats-server/v2/server/ats"

	"forager/cmd/worker/workertest"
)

var (
	trying = flag.Duration("simulation.shrink", time.Minute, "how much of the machine's time the story of a failure may be made shorter in")
)

// outcome is how a run ended.
type outcome struct {
	Findings  []string
	Told      []string
	Lines     []string
	Done      map[kind]int
	State     string        // digest of what TheHive holds
	Simulated time.Duration // by the bubble's clock
	Rest      time.Duration // the longest that a shift's messages took once all faults were over
	Used      time.Duration // the longest that it took, after a shift, until what an analyzer said was used
	Real      time.Duration
	Worked    time.Duration // of a processor
}

// lifeFile names the environment variable by which a process of its own is told which schedule to live through. A bubble
// has a process of its own since the NATS client keeps timers for later use, which no other bubble may touch; and a panic
// or a standstill is then the end of one run.
const lifeFile = "FORAGER_SIMULATION"

// TestALife lives through the schedule that it was started for.
func TestALife(t *testing.T) {
	file := os.Getenv(lifeFile)
	if file == "" {
		t.Skip("started by the other tests alone")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s schedule
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	var o outcome
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(beginning))
		serverDone = make(chan struct{}, 1) // one that was made outside would keep virtual time from going on
		ats.Register()
		defer ats.Unregister()
		o = lived(t.Context(), s)
	})
	if err := os.WriteFile(file+".out", toJSON(o), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serverDone ends the server's clock for limits by age, of which a process has one.
//
//go:linkname serverDone github.com/nats-io/nats-server/v2/server/ats.done
var serverDone chan struct{}

// lived lives through a schedule, in a bubble.
func lived(ctx context.Context, s schedule) outcome {
	w, err := newWorld(ctx, s)
	p := &play{world: w, plan: s, book: newBook(), garbled: map[string]int{}, done: map[kind]int{}}
	if err == nil {
		w.misbehave()
		err = p.run(ctx)
	}
	o := outcome{Findings: p.findings, Told: p.told, Done: p.done, Rest: p.rest, Used: p.used, Simulated: time.Since(beginning)}
	if w.hive != nil {
		o.State = state(w.hive.Snapshot())
	}
	if err = errors.Join(err, w.Close()); err != nil {
		o.Findings = append(o.Findings, "the run itself: "+err.Error())
	}
	o.Lines = w.log.lines
	return o
}

func digest(s schedule) string {
	return fmt.Sprintf("%x", sha256.Sum256(toJSON(s)))[:16]
}

// TestAScheduleDependsOnItsSeedAlone: a seed that failed is worth being kept.
func TestAScheduleDependsOnItsSeedAlone(t *testing.T) {
	t.Parallel()
	all := map[string]bool{}
	for seed := range uint64(1000) {
		first := digest(newSchedule(seed, 2))
		if again := digest(newSchedule(seed, 2)); again != first {
			t.Errorf("seed %d: %s, then %s", seed, first, again)
		}
		all[first] = true
	}
	if len(all) != 1000 {
		t.Errorf("1000 seeds have %d schedules", len(all))
	}
}

// failed are the schedules that ever failed, whole: a seed means another one once more can happen.
//
//go:embed testdata/failed
var failed embed.FS

func schedulesThatFailed(t *testing.T) (all []schedule) {
	t.Helper()
	files, err := failed.ReadDir("testdata/failed")
	workertest.Must(t, err)
	for _, f := range files {
		text, err := failed.ReadFile("testdata/failed/" + f.Name())
		workertest.Must(t, err)
		var s schedule
		workertest.Must(t, json.Unmarshal(text, &s))
		all = append(all, s)
	}
	return all
}

// keep writes a schedule to be kept, an event a line, and says where.
func (s schedule) keep(t *testing.T) string {
	t.Helper()
	name := filepath.Join(os.TempDir(), fmt.Sprintf("forager-simulation-%d.json", s.Seed)) //nolint:usetesting // it is for who reads the failure, after the test
	text := regexp.MustCompile(`([\[,])\{`).ReplaceAllString(string(toJSON(s)), "$1\n{")
	workertest.Must(t, os.WriteFile(name, []byte(text+"\n"), 0o600))
	return name
}
