package analyze_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/analyze"
	"forager/hive"
	"forager/hive/connector"
)

func TestLooksAtResultsPauseLongerAndEnd(t *testing.T) {
	t.Parallel()
	began := time.UnixMilli(1_700_000_000_000)
	for mark, first := range map[bool][]int{true: {1, 2, 4, 8, 16, 32, 64, 124, 184}, false: {1, 2, 4, 8, 16, 32, 60}} {
		var s analyze.State
		s.Await(analyze.Job{Analyzer: "vt", DataType: "ip", Data: "203.0.113.7", Mark: mark}, "VT_3", "", began)
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
		if diff := cmp.Diff(first, minutes[:len(first)]); diff != "" {
			t.Errorf("mark %v: first looks (-want +got): %s", mark, diff)
		}
		if last := minutes[len(minutes)-1]; mark && last != 24*60 || !mark && last != 60 || len(minutes) > 31 {
			t.Errorf("mark %v: %d looks, the last after %d minutes", mark, len(minutes), last)
		}
		if got := s.Results(nil, nil, now.Add(-time.Second)); len(got) != 0 {
			t.Errorf("given up before its time: %+v", got)
		}
		if got := s.Results(nil, nil, now); len(got) != 1 || got[0].Effect || got[0].Failed != "" {
			t.Errorf("when its time is over: %+v", got)
		}
	}
}

// TestHowAJobEndedThatTheObservableDoesNotShow: by the job itself.
func TestHowAJobEndedThatTheObservableDoesNotShow(t *testing.T) {
	t.Parallel()
	bad := `{"success":true,"summary":{"taxonomies":[{"level":"malicious","namespace":"VT","predicate":"GetReport"}]}}`
	there := map[hive.ObservableName]hive.Observable{{DataType: "ip", Data: "x"}: {ID: "~1"}}
	type end struct {
		Over, Effect bool
		Failed       string
	}
	for name, test := range map[string]struct {
		job  connector.Job
		want end
	}{
		"it waits":               {connector.Job{Status: "Waiting"}, end{}},
		"it runs":                {connector.Job{Status: "InProgress"}, end{}},
		"it failed":              {connector.Job{Status: "Failure", Report: []byte(`{"success":false,"errorMessage":"TLP is higher than allowed."}`)}, end{true, false, "TLP is higher than allowed."}},
		"it failed without word": {connector.Job{Status: "Failure", Report: []byte(`7`)}, end{true, false, "it does not say why"}},
		"it is gone":             {connector.Job{Status: "Deleted"}, end{true, false, ""}},
		"it found something bad": {connector.Job{Status: "Success", Report: []byte(bad)}, end{true, true, ""}},
		"it found nothing":       {connector.Job{Status: "Success"}, end{true, false, ""}},
	} {
		var s analyze.State
		s.Await(analyze.Job{Analyzer: "vt", DataType: "ip", Data: "x", Mark: true}, "VT_3", "~7", noon)
		got := end{}
		for _, r := range s.Results(there, map[string]connector.Job{"~7": test.job}, noon.Add(time.Minute)) {
			got = end{true, r.Effect, r.Failed}
		}
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestWhichResultsAreBad(t *testing.T) {
	t.Parallel()
	for level, want := range map[string][2]bool{"malicious": {true, true}, "suspicious": {false, true}, "safe": {}, "info": {}, "": {}} {
		for i, suspicious := range []bool{false, true} {
			var s analyze.State
			s.Await(analyze.Job{Analyzer: "vt", DataType: "ip", Data: "x", Raise: 4, Suspicious: suspicious}, "VT_3", "", time.Now())
			there := map[hive.ObservableName]hive.Observable{{DataType: "ip", Data: "x"}: {
				Reports: hive.Reports{"VT_3": {Taxonomies: []hive.Taxonomy{{Level: "info"}, {Level: level}}}, "Other": {Taxonomies: []hive.Taxonomy{{Level: "malicious"}}}},
			}}
			all := s.Results(there, nil, time.Now())
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
