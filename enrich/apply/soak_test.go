package apply_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/conc"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/hive"
	"forager/hive/hivetest"
	"forager/racedetector"
)

var soakRuns = flag.Int("soak.runs", racedetector.Fewer(2, 1), "hours of detections and analysts to live through")

// The soak is an hour of a SOC: bursts of detections of several hosts, by three workers at a
// TheHive that refuses calls and loses answers, while analysts close, merge and delete cases. The
// model below says in a few lines what the end must be. Bursts are shorter than the window and
// pauses longer, so that the end does not hang on how late a comment's times are written.
const (
	soakWindow = 5 * time.Minute
	soakBurst  = 4 * time.Minute
	soakCycle  = 12 * time.Minute
	soakLength = time.Hour
)

// soak is one run.
type soak struct {
	desk
	rng       *rand.Rand
	planner   *enrich.Planner
	workers   []*apply.Applier
	model     soakModel
	sequence  uint64
	dropped   int
	done      map[string]int // what analysts did
	burstFrom time.Time
}

// traffic makes a few detections of a host, a moment apart; no two hosts share a moment, so that
// a case is known by its start.
func (s *soak) traffic(host int) []enrich.Plan {
	var plans []enrich.Plan
	for i := range 1 + s.rng.IntN(3) {
		s.sequence++
		d := seen(fmt.Sprintf("host%d", host), fmt.Sprintf("id-%d", s.sequence), time.Now().Add(time.Duration(10*host+i)*time.Millisecond))
		d.Rule.ID = fmt.Sprintf("rule%d", s.rng.IntN(5))
		d.Severity = canon.Severity(1 + s.rng.IntN(4))
		d.Observables = []detection.Observable{{DataType: "ip", Data: fmt.Sprintf("198.51.100.%d", s.rng.IntN(12))}}
		d.Techniques = []detection.Reference{{Text: []string{"T1059.001", "T1110", "T1105", "T1486"}[s.rng.IntN(4)]}}
		plans = append(plans, planned(s.t, s.planner, s.sequence, d))
	}
	return plans
}

// burst lets several hosts be heard of at a time, and waits until all of it is settled.
func (s *soak) burst() {
	var wg conc.WaitGroup
	dropped := make(chan int, 8)
	for host := range 6 {
		if s.rng.IntN(3) == 0 {
			continue
		}
		plans, worker := s.traffic(host), s.workers[s.rng.IntN(len(s.workers))]
		for _, p := range plans {
			s.model.take(p)
		}
		wg.Go(func() { dropped <- s.settle(worker, plans) })
	}
	wg.Wait()
	close(dropped)
	for n := range dropped {
		s.dropped += n
	}
}

// settle applies plans until each is done or dropped, and counts the latter.
func (s *soak) settle(e *apply.Applier, plans []enrich.Plan) (dropped int) {
	for try := 0; len(plans) > 0; try++ {
		if try == 50 {
			s.t.Errorf("%d plans are not settled after %d tries", len(plans), try)
			return dropped
		}
		var again []enrich.Plan
		for i, err := range e.Apply(s.t.Context(), enrich.BatchOf(plans...)) {
			_, gone := errors.AsType[*enrich.DroppedError](err)
			switch {
			case gone:
				dropped++
			case err != nil:
				again = append(again, plans[i])
			}
		}
		plans = again
		<-time.After(time.Second)
	}
	return dropped
}

// act closes, merges or deletes a case of this burst.
func (s *soak) act() {
	var open []*soakCase
	for _, c := range s.model.cases {
		if c.end.IsZero() && !c.deleted && !c.start.Before(s.burstFrom) {
			open = append(open, c)
		}
	}
	if len(open) == 0 {
		return
	}
	s.rng.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	one, id := open[0], s.idOf(open[0])
	switch n := s.rng.IntN(4); {
	case n == 0:
		s.done["deleted"]++
		s.must(s.analyst.DeleteCase(s.t.Context(), id))
		one.deleted = true
		s.tell(s.workers[s.rng.IntN(len(s.workers))], s.rng.IntN(2))
	case n == 1 && len(open) > 1:
		s.done["merged"]++
		_, err := s.analyst.MergeCases(s.t.Context(), id, s.idOf(open[1]))
		s.must(err)
		s.model.merge(one, open[1])
	default:
		s.done["closed"]++
		one.end = time.Now()
		status, end := "TruePositive", hive.MillisOf(one.end)
		s.must(s.analyst.UpdateCase(s.t.Context(), id, hive.CaseUpdate{Status: &status, EndDate: &end}))
	}
}

// idOf finds a case of the model in TheHive by its start and a tag.
func (s *soak) idOf(c *soakCase) string {
	for found, err := range s.analyst.FindCases(s.t.Context(), hive.Query{Filter: hive.Eq("tags", c.tags[0])}) {
		s.must(err)
		if int64(found.StartDate) == c.start.UnixMilli() {
			return found.ID
		}
	}
	s.t.Fatalf("no case of %v that starts at %s", c.tags, c.start)
	return ""
}

func TestAnHourOfDetectionsAndAnalystsEndsAsTheModelSays(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*soakRuns) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { soakFor(t, seed) })
		})
	}
}

func soakFor(t *testing.T, seed uint64) {
	s := &soak{desk: newAuditDesk(t), rng: rand.New(rand.NewPCG(seed, 7)), done: map[string]int{}}
	s.planner = enrich.NewPlanner(enrich.PlannerOptions{Organisation: hivetest.DefaultOrganisation, Window: soakWindow, TLP: -1, PAP: -1})
	for range 3 {
		s.workers = append(s.workers, s.learner())
	}
	begin := time.Now()
	for time.Since(begin) < soakLength {
		s.burstFrom = time.Now()
		for time.Since(s.burstFrom) < soakBurst {
			s.hive.Set(hivetest.Misbehaviour{Latency: 5 * time.Millisecond, Jitter: 20 * time.Millisecond, Refuse: 0.02, Ambiguous: 0.005})
			s.burst()
			s.hive.Set(hivetest.Misbehaviour{})
			if s.rng.IntN(3) == 0 {
				s.act()
			}
			<-time.After(time.Duration(2+s.rng.IntN(8)) * time.Second)
		}
		<-time.After(soakCycle - soakBurst)
	}
	if diff := cmp.Diff(s.model.ends(), endsOf(s.hive.Snapshot())); diff != "" {
		t.Errorf("seed %d: model against TheHive (-want +got):\n%s", seed, diff)
	}
	if s.dropped != s.model.dropped {
		t.Errorf("%d detections dropped, the model says %d", s.dropped, s.model.dropped)
	}
	t.Logf("%d detections, %d dropped, %d cases, analysts: %v", s.sequence, s.dropped, len(s.model.cases), slices.Sorted(maps.Keys(s.done)))
	if s.done["closed"]+s.done["deleted"]+s.done["merged"] < 10 || s.dropped == 0 {
		t.Errorf("too little happened: analysts %v, %d dropped", s.done, s.dropped)
	}
}

// The soak found this: a case that the key's entry had no room for was taken for what a deleted one
// was merged into, and the deleted case came back.
func TestADeletedCaseLeavesATombstoneAmongManyCases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newAuditDesk(t)
		e := d.learner()
		const many = 18 // the entry of a key lists 16
		at := func(n int) time.Time { return day(9).AddDate(0, 0, 7*n) }
		for n := range many {
			mustApply(t, e, plan(t, uint64(n+1), seen("web01", fmt.Sprint(n), at(n))))
		}
		d.must(d.analyst.DeleteCase(t.Context(), d.theCase(fmt.Sprint(many)).ID))
		d.tell(e, 1)
		late := plan(t, many+1, seen("web01", "late", at(many-1).Add(time.Hour)))
		err := e.Apply(t.Context(), enrich.BatchOf(late...))[0]
		if dropped, ok := errors.AsType[*enrich.DroppedError](err); !ok || dropped.Reason != "case deleted" {
			t.Errorf("error %v, %d cases", err, len(d.hive.Snapshot().Cases))
		}
	})
}
