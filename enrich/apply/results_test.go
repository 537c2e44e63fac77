package apply_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/conc"

	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive"
	"forager/hive/hivetest"
)

// held is what a case is like: its severity, and which observables are indicators.
type held struct {
	Severity int
	IOC      []string
}

func (s *site) held(t *testing.T, c *hive.Client, number string) (h held) {
	t.Helper()
	one, err := c.Case(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	h.Severity = one.Severity
	for o, err := range c.CaseObservables(t.Context(), number) {
		if err != nil {
			t.Fatal(err)
		}
		if o.IOC {
			h.IOC = append(h.IOC, o.Data)
		}
	}
	slices.Sort(h.IOC)
	return h
}

// observable is one of a case by its value.
func observableOf(t *testing.T, c *hive.Client, number, data string) hive.Observable {
	t.Helper()
	for o, err := range c.CaseObservables(t.Context(), number) {
		if err != nil {
			t.Fatal(err)
		}
		if o.Data == data {
			return o
		}
	}
	t.Fatalf("case %s has no %s", number, data)
	return hive.Observable{}
}

// Values of which the simulated analyzers say what their names say; see the simulator's verdict.
const bad, doubtful, good = "203.0.113.7", "198.51.100.8", "192.0.2.9"

func TestWhatAnAnalyzerSaysRaisesAndMarks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		want rules.Analysis
		held held
	}{
		"nothing":        {rules.Analysis{}, held{3, nil}},
		"raise":          {rules.Analysis{Raise: "critical"}, held{4, nil}},
		"never lower":    {rules.Analysis{Raise: "medium"}, held{3, nil}},
		"mark":           {rules.Analysis{MarkIOC: true}, held{3, []string{bad}}},
		"both":           {rules.Analysis{Raise: "critical", MarkIOC: true}, held{4, []string{bad}}},
		"suspicious too": {rules.Analysis{MarkIOC: true, Level: "suspicious"}, held{3, []string{doubtful, bad}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, cortexed)
			e, c := s.analysing(t), s.client(t)
			test.want.Analyzer = "virustotal" // by its id; reports stand under its name
			mustApply(t, e, analysed(t, 1, []rules.Analysis{test.want}, with("web01", day(1), address(bad), address(doubtful), address(good))))
			for range 3 {
				quiet(t, e)
			}
			if diff := cmp.Diff(test.held, s.held(t, c, "1")); diff != "" {
				t.Errorf("%s (-want +got): %s", name, diff)
			}
		})
	}
}

// TestGoodResultsChangeNothing: safe alone raises nothing, and nor does a severity that is there already.
func TestGoodResultsChangeNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, cortexed)
		e, c := s.analysing(t), s.client(t)
		mustApply(t, e, analysed(t, 1, []rules.Analysis{{Analyzer: "virustotal", Raise: "critical", MarkIOC: true}}, with("web01", day(1), address(doubtful), address(good))))
		for range 3 {
			quiet(t, e)
		}
		if diff := cmp.Diff(held{3, nil}, s.held(t, c, "1")); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAnalystsWinOverAnalyzers: what an analyst lowered or unmarked stays so, whatever comes later.
func TestAnalystsWinOverAnalyzers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, cortexed)
		e, c := s.analysing(t), s.client(t)
		want := []rules.Analysis{{Analyzer: "virustotal", Raise: "critical", MarkIOC: true}, {Analyzer: "maxmind_geoip", Raise: "critical", MarkIOC: true}}
		mustApply(t, e, analysed(t, 1, want[:1], with("web01", day(1), address(bad))))
		quiet(t, e)
		quiet(t, e)
		if diff := cmp.Diff(held{4, []string{bad}}, s.held(t, c, "1")); diff != "" {
			t.Fatal(diff)
		}
		s.undo(t, c, "1", bad)
		// the same observable comes again, and another analyzer has its say: by another worker
		other := s.analysing(t)
		mustApply(t, other, analysed(t, 2, want[1:], with("web01", day(2), address(bad), address("203.0.113.99"))))
		for range 3 {
			quiet(t, e, other)
			sweepAll(t, s, other)
		}
		if diff := cmp.Diff(held{2, []string{"203.0.113.99"}}, s.held(t, c, "1")); diff != "" {
			t.Errorf("(-want +got): %s", diff)
		}
	})
}

// undo is an analyst who does not believe it.
func (s *site) undo(t *testing.T, c *hive.Client, number, data string) {
	t.Helper()
	low, no := 2, false
	if err := c.UpdateCase(t.Context(), number, hive.CaseUpdate{Severity: &low}); err != nil {
		t.Error(err)
	}
	if err := c.UpdateObservable(t.Context(), observableOf(t, c, number, data).ID, hive.ObservableUpdate{IOC: &no}); err != nil {
		t.Error(err)
	}
}

// TestAnIndicatorThatAnAnalystUnmarkedIsNotMarkedForAResult: it came as one.
func TestAnIndicatorThatAnAnalystUnmarkedIsNotMarkedForAResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, cortexed)
		e, c := s.analysing(t), s.client(t)
		ioc := address(bad)
		ioc.IOC = true
		mustApply(t, e, analysed(t, 1, []rules.Analysis{{Analyzer: "virustotal", Raise: "low", MarkIOC: true}}, with("web01", day(1), ioc)))
		s.undo(t, c, "1", bad)
		for range 3 {
			quiet(t, e)
		}
		if diff := cmp.Diff(held{2, nil}, s.held(t, c, "1")); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAClosedCaseIsNotRaised: somebody judged it.
func TestAClosedCaseIsNotRaised(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, cortexed)
		e, c := s.analysing(t), s.client(t)
		mustApply(t, e, analysed(t, 1, []rules.Analysis{{Analyzer: "virustotal", Raise: "critical", MarkIOC: true}}, with("web01", day(1), address(bad))))
		if err := c.UpdateCase(t.Context(), "1", hive.CaseUpdate{Status: new("FalsePositive"), ImpactStatus: new("NoImpact")}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			quiet(t, e)
		}
		if diff := cmp.Diff(held{3, nil}, s.held(t, c, "1")); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAWriteForAResultWhoseAnswerIsLostIsNotRepeated: not even where an analyst takes it back before the next look.
func TestAWriteForAResultWhoseAnswerIsLostIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, cortexed)
		e, c := s.analysing(t), s.client(t)
		mustApply(t, e, analysed(t, 1, []rules.Analysis{{Analyzer: "virustotal", Raise: "critical", MarkIOC: true}}, with("web01", day(1), address(bad))))
		lose := true
		for _, route := range []string{"PATCH /api/v1/case/{id}", "PATCH /api/v1/observable/{id}"} {
			s.hive.On(hivetest.AfterEffect, route, func(hivetest.Call) hivetest.Action {
				return hivetest.Action{Cut: lose}
			})
		}
		for _, was := range []held{{4, nil}, {2, []string{bad}}} { // first the answer of the raise is lost, then that of the mark
			quiet(t, e)
			quiet(t, e)
			if diff := cmp.Diff(was, s.held(t, c, "1")); diff != "" {
				t.Fatalf("(-want +got): %s", diff)
			}
			lose = false
			s.undo(t, c, "1", bad)
			lose = true
		}
		lose = false
		for range 4 {
			quiet(t, s.analysing(t), e)
			sweepAll(t, s, e)
		}
		if diff := cmp.Diff(held{2, nil}, s.held(t, c, "1")); diff != "" {
			t.Errorf("(-want +got): %s", diff)
		}
	})
}

// TestResultsAreLookedForWithGrowingPausesForADay: and where no job is under way, never.
func TestResultsAreLookedForWithGrowingPausesForADay(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		takes       time.Duration
		least, most int
		held        held
	}{
		{10 * time.Second, 1, 3, held{4, nil}},
		{5 * time.Hour, 12, 32, held{4, nil}},  // a look is two calls: the observables, and the job that they do not show
		{48 * time.Hour, 40, 68, held{3, nil}}, // too late
	} {
		synctest.Test(t, func(t *testing.T) {
			o := cortexed
			o.JobTime = test.takes
			s := newSite(t, o)
			e, c := s.analysing(t), s.client(t)
			mustApply(t, e, analysed(t, 1, []rules.Analysis{{Analyzer: "virustotal", Raise: "critical"}}, with("web01", day(1), address(bad))))
			quiet(t, e)
			before := s.hive.Stats(0).Total
			for range 3 * 24 * 60 {
				wait(t.Context(), time.Minute)
				if err := e.FlushComments(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			n := s.hive.Stats(0).Total - before
			if n < test.least || n > test.most+4 { // the look that finds something looks at the case, lists again, and writes
				t.Errorf("%v: %d calls", test.takes, n)
			}
			if diff := cmp.Diff(test.held, s.held(t, c, "1")); diff != "" {
				t.Errorf("%v: %s", test.takes, diff)
			}
		})
	}
}

// changes counts, by the calls that take effect, what is raised and marked, by the object's path.
func (s *site) changes(t *testing.T) func() map[string]int {
	t.Helper()
	j := &jobs{made: map[string]int{}}
	for _, route := range []string{"PATCH /api/v1/case/{id}", "PATCH /api/v1/observable/{id}"} {
		s.hive.On(hivetest.AfterEffect, route, func(c hivetest.Call) hivetest.Action {
			if body := string(c.Body); c.Status == http.StatusNoContent && (strings.Contains(body, `"severity":4`) || strings.Contains(body, `"ioc":true`)) {
				j.mu.Lock()
				defer j.mu.Unlock()
				j.made[c.Path]++
			}
			return hivetest.Action{}
		})
	}
	return func() map[string]int {
		j.mu.Lock()
		defer j.mu.Unlock()
		return maps.Clone(j.made)
	}
}

// doubter is an analyst who takes back, as often as asked, each change that took effect, once.
func (s *site) doubter(t *testing.T, changes func() map[string]int) func() {
	t.Helper()
	c, undone := s.client(t), map[string]bool{}
	low, no := 2, false
	return func() {
		for path := range changes() {
			id := path[strings.LastIndex(path, "/")+1:]
			switch {
			case undone[path]:
			case strings.Contains(path, "/case/"):
				undone[path] = c.UpdateCase(t.Context(), id, hive.CaseUpdate{Severity: &low}) == nil
			default:
				undone[path] = c.UpdateObservable(t.Context(), id, hive.ObservableUpdate{IOC: &no}) == nil
			}
		}
	}
}

// TestResultsAreUsedOnceWhateverDies: three workers that are killed, answers that are lost, writes that come late; in the end each case with
// a bad observable was raised once, and each such observable marked once; or an analyst took it back, and it stays so.
func TestResultsAreUsedOnceWhateverDies(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*jobRuns) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { resultsStorm(t, seed) })
		})
	}
}

func resultsStorm(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 29))
	o := cortexed
	o.Seed = seed
	o.JobTime = time.Duration(1+rng.IntN(400)) * time.Second
	s := &storm{site: newSite(t, o), rng: rng, place: apply.DigestNone}
	changes, doubts := s.changes(t), seed%2 == 1
	analyst := s.doubter(t, changes)
	want := []rules.Analysis{{Analyzer: "virustotal", Types: []string{"ip"}, Raise: "critical", MarkIOC: true}}
	all, model := resultsWanted(doubts)
	s.hive.Set(faults(rng))
	s.pending = analysed(t, 1, want, all...)
	s.left = len(all)
	var wg conc.WaitGroup
	over := time.Now().Add(10 * time.Minute)
	wg.Go(func() {
		for doubts && time.Now().Before(over) {
			analyst()
			wait(context.WithoutCancel(t.Context()), 500*time.Millisecond)
		}
	})
	s.rageAnalysing(t)
	wg.Wait()
	s.hive.Set(hivetest.Misbehaviour{})
	e, c := s.analysing(t), s.client(t)
	for range 40 {
		sweepAll(t, s.site, e)
		quiet(t, e)
		if doubts {
			analyst()
		}
	}
	got := s.heldByHost(t, c)
	if diff := cmp.Diff(model, got); diff != "" {
		t.Errorf("seed %d (-want +got): %s", seed, diff)
	}
	for path, n := range changes() {
		if n != 1 {
			t.Errorf("seed %d: %s was changed %d times", seed, path, n)
		}
	}
}

// resultsWanted are twelve detections of four hosts, and what each host's case holds in the end.
func resultsWanted(doubts bool) (all []detection.Detection, model map[string]held) {
	model = map[string]held{}
	for i := range 12 {
		host := fmt.Sprint("host", i%4)
		value := fmt.Sprintf([]string{"203.0.113.%d", "192.0.2.%d"}[i%4/2], i) // hosts 0 and 1 have bad ones
		all = append(all, with(host, day(1).Add(time.Duration(i)*time.Minute), address(value)))
		h := model[host]
		if h.Severity = 3; i%4 < 2 {
			h.Severity, h.IOC = 4, append(h.IOC, value)
			slices.Sort(h.IOC)
		}
		if doubts && i%4 < 2 {
			h = held{2, nil}
		}
		model[host] = h
	}
	return all, model
}

// heldByHost is what the cases hold, by host.
func (s *storm) heldByHost(t *testing.T, c *hive.Client) map[string]held {
	t.Helper()
	got := map[string]held{}
	for one, err := range c.FindCases(t.Context(), hive.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		for o, err := range c.CaseObservables(t.Context(), one.ID) {
			if err == nil && o.DataType == "hostname" {
				got[o.Data] = s.held(t, c, one.ID)
			}
		}
	}
	return got
}
