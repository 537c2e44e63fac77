package analyze_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/analyze"
	"forager/hive"
)

func TestLooksAtResultsPauseLongerAndEnd(t *testing.T) {
	t.Parallel()
	began := time.UnixMilli(1_700_000_000_000)
	var s analyze.State
	s.Await(analyze.Job{Analyzer: "vt", DataType: "ip", Data: "203.0.113.7"}, "VT_3", began)
	if s.Awaits() {
		t.Error("a result that changes nothing is waited for")
	}
	s.Await(analyze.Job{Analyzer: "vt", DataType: "ip", Data: "203.0.113.7", Mark: true}, "VT_3", began)
	var minutes []int
	now := began
	for range 100 {
		next := s.Look(now)
		if !next.After(now) {
			break
		}
		now = next
		minutes = append(minutes, int(now.Sub(began).Minutes()))
	}
	if diff := cmp.Diff([]int{1, 2, 4, 8, 16, 32, 64, 124, 184}, minutes[:9]); diff != "" {
		t.Errorf("first looks (-want +got): %s", diff)
	}
	if last := minutes[len(minutes)-1]; last != 24*60 || len(minutes) > 31 {
		t.Errorf("%d looks, the last after %d minutes", len(minutes), last)
	}
	if got := s.Results(nil, now.Add(-time.Second)); len(got) != 0 {
		t.Errorf("given up before its time: %+v", got)
	}
	if got := s.Results(nil, now); len(got) != 1 || got[0].Effect {
		t.Errorf("after a day: %+v", got)
	}
}

func TestWhichResultsAreBad(t *testing.T) {
	t.Parallel()
	for level, want := range map[string][2]bool{"malicious": {true, true}, "suspicious": {false, true}, "safe": {}, "info": {}, "": {}} {
		for i, suspicious := range []bool{false, true} {
			var s analyze.State
			s.Await(analyze.Job{Analyzer: "vt", DataType: "ip", Data: "x", Raise: 4, Suspicious: suspicious}, "VT_3", time.Now())
			there := map[hive.ObservableName]hive.Observable{{DataType: "ip", Data: "x"}: {
				Reports: hive.Reports{"VT_3": {Taxonomies: []hive.Taxonomy{{Level: "info"}, {Level: level}}}, "Other": {Taxonomies: []hive.Taxonomy{{Level: "malicious"}}}},
			}}
			all := s.Results(there, time.Now())
			if len(all) != 1 || all[0].Effect != want[i] {
				t.Errorf("%q, suspicious %v: %+v", level, suspicious, all)
			}
			s.Used(all[0])
			if s.Awaits() {
				t.Error("used twice")
			}
		}
	}
}
