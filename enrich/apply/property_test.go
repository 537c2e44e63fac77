package apply_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
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

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/enrich/digest"
	"forager/enrich/rules"
	"forager/hive"
	"forager/hive/hivetest"
	"forager/racedetector"
)

// Random detections, several workers and every fault that the simulator knows end in the state of
// one clean run: nothing lost, nothing doubled.

var stormRuns = flag.Int("storm.runs", racedetector.Fewer(12, 3), "random histories of several workers to try")

// storm is one history.
type storm struct {
	*site
	mu      sync.Mutex
	rng     *rand.Rand
	files   apply.FilePolicy
	place   apply.DigestPlace
	mode    mode
	pending []enrich.Plan
	left    int
}

func (s *storm) roll(p float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Float64() < p
}

func (s *storm) below(d time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.rng.Int64N(int64(d)))
}

// take hands out some pending plans of one queue, as a redelivery or a first delivery would.
func (s *storm) take() []enrich.Plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		return nil
	}
	queue := s.pending[s.rng.IntN(len(s.pending))].Queue()
	most := 1 + s.rng.IntN(8)
	var mine, rest []enrich.Plan
	for _, p := range s.pending {
		if p.Queue() == queue && len(mine) < most {
			mine = append(mine, p)
		} else {
			rest = append(rest, p)
		}
	}
	s.pending = rest
	return mine
}

func (s *storm) back(plans []enrich.Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, plans...)
}

func (s *storm) settled(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left -= n
}

func (s *storm) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left == 0
}

// live is one life of a worker: it may be killed between any two effects, and its like comes back.
func (s *storm) live(t *testing.T) {
	dead := make(chan struct{})
	var once sync.Once
	kill := func() { once.Do(func() { close(dead) }) }
	defer kill()
	if s.roll(0.7) {
		timer := time.AfterFunc(s.below(2*time.Minute), kill)
		defer timer.Stop()
	}
	transport := &http.Transport{DialContext: mortal{s.pipes, dead}.dial}
	defer transport.CloseIdleConnections()
	c, err := hive.New(hive.Options{
		URL: "http://thehive.test", APIKey: hivetest.DefaultAPIKey, Transport: transport, Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Error(err)
		return
	}
	e, err := apply.New(apply.Options{
		Hive: func(string) apply.Hive { return c }, Ledger: shaky{s.ledger, s, dead}, Files: s.files, Digest: s.place,
	})
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = e.Close(t.Context()) }() // without an answer, if it was killed
	for !s.over() {
		select {
		case <-dead:
			return
		default:
			s.work(e)
		}
	}
}

func (s *storm) work(e *apply.Applier) {
	plans := s.take()
	if len(plans) == 0 {
		wait(context.Background(), 100*time.Millisecond)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	if s.roll(0.1) { // a shutdown in the middle
		timer := time.AfterFunc(s.below(5*time.Second), stop)
		defer timer.Stop()
	}
	var again []enrich.Plan
	for i, err := range e.Apply(ctx, enrich.BatchOf(plans...)) {
		if err != nil {
			again = append(again, plans[i])
		}
	}
	s.settled(len(plans) - len(again))
	wait(context.Background(), s.below(time.Second))
	s.back(again)
}

// events makes random detections of a few hosts, within half a window, around midnight.
func events(rng *rand.Rand, n int) []detection.Detection {
	all := make([]detection.Detection, 0, n)
	for i := range n {
		host := fmt.Sprintf("host%d", rng.IntN(3))
		d := seen(host, fmt.Sprintf("id-%d", i), day(18).Add(time.Duration(rng.Int64N(int64(11*time.Hour)))))
		d.Rule.ID = fmt.Sprintf("rule%d", rng.IntN(3))
		d.Severity = canon.Severity(1 + rng.IntN(4))
		d.Observables = []detection.Observable{
			{DataType: "hostname", Data: host},
			{DataType: "ip", Data: fmt.Sprintf("198.51.100.%d", rng.IntN(20))},
		}
		d.Techniques = []detection.Reference{{Text: []string{"T1059.001", "T1110", "T1105", "T1486"}[rng.IntN(4)]}}
		if rng.IntN(4) == 0 {
			name := fmt.Sprintf("file%d", rng.IntN(2))
			d.Files = []detection.File{{Name: name, Data: []byte(name)}}
		}
		all = append(all, d)
	}
	return all
}

// faults are drawn anew for each history.
func faults(rng *rand.Rand) hivetest.Misbehaviour {
	maybe := func(p float64) float64 {
		if rng.IntN(2) == 0 {
			return 0
		}
		return p
	}
	return hivetest.Misbehaviour{
		Latency: 20 * time.Millisecond, Jitter: 20 * time.Millisecond,
		Refuse: maybe(0.1), Fail: maybe(0.05), Reset: maybe(0.05), BadGateway: maybe(0.05),
		ThrottleShare: maybe(0.05), Ambiguous: maybe(0.1), AmbiguousBy: []int{0, 502, 504}[rng.IntN(3)],
		LateCommit: maybe(0.05), Truncate: maybe(0.05), Unordered: rng.IntN(2) == 0,
		Lag: time.Duration(rng.IntN(2)) * 3 * time.Second, LagChildren: rng.IntN(2) == 0,
	}
}

// ending is what matters of a final state: by key, what its one case holds.
type ending struct {
	Cases       int
	Severity    int64
	Observables []string
	Procedures  []string
	Notes       []string // rules that are told of, once each; of alerts, which count by days, with the day
}

func endings(snapshot hivetest.Snapshot) map[string]ending {
	all := map[string]ending{}
	cases := snapshot.Cases
	for _, a := range snapshot.Alerts {
		if a.Type != "forager" { // those for the queue
			cases = append(cases, hivetest.Case{
				Tags: a.Tags, Severity: a.Severity, Observables: a.Observables, Files: a.Files, Procedures: a.Procedures, Comments: a.Comments, Description: a.Description,
			})
		}
	}
	for i, c := range cases {
		tag := c.Tags[slices.IndexFunc(c.Tags, func(t string) bool { return strings.HasPrefix(t, "forager:") })]
		e := all[tag]
		e.Cases++
		e.Severity = max(e.Severity, c.Severity)
		for _, o := range c.Observables {
			e.Observables = append(e.Observables, o.DataType+" "+o.Data+o.File.Name+o.File.SHA256)
		}
		for _, f := range c.Files {
			e.Observables = append(e.Observables, "attachment "+f.Name+f.SHA256)
		}
		for _, p := range c.Procedures {
			e.Procedures = append(e.Procedures, p.PatternID+" "+p.Tactic)
		}
		for _, text := range append(c.Comments, c.Description) {
			if notes := notesIn(text); i < len(snapshot.Cases) {
				e.Notes = append(e.Notes, rulesOf(notes)...)
			} else {
				e.Notes = append(e.Notes, notes...)
			}
		}
		slices.Sort(e.Observables)
		slices.Sort(e.Procedures)
		slices.Sort(e.Notes)
		all[tag] = e
	}
	return all
}

// rulesOf are the rules of notes, each once: what one text says of a rule it says once, however many days it names.
func rulesOf(notes []string) (rules []string) {
	for _, note := range notes {
		rule, _, _ := strings.Cut(note, "/")
		rules = append(rules, rule)
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// mode is what plans become, and by which of TheHive's ways.
type mode string

const (
	direct   mode = "case"
	byAlert  mode = "case by alert"
	perEvent mode = "alert, by event"
	perRule  mode = "alert, by rule"
)

// of makes plans go that way.
func (m mode) of(plans []enrich.Plan) []enrich.Plan {
	for i := range plans {
		plans[i].ByAlert = m == byAlert
	}
	return plans
}

// plans makes the plans of detections that go that way, one message each.
func (m mode) plans(t *testing.T, policy enrich.ZipPolicy, first uint64, all ...detection.Detection) []enrich.Plan {
	t.Helper()
	if m == direct || m == byAlert {
		return m.of(zipped(t, policy, first, all...))
	}
	group := map[mode]rules.Group{perEvent: rules.GroupEvent, perRule: rules.GroupRule}[m]
	return queued(t, rules.Route{Name: "queue", Group: group}, policy, first, all...)
}

// queued makes the plans of a route that wants alerts.
func queued(t *testing.T, r rules.Route, policy enrich.ZipPolicy, first uint64, all ...detection.Detection) (plans []enrich.Plan) {
	t.Helper()
	r.As = rules.AsAlert
	router, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{r}})
	if err != nil {
		t.Fatal(err)
	}
	p := enrich.NewPlanner(enrich.PlannerOptions{Organisation: hivetest.DefaultOrganisation, TLP: -1, PAP: -1, Router: router, Zip: policy})
	for i, d := range all {
		plans = append(plans, planned(t, p, first+uint64(i), d))
	}
	return plans
}

func TestP2P3AnyFaultsEndInTheStateOfOneCleanRun(t *testing.T) {
	t.Parallel()
	for _, m := range []mode{direct, byAlert, perEvent, perRule} {
		for seed := range uint64(*stormRuns) {
			t.Run(fmt.Sprint(m, " ", seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { stormOf(t, m, seed) })
			})
		}
	}
}

// stormOf is one history, and what it must end in: a run in which nothing fails, of cases in the direct way.
func stormOf(t *testing.T, m mode, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	all := events(rng, 60)
	policy := []enrich.ZipPolicy{enrich.ZipNever, enrich.ZipAlways}[seed%2]
	files := apply.FilePolicy{Attach: seed%4 > 1, Spool: t.TempDir()}
	plans := func() []enrich.Plan { return m.plans(t, policy, 1, all...) }
	asCase := m == direct || m == byAlert
	base := plans()
	if m == byAlert {
		base = direct.plans(t, policy, 1, all...)
	}
	want := clean(t, files, base)
	s := &storm{site: newSite(t, hivetest.Options{Seed: seed}), rng: rng, files: files, mode: m, place: []apply.DigestPlace{apply.DigestPage, apply.DigestComment}[seed/4%2]}
	bad := faults(rng)
	if m == byAlert {
		bad.ImportLag = time.Duration(seed%3) * 2 * time.Second
	}
	s.hive.Set(bad)
	s.pending = plans()
	s.left = len(all)
	s.rage(t)
	s.hive.Set(hivetest.Misbehaviour{})
	wait(t.Context(), 61*time.Minute) // then a page that nobody sees is none
	s.calm(t, plans())
	if diff := cmp.Diff(want, endings(s.hive.Snapshot())); diff != "" {
		t.Errorf("seed %d: clean run against storm (-want +got):\n%s", seed, diff)
	}
	if asCase {
		s.countsAtMost(t, plans())
	}
	for _, a := range s.hive.Snapshot().Alerts {
		if a.Imported != asCase {
			t.Errorf("alert %s is part of a case: %t", a.SourceRef, a.Imported)
		}
	}
}

// rage runs three workers until every plan is settled.
func (s *storm) rage(t *testing.T) {
	var wg conc.WaitGroup
	for range 3 {
		wg.Go(func() {
			for !s.over() {
				s.live(t)
			}
		})
	}
	wg.Wait()
	wait(t.Context(), 30*time.Second) // what a killed worker's session still asks the ledger
}

// clean is the end of a run in which nothing fails.
func clean(t *testing.T, files apply.FilePolicy, plans []enrich.Plan) map[string]ending {
	s := newSite(t, hivetest.Options{})
	e := s.worker(t, func(o *apply.Options) { o.Files = files })
	queues := map[string][]enrich.Plan{}
	for _, p := range plans {
		queues[p.Queue()] = append(queues[p.Queue()], p)
	}
	for _, queue := range slices.Sorted(maps.Keys(queues)) {
		mustApply(t, e, queues[queue])
	}
	quiet(t, e)
	return endings(s.hive.Snapshot())
}

// countsAtMost fails where a case has not one digest as Forager wrote it, or it counts a detection that there was
// not, or one twice. It may miss some: those of a comment that was written down by a worker that died.
func (s *storm) countsAtMost(t *testing.T, plans []enrich.Plan) {
	t.Helper()
	were := map[string]int{}
	for _, p := range plans {
		were[p.Tag()]++
		were[p.Tag()+p.RuleHash]++
	}
	for _, c := range s.hive.Snapshot().Cases {
		tag := c.Tags[slices.IndexFunc(c.Tags, func(t string) bool { return strings.HasPrefix(t, "forager:") })]
		all := digests(c)
		if len(all) != 1 {
			t.Errorf("case %d has %d digests", c.Number, len(all))
			continue
		}
		d, intact := digest.Parse(all[0])
		if !intact || d.N > were[tag] || 2*d.N < were[tag] || len(d.Rows) > were[tag] {
			t.Errorf("case %d: intact %v, %d detections of %d in %d rows", c.Number, intact, d.N, were[tag], len(d.Rows))
		}
		for _, r := range d.Rules {
			if r.N > were[tag+r.Hash] {
				t.Errorf("case %d: %d detections of %d of a rule", c.Number, r.N, were[tag+r.Hash])
			}
		}
	}
}

// calm applies all once more, as a replay would, by a worker that nothing happens to: the pages come up to date.
func (s *storm) calm(t *testing.T, plans []enrich.Plan) {
	t.Helper()
	e := s.worker(t, func(o *apply.Options) { o.Files, o.Digest = s.files, s.place })
	queues := map[string][]enrich.Plan{}
	for _, p := range plans {
		queues[p.Queue()] = append(queues[p.Queue()], p)
	}
	for _, queue := range slices.Sorted(maps.Keys(queues)) {
		mustApply(t, e, queues[queue])
	}
	quiet(t, e)
}
