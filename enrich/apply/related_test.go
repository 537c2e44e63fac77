package apply_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/conc"

	"forager/enrich/apply"
	"forager/enrich/claim/claimtest"
	"forager/enrich/detection"
	"forager/hive"
	"forager/hive/hivetest"
	"forager/racedetector"
)

// links count the links of cases that took effect.
type links struct {
	client *hive.Client
	mu     sync.Mutex
	made   map[[2]string]int // by the ids of the pair, that of the call's path first
}

const addLink = "POST /api/v1/case/{id}/link/case/add"

// links watches the site: every link that takes effect is counted, whether its answer arrives or not.
func (s *site) links(t *testing.T) *links {
	t.Helper()
	l := &links{client: s.client(t), made: map[[2]string]int{}}
	s.hive.On(hivetest.AfterEffect, addLink, func(c hivetest.Call) hivetest.Action {
		if c.Status != http.StatusNoContent {
			return hivetest.Action{}
		}
		var body struct{ CaseID string }
		if err := json.Unmarshal(c.Body, &body); err != nil {
			t.Error(err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.made[[2]string{strings.Split(c.Path, "/")[4], body.CaseID}]++
		return hivetest.Action{}
	})
	return l
}

// seen are they by numbers.
func (l *links) seen(t *testing.T) map[[2]int]int {
	t.Helper()
	numbers := map[string]int{}
	for c, err := range l.client.FindCases(t.Context(), hive.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		numbers[c.ID] = c.Number
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[[2]int]int{}
	for pair, n := range l.made {
		out[[2]int{numbers[pair[0]], numbers[pair[1]]}] = n
	}
	return out
}

// with is a detection of a host with these observables.
func with(host string, at time.Time, observables ...detection.Observable) detection.Detection {
	d := seen(host, "id-"+host+at.String(), at)
	d.Observables = append([]detection.Observable{{DataType: "hostname", Data: host}}, observables...)
	return d
}

func indicator(data string) detection.Observable {
	return detection.Observable{DataType: "domain", Data: data, IOC: true}
}

func TestANewCaseIsLinkedWithOpenOnesThatHaveItsIndicators(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e, l, c := s.worker(t), s.links(t), s.client(t)
		hash := detection.Observable{DataType: "hash", Data: strings.Repeat("a", 64)}
		address := detection.Observable{DataType: "ip", Data: "203.0.113.9"}
		common := detection.Observable{DataType: "ip", Data: "203.0.113.53", IgnoreSimilarity: true}
		for i, d := range []detection.Detection{
			with("one", day(1), indicator("c2.example"), common),                               // 1: the same indicator
			with("two", day(2), hash),                                                          // 2: the same hash
			with("three", day(3), address, common),                                             // 3: the same address, closed
			with("four", day(4), detection.Observable{DataType: "user", Data: "root"}, common), // 4: nothing that says anything
			with("five", day(5), detection.Observable{DataType: "hostname", Data: "c2.example"}),
		} {
			mustApply(t, e, plan(t, uint64(i+1), d))
		}
		if err := c.UpdateCase(t.Context(), "3", hive.CaseUpdate{Status: new("TruePositive"), ImpactStatus: new("NoImpact")}); err != nil {
			t.Fatal(err)
		}
		quiet(t, e)
		if got := l.seen(t); len(got) != 0 {
			t.Errorf("linked before: %v", got)
		}
		mustApply(t, e, plan(t, 10, with("six", day(6), indicator("c2.example"), hash, address, common, detection.Observable{DataType: "user", Data: "root"})))
		quiet(t, e)
		want := map[[2]int]int{{6, 1}: 1, {6, 2}: 1}
		if diff := cmp.Diff(want, l.seen(t)); diff != "" {
			t.Errorf("links (-want +got): %s", diff)
		}
		for range 3 { // what comes later changes nothing: neither more detections, nor another worker, nor time
			mustApply(t, e, plan(t, 20, with("six", day(7), address)))
			quiet(t, e, s.worker(t))
		}
		if diff := cmp.Diff(want, l.seen(t)); diff != "" {
			t.Errorf("links after more detections (-want +got): %s", diff)
		}
	})
}

func TestAtMostTenCasesAreLinked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e := s.worker(t, func(o *apply.Options) { o.Unrelated = true })
		for i := range 14 {
			mustApply(t, e, plan(t, uint64(i+1), with(fmt.Sprint("old", i), day(1), indicator("c2.example"))))
		}
		quiet(t, e)
		l, n := s.links(t), s.worker(t)
		mustApply(t, n, plan(t, 100, with("new", day(2), indicator("c2.example"))))
		quiet(t, n)
		want := map[[2]int]int{}
		for older := 14; older > 4; older-- {
			want[[2]int{15, older}] = 1
		}
		if diff := cmp.Diff(want, l.seen(t)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestALinkThatAnAnalystRemovedStaysRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e, l, c := s.worker(t), s.links(t), s.client(t)
		mustApply(t, e, plan(t, 1, with("one", day(1), indicator("c2.example"))))
		mustApply(t, e, plan(t, 2, with("two", day(2), indicator("c2.example"))))
		quiet(t, e)
		there, err := c.CaseLinks(t.Context(), "2")
		if err != nil || len(there) != 1 {
			t.Fatalf("links %v %v", there, err)
		}
		if err := c.UnlinkCases(t.Context(), "2", there[0].CaseID, there[0].Kind); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			n := s.worker(t)
			mustApply(t, n, plan(t, uint64(10+i), with("two", day(3+i), indicator("c2.example"))))
			sweepAll(t, s, n)
			quiet(t, n, e)
		}
		if there, err := c.CaseLinks(t.Context(), "2"); err != nil || len(there) != 0 {
			t.Errorf("links %v %v", there, err)
		}
		if diff := cmp.Diff(map[[2]int]int{{2, 1}: 1}, anyway(l.seen(t))); diff != "" {
			t.Error(diff)
		}
	})
}

// sweepAll looks through the whole ledger, as the hourly sweep does.
func sweepAll(t *testing.T, s *site, e *apply.Applier) {
	t.Helper()
	if _, err := e.Sweep(t.Context(), keysOf(s.ledger.Keys()), apply.SweepOptions{Organisations: []string{hivetest.DefaultOrganisation}, Keep: 90 * 24 * time.Hour}); err != nil {
		t.Error(err)
	}
}

// TestAWorkerThatDiedLeavesTheLookToOthers: the ledger says what is still to be looked at, and the sweep finds it.
func TestAWorkerThatDiedLeavesTheLookToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		l, e := s.links(t), s.worker(t)
		mustApply(t, e, plan(t, 1, with("one", day(1), indicator("c2.example"))))
		mustApply(t, e, plan(t, 2, with("two", day(2), indicator("c2.example"))))
		other := s.worker(t) // the first one is never heard of again
		sweepAll(t, s, other)
		quiet(t, other)
		if diff := cmp.Diff(map[[2]int]int{{2, 1}: 1}, anyway(l.seen(t))); diff != "" {
			t.Error(diff)
		}
	})
}

// TestARefusedWorkerIsNotSeenToTry: TheHive bans an address after five refused credentials in twenty minutes.
func TestARefusedWorkerIsNotSeenToTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e := s.worker(t, func(o *apply.Options) { o.Digest = apply.DigestNone })
		for i := range 9 {
			mustApply(t, e, plan(t, uint64(i+1), with(fmt.Sprint("host", i), day(1), indicator("c2.example"))))
		}
		s.hive.Set(hivetest.Misbehaviour{ExpiredKey: true})
		calls := s.hive.Stats(0).Total
		for range 19 {
			wait(t.Context(), time.Minute)
			_ = e.FlushComments(t.Context())
		}
		if got := s.hive.Stats(0).Total - calls; got != 1 {
			t.Errorf("%d calls in nineteen minutes", got)
		}
		s.hive.Set(hivetest.Misbehaviour{})
		l := s.links(t)
		wait(t.Context(), 20*time.Minute)
		quiet(t, e)
		if len(l.seen(t)) == 0 {
			t.Error("nothing is linked when it may again")
		}
	})
}

// TestBeforeFiveFiveTheDigestSaysIt: such a TheHive has no links; the page says which cases have the same indicators, once.
func TestBeforeFiveFiveTheDigestSaysIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{Version: "5.4.10-1"})
		e := s.worker(t)
		for i, host := range []string{"one", "two", "three"} {
			mustApply(t, e, plan(t, uint64(i+1), with(host, day(i+1), indicator("c2.example"))))
			quiet(t, e)
			quiet(t, e)
		}
		all := s.pages()
		var got []string
		for _, page := range all {
			got = append(got, page[:strings.Index(page, "| Rule |")])
		}
		slices.Sort(got)
		if len(all) != 3 || strings.Contains(got[0]+got[1]+got[2], "#3") || // the others were looked at before it was there
			!slices.ContainsFunc(got, func(p string) bool { return strings.Contains(p, "Cases with the same indicators: #1\n") }) ||
			!slices.ContainsFunc(got, func(p string) bool { return strings.Contains(p, "Cases with the same indicators: #2, #1\n") }) {
			t.Errorf("pages: %q", got)
		}
		mustApply(t, e, plan(t, 9, with("three", day(4), indicator("c2.example"))))
		quiet(t, e) // the line stays when the page is written anew
		if !strings.Contains(strings.Join(s.pages(), ""), "same indicators: #2, #1\n") {
			t.Errorf("pages: %q", s.pages())
		}
	})
}

// TestWhatALookCosts: nothing where nothing is an indicator, for a known case, and when turned off; else one call, and nothing of the
// ledger, where there are no others.
func TestWhatALookCosts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			d      detection.Detection
			off    bool
			before bool // the case is known
			want   int
		}{
			"no indicator":    {d: with("a", day(1), detection.Observable{DataType: "user", Data: "root"})},
			"an indicator":    {d: with("a", day(1), indicator("c2.example")), want: 1},
			"a known case":    {d: with("a", day(1), indicator("c2.example")), before: true},
			"when turned off": {d: with("a", day(1), indicator("c2.example")), off: true},
		} {
			s := newSite(t, hivetest.Options{})
			e := s.worker(t, func(o *apply.Options) { o.Unrelated = test.off })
			if test.before {
				mustApply(t, e, plan(t, 1, with("a", day(1))))
				quiet(t, e)
			}
			mustApply(t, e, plan(t, 2, test.d))
			puts, calls := 0, s.hive.Stats(0).Total
			s.ledger.SetBefore(func(op claimtest.Op) error {
				if op.Name == "put" && !strings.HasPrefix(op.Key, "session.") {
					puts++
				}
				return nil
			})
			for range 3 {
				wait(t.Context(), 30*time.Second) // the page is not due yet
				if err := e.FlushComments(t.Context()); err != nil {
					t.Fatal(err)
				}
				if test.before {
					break
				}
			}
			if got := s.hive.Stats(0).Total - calls; got != test.want {
				t.Errorf("%s: %d calls, want %d", name, got, test.want)
			}
			if puts != 0 {
				t.Errorf("%s: %d writes of the ledger", name, puts)
			}
		}
	})
}

var relatedRuns = flag.Int("related.runs", racedetector.Fewer(10, 2), "random histories of related cases to try")

// TestRelatedCasesAreLinkedOnceWhateverDies: three workers that are killed, answers that are lost, effects that come late; in the end
// each two cases with an indicator in common are linked, and no link took effect twice, nor from both sides.
func TestRelatedCasesAreLinkedOnceWhateverDies(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*relatedRuns) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 19))
				s := &storm{site: newSite(t, hivetest.Options{Seed: seed}), rng: rng, place: apply.DigestNone}
				l := s.links(t)
				var all []detection.Detection
				for i := range 10 { // a host each, with some of few indicators
					var some []detection.Observable
					for j := range 5 {
						if rng.IntN(4) == 0 {
							some = append(some, indicator(fmt.Sprintf("c%d.example", j)))
						}
					}
					all = append(all, with(fmt.Sprint("host", i), day(1).Add(time.Duration(i)*time.Minute), some...))
				}
				s.hive.Set(faults(rng))
				s.pending = plan(t, 1, all...)
				s.left = len(all)
				s.rageRelated(t)
				s.hive.Set(hivetest.Misbehaviour{})
				e := s.worker(t, func(o *apply.Options) { o.Digest = apply.DigestNone })
				for range 12 {
					sweepAll(t, s.site, e)
					quiet(t, e)
				}
				if diff := cmp.Diff(s.related(), anyway(l.seen(t))); diff != "" {
					t.Errorf("seed %d (-want +got): %s", seed, diff)
				}
			})
		})
	}
}

// related is the model: of the cases that there are, by what is in them, every pair with an indicator in both.
func (s *storm) related() map[[2]int]int {
	want := map[[2]int]int{}
	cases := s.hive.Snapshot().Cases
	for i, a := range cases {
		for _, b := range cases[:i] {
			if slices.ContainsFunc(domains(a), func(o string) bool { return slices.Contains(domains(b), o) }) {
				want[[2]int{int(a.Number), int(b.Number)}] = 1
			}
		}
	}
	return want
}

// anyway are links whichever case was looked at last, the newer first.
func anyway(made map[[2]int]int) map[[2]int]int {
	out := map[[2]int]int{}
	for pair, n := range made {
		out[[2]int{max(pair[0], pair[1]), min(pair[0], pair[1])}] += n
	}
	return out
}

func domains(c hivetest.Case) (all []string) {
	for _, o := range c.Observables {
		if o.DataType == "domain" {
			all = append(all, o.Data)
		}
	}
	return all
}

// rageRelated runs three workers, that look after related cases too, until every plan is settled, and ten minutes more.
func (s *storm) rageRelated(t *testing.T) {
	var wg conc.WaitGroup
	end := time.Now().Add(10 * time.Minute)
	for range 3 {
		wg.Go(func() {
			for !s.over() || time.Now().Before(end) {
				s.liveWith(t, end, func(*apply.Options, *hive.Client) {})
			}
		})
	}
	wg.Wait()
	wait(t.Context(), 2*time.Minute)
}

// liveWith is one life of a worker that looks after what nobody waits for, too.
func (s *storm) liveWith(t *testing.T, end time.Time, change func(*apply.Options, *hive.Client)) {
	dead := make(chan struct{})
	var once sync.Once
	kill := func() { once.Do(func() { close(dead) }) }
	defer kill()
	timer := time.AfterFunc(s.below(3*time.Minute), kill)
	defer timer.Stop()
	transport := &http.Transport{DialContext: mortal{s.pipes, dead}.dial}
	defer transport.CloseIdleConnections()
	c, err := hive.New(hive.Options{URL: "http://thehive.test", APIKey: hivetest.DefaultAPIKey, Transport: transport, Timeout: 10 * time.Second})
	if err != nil {
		t.Error(err)
		return
	}
	o := apply.Options{Hive: func(string) apply.Hive { return c }, Ledger: shaky{s.ledger, s, dead}, Digest: s.place}
	change(&o, c)
	e, err := apply.New(o)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = e.Close(t.Context()) }()
	for !s.over() || time.Now().Before(end) {
		select {
		case <-dead:
			return
		default:
		}
		if !s.over() {
			s.work(e)
		}
		if s.roll(0.3) {
			sweepSome(e, s)
		}
		_ = e.FlushComments(t.Context())
		wait(t.Context(), s.below(5*time.Second))
	}
}

// sweepSome looks through the ledger; what fails is of no interest.
func sweepSome(e *apply.Applier, s *storm) {
	_, _ = e.Sweep(context.Background(), keysOf(s.ledger.Keys()), apply.SweepOptions{Organisations: []string{hivetest.DefaultOrganisation}, Keep: 90 * 24 * time.Hour})
}
