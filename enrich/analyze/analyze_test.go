package analyze_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/analyze"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive/connector"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestWhatIsWantedOfADetection(t *testing.T) {
	t.Parallel()
	all := []detection.Observable{{DataType: "ip", Data: "203.0.113.7", IOC: true}, {DataType: "domain", Data: "a.example"}, {DataType: "hash", Data: "aa"}}
	var s analyze.State
	routes := []rules.Analysis{{Analyzer: "vt", Types: []string{"ip", "hash"}}, {Analyzer: "geo", Cortex: "far", IOC: true, MaxTLP: "red"}}
	if left := s.Want(routes, all, 100, noon); left != 0 {
		t.Errorf("%d left out", left)
	}
	want := []analyze.Job{
		{Analyzer: "vt", DataType: "ip", Data: "203.0.113.7", Most: 2}, {Analyzer: "vt", DataType: "hash", Data: "aa", Most: 2},
		{Analyzer: "geo", Cortex: "far", DataType: "ip", Data: "203.0.113.7", Most: 4},
	}
	if diff := cmp.Diff(want, s.Wanted); diff != "" {
		t.Error(diff)
	}
	s.Over(want[0])
	s.Want(routes, all, 100, noon) // the same again: neither what is wanted nor what is over is wanted anew
	if diff := cmp.Diff(want[1:], s.Wanted); diff != "" {
		t.Error(diff)
	}
	if left := s.Want([]rules.Analysis{{Analyzer: "other"}}, all, 4, noon); left != 2 || len(s.Wanted)+len(s.Done) != 4 {
		t.Errorf("%d left out, %d wanted", left, len(s.Wanted))
	}
}

func TestAJobThatCannotBeAskedForIsGivenUp(t *testing.T) {
	t.Parallel()
	var s analyze.State
	s.Want([]rules.Analysis{{Analyzer: "vt"}}, []detection.Observable{{DataType: "ip", Data: "203.0.113.7"}}, 100, noon)
	j, n := s.Wanted[0], 1
	for s.Again(j) {
		n++
	}
	if n != analyze.MaxTries || s.Waits() || len(s.Done) != 1 {
		t.Errorf("given up after %d tries: %+v", n, s)
	}
}

func TestWhichAnalyzerIsMeant(t *testing.T) {
	t.Parallel()
	all := []connector.Worker{{ID: "1", Name: "VT_3", CortexIDs: []string{"local", "far"}}, {ID: "2", Name: "Geo_4"}}
	for _, test := range []struct {
		job    analyze.Job
		server string
		ok     bool
	}{
		{analyze.Job{Analyzer: "1"}, "local", true}, {analyze.Job{Analyzer: "VT_3", Cortex: "far"}, "far", true},
		{analyze.Job{Analyzer: "VT_3", Cortex: "none"}, "", false}, {analyze.Job{Analyzer: "vt"}, "", false}, {analyze.Job{Analyzer: "2"}, "", false},
	} {
		if _, server, ok := test.job.Find(all); server != test.server || ok != test.ok {
			t.Errorf("%+v: %q %v", test.job, server, ok)
		}
	}
	jobs := []connector.Job{{ID: "a", AnalyzerID: "1"}, {ID: "b", AnalyzerName: "VT_3"}, {ID: "c", AnalyzerID: "2"}}
	if newest, ok := analyze.Newest(all[0], jobs); !ok || newest.ID != "b" {
		t.Errorf("the newest job: %+v", newest)
	}
	if _, ok := analyze.Newest(all[0], jobs[2:]); ok {
		t.Error("a job of another analyzer")
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	q, now, n := analyze.NewQueue(), time.Unix(1_700_000_000, 0), 0
	for i := range 10_000 {
		q.Later(analyze.Case{ID: fmt.Sprint(i)}, now.Add(time.Second))
	}
	if _, ok := q.Take(now); ok {
		t.Error("taken before its time")
	}
	for {
		if _, ok := q.Take(now.Add(time.Second)); !ok {
			break
		}
		n++
	}
	if n != 4096 {
		t.Errorf("%d of 10000 are held", n)
	}
}

// TestWhatACaseBringsThatBecomesPartOfAnother: what it wanted is wanted, what it asked for is not asked for again, and what it waits for is
// waited for; once.
func TestWhatACaseBringsThatBecomesPartOfAnother(t *testing.T) {
	t.Parallel()
	job := func(value string) analyze.Job { return analyze.Job{Analyzer: "vt", DataType: "ip", Data: value} }
	old := &analyze.State{Wanted: []analyze.Job{job("wanted"), job("both"), job("done")}}
	old.Wanted[0].Noted, old.Wanted[0].Newest = true, "~1"
	old.Wanted = append(old.Wanted, job("asked"))
	old.Over(job("asked"))
	old.Await(job("asked"), "VT_3", "~7", noon)
	s := &analyze.State{Wanted: []analyze.Job{job("both"), job("done")}}
	s.Over(job("done"))
	for range 2 {
		s = s.Absorb(old)
	}
	if diff := cmp.Diff([]analyze.Job{job("both"), job("wanted")}, s.Wanted); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{job("done").Name(), job("asked").Name()}, s.Done); diff != "" || len(s.Awaited) != 1 {
		t.Errorf("%+v %s", s.Awaited, diff)
	}
	s.Used(analyze.Result{Awaited: s.Awaited[0]})
	if s = s.Absorb(old); s.Awaits() {
		t.Error("a result is used again")
	}
	if got := (*analyze.State)(nil).Absorb(nil); got != nil {
		t.Errorf("nothing becomes %+v", got)
	}
}
