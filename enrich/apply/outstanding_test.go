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

	"forager/enrich/analyze"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive"
	"forager/hive/connector"
	"forager/hive/hivetest"
)

// inWindows are the analyses of a route whose looks hold for a while.
func inWindows(window time.Duration, analyzers ...string) (all []rules.Analysis) {
	for _, name := range analyzers {
		all = append(all, rules.Analysis{Analyzer: name, Types: []string{"ip"}, Once: rules.OnceWindow, Window: window, Raise: "critical", MarkIOC: true})
	}
	return all
}

func TestAnObservableIsAnalysedOnceInAWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, cortexed)
		e, j, c := s.analysing(t), s.jobs(t), s.client(t)
		want := inWindows(6*time.Hour, "virustotal", "VirusTotal_GetReport_3_1") // the same by id and by name
		for n := range 3 {
			for again := range 2 { // the second time in the same window
				mustApply(t, e, analysed(t, uint64(10*n+again+1), want, with("web01", day(1).Add(time.Duration(n)*time.Minute), address(bad))))
				for range 4 {
					quiet(t, e)
				}
			}
			if diff := cmp.Diff(map[string]int{"virustotal " + bad: n + 1}, j.seen()); diff != "" {
				t.Fatalf("window %d (-want +got): %s", n, diff)
			}
			if n == 0 { // what it says again changes nothing again
				if diff := cmp.Diff(held{4, []string{bad}}, s.held(t, c, "1")); diff != "" {
					t.Fatal(diff)
				}
				s.undo(t, c, "1", bad)
			}
			wait(t.Context(), 6*time.Hour)
		}
		if diff := cmp.Diff(held{2, nil}, s.held(t, c, "1")); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAnalysesOfACaseThatCameByAlert: what an alert brought is analysed in the case.
func TestAnalysesOfACaseThatCameByAlert(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, cortexed)
		e, j := s.analysing(t), s.jobs(t)
		for n, value := range []string{bad, good} {
			mustApply(t, e, byAlert.of(analysed(t, uint64(n+1), []rules.Analysis{{Analyzer: "virustotal", Types: []string{"ip"}}}, with("web01", day(1+n), address(value)))))
			for range 4 {
				quiet(t, e)
			}
		}
		if diff := cmp.Diff(map[string]int{"virustotal " + bad: 1, "virustotal " + good: 1}, j.seen()); diff != "" {
			t.Error(diff)
		}
	})
}

// outstanding counts, at each job that is made, how many wait or run.
func (s *site) outstanding(t *testing.T) (most func() int) {
	t.Helper()
	c, n := connector.New(s.client(t)), 0
	return func() int {
		all, err := c.Outstanding(t.Context(), 1000)
		if err != nil {
			t.Error(err)
		}
		n = max(n, len(all))
		return n
	}
}

// TestJobsOutstandingAreBoundedOverAllCases: what is above is asked for later, by whichever worker, and none is lost.
func TestJobsOutstandingAreBoundedOverAllCases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := cortexed
		o.JobTime = 10 * time.Minute
		s := newSite(t, o)
		j, most, heard := s.jobs(t), s.outstanding(t), &heardEvents{}
		c := s.client(t)
		worker := func() *apply.Applier {
			return s.worker(t, func(o *apply.Options) {
				o.Cortex, o.Unrelated, o.Limits.Outstanding, o.Events = func(string) analyze.Cortex { return connector.New(c) }, true, 5, heard
			})
		}
		one, two := worker(), worker()
		want := map[string]int{}
		for i := range 4 {
			var some []detection.Observable
			for k := range 4 {
				value := fmt.Sprintf("203.0.%d.%d", i, k)
				some = append(some, address(value))
				want["virustotal "+value] = 1
			}
			mustApply(t, []*apply.Applier{one, two}[i%2], analysed(t, uint64(i+1), []rules.Analysis{{Analyzer: "virustotal", Types: []string{"ip"}}}, with(fmt.Sprint("host", i), day(1), some...)))
		}
		for range 60 {
			quiet(t, one, two)
			if n := most(); n > 5 {
				t.Fatalf("%d jobs outstanding", n)
			}
		}
		if diff := cmp.Diff(want, j.seen()); diff != "" {
			t.Errorf("(-want +got): %s", diff)
		}
		if n := most(); n != 5 {
			t.Errorf("%d jobs outstanding at most", n)
		}
	})
}

// TestAJobThatFailsIsSaidOnceAndNotLookedForAgain: whatever its result could have changed.
func TestAJobThatFailsIsSaidOnceAndNotLookedForAgain(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]rules.Analysis{"with effects": {Analyzer: "broken", Raise: "critical", MarkIOC: true}, "without": {Analyzer: "broken"}} {
		synctest.Test(t, func(t *testing.T) {
			o := cortexed
			o.Analyzers = []hivetest.Analyzer{{ID: "broken", Name: "Broken_1_0", DataTypes: []string{"ip"}, Fails: "quota | exceeded"}}
			s := newSite(t, o)
			e, j := s.analysing(t), s.jobs(t)
			mustApply(t, e, analysed(t, 1, []rules.Analysis{want}, with("web01", day(1), address(bad), address(good))))
			for range 4 {
				quiet(t, e)
			}
			s.says(t, "Not analysed by `Broken_1_0`: its job failed: `quota` \\| `exceeded`\n")
			calls := s.calls(func() {
				for range 24 * 60 {
					wait(t.Context(), time.Minute)
					if err := e.FlushComments(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			})
			if calls != 0 {
				t.Errorf("%s: %d calls in the day after", name, calls)
			}
			if diff := cmp.Diff(map[string]int{"broken " + bad: 1, "broken " + good: 1}, j.seen()); diff != "" {
				t.Errorf("%s (-want +got): %s", name, diff)
			}
		})
	}
}

// TestACortexThatIsAwayIsAskedWithGrowingPauses: until it answers, or ten times.
func TestACortexThatIsAwayIsAskedWithGrowingPauses(t *testing.T) {
	t.Parallel()
	for away, want := range map[time.Duration]struct {
		jobs map[string]int
		says string
	}{
		time.Hour:      {map[string]int{"virustotal " + bad: 1}, ""},
		24 * time.Hour: {map[string]int{}, "Not analysed by `virustotal`: Cortex did not answer\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, cortexed)
			e, j, began, asked := s.analysing(t), s.jobs(t), time.Now(), 0
			s.hive.On(hivetest.BeforeEffect, "GET /api/v1/connector/cortex/analyzer", func(hivetest.Call) hivetest.Action {
				if asked++; time.Since(began) < away {
					return hivetest.Action{Status: http.StatusInternalServerError, Type: "CortexError", Message: "Connection refused"}
				}
				return hivetest.Action{}
			})
			mustApply(t, e, analysed(t, 1, []rules.Analysis{{Analyzer: "virustotal"}}, with("web01", day(1), address(bad))))
			for range 24 * 30 {
				quiet(t, e)
			}
			if diff := cmp.Diff(want.jobs, j.seen()); diff != "" || asked > 3*analyze.MaxTries { // the client tries each read three times
				t.Errorf("%v: asked %d times (-want +got): %s", away, asked, diff)
			}
			if page := s.pages()[0]; !strings.Contains(page, want.says) || want.says == "" && strings.Contains(page, "Not analysed") {
				t.Errorf("%v: %s", away, page)
			}
		})
	}
}

// TestResultsAreUsedAtOnceWhereTheWebhookSaysSo: it says so under the account that asked for the job, which is the worker's own.
func TestResultsAreUsedAtOnceWhereTheWebhookSaysSo(t *testing.T) {
	t.Parallel()
	for _, version := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			o := cortexed
			o.JobTime = 20 * time.Minute // between two looks
			s := newSite(t, o)
			c := s.client(t)
			e := s.worker(t, func(o *apply.Options) {
				o.Cortex, o.Unrelated = func(string) analyze.Cortex { return connector.New(c) }, true
				o.Login = func(ctx context.Context) (string, error) {
					u, err := c.CurrentUser(ctx)
					return u.Login, err
				}
			})
			mustApply(t, e, analysed(t, 1, []rules.Analysis{{Analyzer: "virustotal", Raise: "critical", MarkIOC: true}}, with("web01", day(1), address(bad))))
			quiet(t, e)
			for range 21 { // looks are due one, two, four, eight, sixteen and thirty-two minutes after it was asked for
				wait(t.Context(), time.Minute)
				if err := e.FlushComments(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(held{3, nil}, s.held(t, c, "1")); diff != "" {
				t.Fatalf("before the look was due: %s", diff)
			}
			learnt := desk{site: s, t: t}.tell(e, version)
			if learnt[apply.AuditResult] != 1 {
				t.Errorf("version %d: %v", version, learnt)
			}
			select {
			case <-e.News():
			default:
				t.Fatal("nobody is told that something is to be done at once")
			}
			if err := e.UseNews(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(held{4, []string{bad}}, s.held(t, c, "1")); diff != "" {
				t.Errorf("version %d: %s", version, diff)
			}
			if again := (desk{site: s, t: t}).tell(e, version); again[apply.AuditResult] != 0 {
				t.Errorf("version %d, the documents come once more: %v", version, again)
			}
		})
	}
}

// TestAnalysesInWindowsOnceWhateverDies: in each of four windows three workers that are killed, answers that are lost, effects that come
// late, lists that lag; and a clock of TheHive that is right, or wrong by more than a window, so that no job shows in which it began. In the
// end each value was looked at once in each window in which it came, and what was said had its effects once.
func TestAnalysesInWindowsOnceWhateverDies(t *testing.T) {
	t.Parallel()
	// A storm of four windows takes as long as three of one.
	for seed := range uint64(max(2, *jobRuns/3)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { windowsStorm(t, seed) })
		})
	}
}

func windowsStorm(t *testing.T, seed uint64) {
	const window = 6 * time.Hour
	rng := rand.New(rand.NewPCG(seed, 37))
	o := cortexed
	o.Seed, o.JobTime = seed, time.Duration(1+rng.IntN(100))*time.Second
	if seed%2 == 1 {
		o.Clock = func() time.Time { return time.Now().Add(-window - time.Hour) }
	}
	s := &storm{site: newSite(t, o), rng: rng, place: apply.DigestNone}
	j, changes := s.jobs(t), s.changes(t)
	model := map[string]int{}
	wait(t.Context(), time.Until(time.Now().Truncate(window).Add(window)))
	for n := range 4 {
		began := time.Now()
		var all []detection.Detection
		brought := map[string]bool{}
		for i := range 4 {
			value := fmt.Sprint("203.0.113.", 10*(i%2)+rng.IntN(3))
			all = append(all, with(fmt.Sprint("host", i%2), day(1).Add(time.Duration(10*n+i)*time.Minute), address(value)))
			brought[value] = true
		}
		for value := range brought {
			model["virustotal "+value]++
		}
		s.hive.Set(faults(rng))
		s.pending = analysed(t, uint64(10*n+1), inWindows(window, "virustotal", "VirusTotal_GetReport_3_1"), all...)
		s.left = len(all)
		s.rageWindows(t)
		s.hive.Set(hivetest.Misbehaviour{})
		e := s.analysing(t)
		for range 12 {
			sweepAll(t, s.site, e)
			quiet(t, e)
		}
		if diff := cmp.Diff(model, j.seen()); diff != "" {
			t.Fatalf("seed %d, window %d (-want +got): %s", seed, n, diff)
		}
		wait(t.Context(), time.Until(began.Add(window)))
	}
	for path, n := range changes() {
		if n != 1 {
			t.Errorf("seed %d: %s was changed %d times", seed, path, n)
		}
	}
	if len(changes()) != 2+len(model) { // two cases, and each value
		t.Errorf("seed %d: %v", seed, slices.Sorted(maps.Keys(changes())))
	}
}

// rageWindows runs three workers until every plan is settled, and ten minutes more; two jobs may be outstanding.
func (s *storm) rageWindows(t *testing.T) {
	var wg conc.WaitGroup
	end := time.Now().Add(10 * time.Minute)
	for range 3 {
		wg.Go(func() {
			for !s.over() || time.Now().Before(end) {
				s.liveWith(t, end, func(o *apply.Options, c *hive.Client) {
					o.Cortex, o.Unrelated, o.Limits.Outstanding = func(string) analyze.Cortex { return connector.New(c) }, true, 3
				})
			}
		})
	}
	wg.Wait()
	wait(context.WithoutCancel(t.Context()), 2*time.Minute)
}
