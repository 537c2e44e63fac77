package analyze_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich/analyze"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive"
	"forager/hive/connector"
	"forager/racedetector"
)

var histories = flag.Int("histories", racedetector.Fewer(150, 40), "random histories of asking to try")

// pause lets time pass in the bubble of a history.
func pause(d time.Duration) { <-time.After(d) }

// settle is how long what was asked for may stay out of sight.
const settle = 25 * time.Second

// model knows of each value and analyzer whether a look is owed: a detection in a new window owes one, a job pays it. Nothing else may
// ask for a job, and in the end none is owed.
type model struct {
	owed    map[string]bool
	windows map[string]map[int64]bool // wanted
	started map[string]int64          // when the newest job began, by TheHive's clock, ms
	faults  []string
}

func (m *model) want(pair string, window time.Duration, now time.Time) {
	nth := int64(0)
	if window > 0 {
		nth = now.UnixMilli() / window.Milliseconds()
	}
	if m.windows[pair] == nil {
		m.windows[pair] = map[int64]bool{}
	}
	if m.windows[pair][nth] {
		return
	}
	m.windows[pair][nth] = true
	begun, is := m.started[pair]
	if !is || window > 0 && begun < nth*window.Milliseconds() {
		m.owed[pair] = true
	}
}

func (m *model) job(pair string, started int64, byAnalyst bool) {
	if !m.owed[pair] && !byAnalyst {
		m.faults = append(m.faults, "doubled: "+pair)
	}
	m.owed[pair], m.started[pair] = false, started
}

// mutant is what a world does not do.
type mutant struct {
	name    string
	keeps   bool // the state is written before asking
	settles bool // whoever comes after a worker that died waits until what it did shows
	guards  bool // … and so whoever comes after one that asked
	bounds  bool // jobs that a search may not show are counted
}

var whole = mutant{"whole", true, true, true, true}

// world is TheHive, Cortex, the ledger and two workers.
type world struct {
	mutant
	*model

	rng    *rand.Rand
	skew   time.Duration // of TheHive's clock
	window time.Duration
	most   int
	lag    time.Duration
	calm   bool // nothing fails any more

	jobs   map[string][]job // by observable
	n      int
	states [2][]byte // of two cases, in the ledger
	room   []byte
	dirty  bool // the last one left without knowing what it did
	askers [2]*analyze.Asker
	late   []late // what commits when nobody waits any more
}

// late are jobs that are made at a time, after their answer was lost.
type late struct {
	at   time.Time
	jobs []connector.NewJob
}

// arrive makes the jobs whose time has come, in its order.
func (w *world) arrive() {
	slices.SortStableFunc(w.late, func(a, b late) int { return a.at.Compare(b.at) })
	for len(w.late) > 0 && !time.Now().Before(w.late[0].at) {
		for _, n := range w.late[0].jobs {
			w.make(w.late[0].at, n, w.lag, false)
		}
		w.late = w.late[1:]
	}
}

type job struct {
	connector.Job

	shown, ends time.Time
}

// errKilled is how a worker dies.
var errKilled = errors.New("killed")

func (w *world) roll(p float64) bool { return !w.calm && w.rng.Float64() < p }

// meets lets a worker die or a call fail before it has any effect.
func (w *world) meets() error {
	pause(time.Duration(w.rng.IntN(500)) * time.Millisecond)
	w.arrive()
	switch {
	case w.roll(0.03):
		panic(errKilled)
	case w.roll(0.03):
		return &hive.Error{Op: "x", Method: "POST", Path: "/x"} // nothing was sent
	case w.roll(0.03):
		return &hive.Error{Op: "x", Method: "GET", Path: "/x", Status: 500, Type: "InternalError", Message: "Cortex is away"}
	}
	return nil
}

var workers = []connector.Worker{
	{ID: "vt", Name: "VT_3", DataTypes: []string{"ip"}, CortexIDs: []string{"local"}},
	{ID: "geo", Name: "Geo_4", DataTypes: []string{"ip"}, CortexIDs: []string{"local"}},
}

func (w *world) Analyzers(context.Context) ([]connector.Worker, error) { return workers, w.meets() }

func (w *world) Jobs(_ context.Context, id string) (all []connector.Job, err error) {
	err = w.meets()
	for _, j := range w.jobs[id] {
		if !time.Now().Before(j.shown) {
			all = append(all, j.Job)
		}
	}
	return all, err
}

func (w *world) Job(context.Context, string) (connector.Job, error) { return connector.Job{}, nil }

func (w *world) Outstanding(_ context.Context, most int) (all []connector.Job, err error) {
	err = w.meets()
	for _, of := range w.jobs {
		for _, j := range of {
			if now := time.Now(); !now.Before(j.shown) && now.Before(j.ends) {
				all = append(all, j.Job)
			}
		}
	}
	return all[:min(len(all), most)], err
}

// make makes a job at a time, which a list shows after a while.
func (w *world) make(now time.Time, n connector.NewJob, shows time.Duration, byAnalyst bool) connector.Job {
	w.n++
	j := job{Job: connector.Job{ID: fmt.Sprint("~", w.n), AnalyzerID: n.AnalyzerID, StartDate: connector.Moment{Time: now.Add(w.skew)}}, shown: now.Add(shows)}
	j.ends = now.Add(time.Duration(10+w.rng.IntN(600)) * time.Second)
	w.jobs[n.ObservableID] = append(w.jobs[n.ObservableID], j)
	w.job(n.AnalyzerID+" "+n.ObservableID, j.StartDate.UnixMilli(), byAnalyst)
	outstanding := 0
	for _, of := range w.jobs {
		for _, j := range of {
			if now.Before(j.ends) {
				outstanding++
			}
		}
	}
	if outstanding > w.most && !byAnalyst {
		w.faults = append(w.faults, fmt.Sprintf("%d jobs outstanding, of %d", outstanding, w.most))
	}
	return j.Job
}

func (w *world) RunAnalyzers(_ context.Context, all ...connector.NewJob) (made []connector.Job, err error) {
	if err := w.meets(); err != nil {
		return nil, err
	}
	lost := &hive.Error{Op: "run analyzers", Method: "POST", Path: "/job/_bulk", Sent: true}
	if w.roll(0.1) { // it commits when nobody waits any more
		w.late = append(w.late, late{time.Now().Add(time.Duration(w.rng.Int64N(int64(settle - w.lag)))), slices.Clone(all)})
		return nil, lost
	}
	for _, n := range all {
		made = append(made, w.make(time.Now(), n, w.lag, false))
	}
	switch {
	case w.roll(0.1):
		panic(errKilled)
	case w.roll(0.1):
		return nil, lost
	}
	return made, nil
}

func (w *world) RunAnalyzer(ctx context.Context, n connector.NewJob) (connector.Job, error) {
	made, err := w.RunAnalyzers(ctx, n)
	if err != nil {
		return connector.Job{}, err
	}
	return made[0], nil
}

// held is the case as a worker has it.
type held struct {
	*world
	of    int // which case
	state *analyze.State
}

var values = []string{"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"}

func observable(of int, value string) string { return fmt.Sprint("case", of, "/", value) }

func (h held) Observables(context.Context) (map[hive.ObservableName]hive.Observable, error) {
	there := map[hive.ObservableName]hive.Observable{}
	for _, v := range values {
		there[hive.ObservableName{DataType: "ip", Data: v}] = hive.Observable{ID: observable(h.of, v)}
	}
	return there, h.meets()
}

func (h held) Keep(context.Context) error {
	if h.keeps {
		h.states[h.of], _ = json.Marshal(h.state)
	}
	if h.roll(0.03) {
		panic(errKilled)
	}
	return nil
}

func (h held) Tell(j analyze.Job, why string) { h.faults = append(h.faults, "lost: "+j.Data+": "+why) }
func (h held) Happened(analyze.What, string)  {}

// load reads what the ledger says; nothing is fine.
func load(raw []byte, into any) { _ = json.Unmarshal(raw, into) }

// pass is a worker's pass, or as much of it as it lives.
func (w *world) pass() {
	if w.dirty && w.settles {
		pause(settle)
	}
	defer func() {
		if r := recover(); r != nil && r != any(errKilled) {
			panic(r)
		}
	}()
	w.dirty = true
	var s analyze.State
	var room analyze.Room
	of := w.rng.IntN(2)
	load(w.states[of], &s)
	load(w.room, &room)
	a := w.askers[w.rng.IntN(2)]
	if a.Full("") || !s.Waits() {
		w.dirty = false
		return
	}
	unclear, _ := a.Ask(context.Background(), analyze.Claimed{Cortex: w, State: &s, Room: &room, Holder: held{w, of, &s}})
	if w.roll(0.03) {
		panic(errKilled)
	}
	w.states[of], _ = json.Marshal(s)
	w.room, _ = json.Marshal(room)
	w.dirty = unclear
	if !w.bounds {
		w.room = nil
	}
}

// detect is a detection that brings some values.
func (w *world) detect() {
	var s analyze.State
	of := w.rng.IntN(2)
	load(w.states[of], &s)
	analyses := []rules.Analysis{{Analyzer: "vt", Once: rules.OnceWindow, Window: w.window}, {Analyzer: "VT_3", Once: rules.OnceWindow, Window: w.window}, {Analyzer: "geo"}, {Analyzer: "Geo_4"}}
	for _, v := range values {
		if w.rng.IntN(3) > 0 {
			continue
		}
		s.Want(analyses, []detection.Observable{{DataType: "ip", Data: v}}, 1000, time.Now())
		w.want("vt "+observable(of, v), w.window, time.Now())
		w.want("geo "+observable(of, v), 0, time.Now())
	}
	w.states[of], _ = json.Marshal(s)
}

// history lives through one, and gives what was wrong with it.
func history(seed uint64, of mutant) []string {
	rng := rand.New(rand.NewPCG(seed, 31))
	w := &world{
		mutant: of, model: &model{owed: map[string]bool{}, windows: map[string]map[int64]bool{}, started: map[string]int64{}},
		rng: rng, window: time.Hour, most: 2 + rng.IntN(12), lag: time.Duration(rng.IntN(20)) * time.Second, jobs: map[string][]job{},
		skew: []time.Duration{0, -90 * time.Minute, 3 * time.Second}[rng.IntN(3)],
	}
	for i := range w.askers {
		w.askers[i] = &analyze.Asker{Most: w.most, Settle: settle}
		if !of.guards {
			w.askers[i].Settle = 0
		}
	}
	for range 60 {
		w.arrive() // before an analyst's job, which came later
		switch {
		case rng.IntN(4) == 0:
			w.detect()
		case rng.IntN(12) == 0 && w.skew == 0:
			w.make(time.Now(), connector.NewJob{AnalyzerID: "geo", ObservableID: observable(rng.IntN(2), values[rng.IntN(4)])}, 0, true)
		}
		w.pass()
		pause([]time.Duration{time.Duration(rng.IntN(5)), time.Duration(1 + rng.IntN(240))}[rng.IntN(2)] * time.Second)
	}
	w.calm = true
	for range 150 {
		pause(40 * time.Second)
		w.pass()
	}
	for pair, owed := range w.owed {
		if owed {
			w.faults = append(w.faults, "lost: "+pair)
		}
	}
	return w.faults
}

// TestJobsAreAskedForOnce: two workers that die between any two calls, answers that are lost, jobs that come late, lists that lag, a clock
// of TheHive that goes wrong by more than a window: none is doubled, none is lost, and never are more outstanding than may be.
func TestJobsAreAskedForOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*histories) {
		synctest.Test(t, func(t *testing.T) {
			if faults := history(seed, whole); len(faults) > 0 {
				t.Errorf("history %d: %q", seed, faults)
			}
		})
		if t.Failed() {
			return
		}
	}
}

// TestTheModelFindsWhatIsWrong: what a worker must not leave out.
func TestTheModelFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, m := range []mutant{
		{"no state is written before asking", false, true, true, true},
		{"nobody waits for what a dead worker did", true, false, true, true},
		{"nobody waits for lists to show what was asked for", true, true, false, true},
		{"what no search shows is not counted", true, true, true, false},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			found := slices.IndexFunc(make([]struct{}, *histories), func() func(struct{}) bool {
				seed := uint64(0)
				return func(struct{}) (wrong bool) {
					synctest.Test(t, func(*testing.T) { wrong = len(history(seed, m)) > 0 })
					seed++
					return wrong
				}
			}())
			if found < 0 {
				t.Errorf("not found in %d histories", *histories)
			}
			t.Logf("found by history %d", found)
		})
	}
}
