package apply_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/conc"

	"forager/enrich"
	"forager/enrich/analyze"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive"
	"forager/hive/connector"
	"forager/hive/hivetest"
	"forager/racedetector"
)

// jobs count the jobs that took effect, by analyzer and value.
type jobs struct {
	mu   sync.Mutex
	made map[string]int
	data func(observableID string) string
}

// jobs watches the site: every job that is made is counted, whether the answer arrives or not.
func (s *site) jobs(t *testing.T) *jobs {
	t.Helper()
	c := s.client(t)
	j := &jobs{made: map[string]int{}, data: func(id string) string {
		o, err := c.Observable(t.Context(), id)
		if err != nil {
			t.Error(err)
		}
		return o.Data
	}}
	count := func(all []connector.NewJob) {
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, n := range all {
			j.made[n.AnalyzerID+" "+n.ObservableID]++
		}
	}
	s.hive.On(hivetest.AfterEffect, "POST /api/v1/connector/cortex/job", func(c hivetest.Call) hivetest.Action {
		var one connector.NewJob
		if c.Status == http.StatusCreated && json.Unmarshal(c.Body, &one) == nil {
			count([]connector.NewJob{one})
		}
		return hivetest.Action{}
	})
	s.hive.On(hivetest.AfterEffect, "POST /api/v1/connector/cortex/job/_bulk", func(c hivetest.Call) hivetest.Action {
		var all struct{ Jobs []connector.NewJob }
		if c.Status == http.StatusCreated && json.Unmarshal(c.Body, &all) == nil {
			count(all.Jobs)
		}
		return hivetest.Action{}
	})
	return j
}

// seen are they by "analyzer value".
func (j *jobs) seen() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[string]int{}
	for name, n := range j.made {
		analyzer, id, _ := strings.Cut(name, " ")
		out[analyzer+" "+j.data(id)] += n
	}
	return out
}

// analysing is a worker that has a Cortex.
func (s *site) analysing(t *testing.T) *apply.Applier {
	t.Helper()
	c := s.client(t)
	return s.worker(t, func(o *apply.Options) {
		o.Cortex, o.Unrelated = func(string) analyze.Cortex { return connector.New(c) }, true
	})
}

// analysed are plans whose route wants analyses.
func analysed(t *testing.T, first uint64, want []rules.Analysis, all ...detection.Detection) []enrich.Plan {
	t.Helper()
	plans := plan(t, first, all...)
	for i := range plans {
		plans[i].Analyze = want
	}
	return plans
}

var cortexed = hivetest.Options{Cortex: []string{"local"}, Version: "5.7.3-1"}

func address(data string) detection.Observable {
	return detection.Observable{DataType: "ip", Data: data}
}

func TestObservablesThatAreNewAreAnalysedOnce(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"5.5.13-1", "5.7.3-1"} {
		synctest.Test(t, func(t *testing.T) {
			o := cortexed
			o.Version = version
			s := newSite(t, o)
			if version == "5.5.13-1" { // it has no call for several jobs
				s.hive.On(hivetest.BeforeEffect, "POST /api/v1/connector/cortex/job/_bulk", func(hivetest.Call) hivetest.Action {
					return hivetest.Action{Status: http.StatusNotFound, Type: "NotFoundError", Message: "/api/v1/connector/cortex/job/_bulk"}
				})
			}
			e, j := s.analysing(t), s.jobs(t)
			want := []rules.Analysis{{Analyzer: "VirusTotal_GetReport_3_1", Types: []string{"ip", "hash"}}, {Analyzer: "maxmind_geoip", IOC: true}}
			ioc := address("203.0.113.7")
			ioc.IOC = true
			mustApply(t, e, analysed(t, 1, want, with("web01", day(1), ioc, address("203.0.113.8"), detection.Observable{DataType: "domain", Data: "a.example"})))
			if got := j.seen(); len(got) != 0 {
				t.Errorf("jobs while the message waits: %v", got)
			}
			quiet(t, e)
			first := map[string]int{"virustotal 203.0.113.7": 1, "virustotal 203.0.113.8": 1, "maxmind_geoip 203.0.113.7": 1}
			for range 2 { // the second time by single calls, where there is no bulk
				quiet(t, e)
			}
			if diff := cmp.Diff(first, j.seen()); diff != "" {
				t.Errorf("%s (-want +got): %s", version, diff)
			}
			other := s.analysing(t)
			mustApply(t, other, analysed(t, 2, want, with("web01", day(2), ioc, address("203.0.113.9"))))
			sweepAll(t, s, e)
			quiet(t, other, e)
			quiet(t, other, e)
			first["virustotal 203.0.113.9"] = 1
			if diff := cmp.Diff(first, j.seen()); diff != "" {
				t.Errorf("%s, later (-want +got): %s", version, diff)
			}
		})
	}
}

func TestWhatAnAnalystAskedForIsNotDoubled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, cortexed)
		e, j, c := s.analysing(t), s.jobs(t), s.client(t)
		mustApply(t, e, analysed(t, 1, []rules.Analysis{{Analyzer: "virustotal"}}, with("web01", day(1), address("203.0.113.7"))))
		for o, err := range c.CaseObservables(t.Context(), "1") {
			if err != nil {
				t.Fatal(err)
			}
			if o.Data == "203.0.113.7" {
				if _, err := connector.New(c).RunAnalyzer(t.Context(), connector.NewJob{AnalyzerID: "virustotal", CortexID: "local", ObservableID: o.ID}); err != nil {
					t.Fatal(err)
				}
			}
		}
		quiet(t, e)
		if diff := cmp.Diff(map[string]int{"virustotal 203.0.113.7": 1}, j.seen()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestWhatIsNotAnalysedIsSaid: by the page of detections, and costs the detection nothing.
func TestWhatIsNotAnalysedIsSaid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		o    hivetest.Options
		want rules.Analysis
		deny bool
		say  string
	}{
		"no Cortex":           {hivetest.Options{}, rules.Analysis{Analyzer: "virustotal"}, false, "Not analysed by `virustotal`: Cortex has no such analyzer"},
		"an unknown analyzer": {cortexed, rules.Analysis{Analyzer: "nobody_1_0"}, false, "Not analysed by `nobody_1_0`: Cortex has no such analyzer"},
		"an unknown server":   {cortexed, rules.Analysis{Analyzer: "virustotal", Cortex: "far"}, false, "Not analysed by `virustotal`: Cortex has no such analyzer"},
		"a TLP above":         {cortexed, rules.Analysis{Analyzer: "virustotal", MaxTLP: "clear"}, false, "Not analysed by `virustotal`: the TLP of an observable is above what it may see"},
		"without the right":   {cortexed, rules.Analysis{Analyzer: "virustotal"}, true, "Not analysed by `virustotal`: Forager's account has not the right manageAnalyse"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, test.o)
			if test.deny {
				s.hive.On(hivetest.BeforeEffect, "POST /api/v1/connector/cortex/job/_bulk", func(hivetest.Call) hivetest.Action {
					return hivetest.Action{Status: http.StatusForbidden, Type: "AuthorizationError", Message: "you haven't the permission manageAnalyse"}
				})
			}
			e, j := s.analysing(t), s.jobs(t)
			mustApply(t, e, analysed(t, 1, []rules.Analysis{test.want}, with("web01", day(1), address("203.0.113.7"))))
			for range 14 {
				quiet(t, e)
			}
			if got := j.seen(); len(got) != 0 {
				t.Errorf("%s: %v", name, got)
			}
			if page := s.pages()[0]; strings.Count(page, test.say+"\n") != 1 {
				t.Errorf("%s: the page lacks %q, or has it twice:\n%s", name, test.say, page)
			}
		})
	}
}

func TestJobsOfACaseAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, cortexed)
		c, j := s.client(t), s.jobs(t)
		e := s.worker(t, func(o *apply.Options) {
			o.Cortex, o.Limits.Analyses = func(string) analyze.Cortex { return connector.New(c) }, 30
		})
		var many []detection.Observable
		for i := range 50 {
			many = append(many, address(fmt.Sprint("203.0.113.", i)))
		}
		for range 2 {
			mustApply(t, e, analysed(t, 1, []rules.Analysis{{Analyzer: "virustotal", Types: []string{"ip"}}}, with("web01", day(1), many...)))
			quiet(t, e)
		}
		if got := j.seen(); len(got) != 30 {
			t.Errorf("%d jobs", len(got))
		}
	})
}

// TestAnalysesCostNothingWhereNoneIsWanted: no call, and no write of the ledger.
func TestAnalysesCostNothingWhereNoneIsWanted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, cortexed)
		e := s.analysing(t)
		mustApply(t, e, plan(t, 1, with("web01", day(1), address("203.0.113.7"))))
		calls := s.hive.Stats(0).Total
		wait(t.Context(), 30*time.Second)
		if err := e.FlushComments(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.hive.Stats(0).Total - calls; got != 0 {
			t.Errorf("%d calls", got)
		}
	})
}

var jobRuns = flag.Int("job.runs", racedetector.Fewer(10, 2), "random histories of analyses to try")

// TestAnalysesAreAskedForOnceWhateverDies: three workers that are killed, answers that are lost, effects that come late; in the end each
// observable of each case was looked at once by each analyzer that takes it.
func TestAnalysesAreAskedForOnceWhateverDies(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*jobRuns) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 23))
				o := cortexed
				o.Seed = seed
				s := &storm{site: newSite(t, o), rng: rng, place: apply.DigestNone}
				j := s.jobs(t)
				want := []rules.Analysis{{Analyzer: "virustotal", Types: []string{"ip"}}, {Analyzer: "MaxMind_GeoIP_4_0"}}
				model := map[string]int{}
				var all []detection.Detection
				for i := range 12 { // four hosts, whose detections bring new values and old ones
					host := fmt.Sprint("host", i%4)
					value := fmt.Sprintf("203.0.%d.%d", i%4, rng.IntN(4))
					all = append(all, with(host, day(1).Add(time.Duration(i)*time.Minute), address(value), detection.Observable{DataType: "domain", Data: "a.example"}))
					model["virustotal "+value], model["maxmind_geoip "+value] = 1, 1
				}
				s.hive.Set(faults(rng))
				s.pending = analysed(t, 1, want, all...)
				s.left = len(all)
				s.rageAnalysing(t)
				s.hive.Set(hivetest.Misbehaviour{})
				e := s.analysing(t)
				for range 12 {
					sweepAll(t, s.site, e)
					quiet(t, e)
				}
				if diff := cmp.Diff(model, j.seen()); diff != "" {
					t.Errorf("seed %d (-want +got): %s", seed, diff)
				}
			})
		})
	}
}

// rageAnalysing runs three workers until every plan is settled, and ten minutes more.
func (s *storm) rageAnalysing(t *testing.T) {
	var wg conc.WaitGroup
	end := time.Now().Add(10 * time.Minute)
	for range 3 {
		wg.Go(func() {
			for !s.over() || time.Now().Before(end) {
				s.liveWith(t, end, func(o *apply.Options, c *hive.Client) {
					o.Cortex, o.Unrelated = func(string) analyze.Cortex { return connector.New(c) }, true
				})
			}
		})
	}
	wg.Wait()
	wait(context.WithoutCancel(t.Context()), 2*time.Minute)
}
