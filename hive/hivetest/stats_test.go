package hivetest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/hive/hivetest"
)

const hour = int64(3_600_000)

func TestDuplicateCases(t *testing.T) {
	t.Parallel()
	const key = "forager:0123456789abcdef0123456789abcdef"
	type c struct {
		start, end int64 // hours; end 0: open
		tags       []string
	}
	for name, f := range map[string]struct {
		cases  []c
		window time.Duration
		want   int
	}{
		"one":                          {[]c{{0, 0, []string{key}}}, 0, 0},
		"two open within the window":   {[]c{{0, 0, []string{key}}, {23, 0, []string{key}}}, 0, 1},
		"three alike are two too many": {[]c{{0, 0, []string{key}}, {0, 0, []string{key}}, {0, 0, []string{key}}}, 0, 2},
		"made in the wrong order":      {[]c{{23, 0, []string{key}}, {0, 0, []string{key}}}, 0, 1},
		"a window apart":               {[]c{{0, 0, []string{key}}, {24, 0, []string{key}}}, 0, 0},
		"a wider window":               {[]c{{0, 0, []string{key}}, {24, 0, []string{key}}}, 25 * time.Hour, 1},
		"no limit":                     {[]c{{0, 0, []string{key}}, {999, 0, []string{key}}}, -1, 1},
		"the earlier was closed before the later": {[]c{{0, 5, []string{key}}, {6, 0, []string{key}}}, 0, 0},
		"the earlier was closed after the later":  {[]c{{0, 7, []string{key}}, {6, 0, []string{key}}}, 0, 1},
		"another key":                             {[]c{{0, 0, []string{key}}, {0, 0, []string{strings.Replace(key, "0", "1", 1)}}}, 0, 0},
		"other tags":                              {[]c{{0, 0, []string{"a"}}, {0, 0, []string{"a"}}}, 0, 0},
		"a remark is no key":                      {[]c{{0, 0, []string{key, "forager:late"}}, {0, 0, []string{"forager:late", strings.Replace(key, "0", "1", 1)}}}, 0, 0},
		"any forager tag where there is no hash":  {[]c{{0, 0, []string{"forager:x"}}, {0, 0, []string{"forager:x"}}}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hivetest.New(hivetest.Options{})
			for _, c := range f.cases {
				a := call(t, h, "POST", casePath, `{"title":"t","description":"d","startDate":`+jsonOf(c.start*hour)+`,"tags":`+jsonOf(c.tags)+`}`)
				if c.end != 0 {
					call(t, h, "PATCH", casePath+"/"+a.text("_id"), `{"status":"Other","endDate":`+jsonOf(c.end*hour)+`}`)
				}
			}
			if got := h.Stats(f.window).Duplicates.Cases; got != f.want {
				t.Errorf("%d duplicates, want %d", got, f.want)
			}
		})
	}
}

func TestDuplicatesBelowACase(t *testing.T) {
	t.Parallel()
	const (
		comment   = "/api/v1/case/1/comment"
		procedure = "/api/v1/case/1/procedure"
	)
	type post struct{ path, body string }
	msg := func(s string) post { return post{comment, `{"message":` + jsonOf(s) + `}`} }
	for name, f := range map[string]struct {
		posts []post
		want  hivetest.Duplicates
	}{
		"procedures of one tactic": {
			[]post{{procedure, `{"patternId":"T1566","occurDate":1}`}, {procedure, `{"patternId":"T1566","occurDate":2,"tactic":"initial-access"}`}},
			hivetest.Duplicates{Procedures: 1},
		},
		"procedures of two tactics": {
			[]post{{procedure, `{"patternId":"T1078","occurDate":1,"tactic":"persistence"}`}, {procedure, `{"patternId":"T1078","occurDate":1,"tactic":"initial-access"}`}},
			hivetest.Duplicates{},
		},
		"equal text":         {[]post{msg("a"), msg("a"), msg("b")}, hivetest.Duplicates{Comments: 1}},
		"one rule and day":   {[]post{msg("a\n`forager: rule=1f day=2026-01-02 ids=x`"), msg("b\n`forager: rule=1f day=2026-01-02 ids=x,y`")}, hivetest.Duplicates{Comments: 1}},
		"another day":        {[]post{msg("a\n`forager: rule=1f day=2026-01-02 ids=x`"), msg("a\n`forager: rule=1f day=2026-01-03 ids=x`")}, hivetest.Duplicates{}},
		"one change":         {[]post{msg("a\n`forager: change=severity-3 day=2026-01-02 ids=x`"), msg("b\n`forager: change=severity-3 day=2026-01-03 ids=y`")}, hivetest.Duplicates{Comments: 1}},
		"another change":     {[]post{msg("a\n`forager: change=severity-3 day=2026-01-02 ids=x`"), msg("a\n`forager: change=severity-4 day=2026-01-02 ids=x`")}, hivetest.Duplicates{}},
		"one line of ours":   {[]post{msg("a\n`forager: limit`"), msg("b\n`forager: limit`")}, hivetest.Duplicates{Comments: 1}},
		"no code span":       {[]post{msg("a\nforager: rule=1 day=2"), msg("b\nforager: rule=1 day=2")}, hivetest.Duplicates{}},
		"tasks of one title": {[]post{{"/api/v1/case/1/task", `{"title":"t"}`}, {"/api/v1/case/1/task", `{"title":"t"}`}}, hivetest.Duplicates{Tasks: 1}},
		"pages of one title": {
			[]post{{"/api/v1/case/1/page", `{"title":"t","content":"1","category":"c"}`}, {"/api/v1/case/1/page", `{"title":"t","content":"2","category":"c"}`}},
			hivetest.Duplicates{Pages: 1},
		},
		"in two cases": {[]post{msg("a"), {"/api/v1/case/2/comment", `{"message":"a"}`}}, hivetest.Duplicates{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hivetest.New(hivetest.Options{})
			call(t, h, "POST", casePath, `{"title":"1","description":"d"}`)
			call(t, h, "POST", casePath, `{"title":"2","description":"d"}`)
			for _, p := range f.posts {
				if a := call(t, h, "POST", p.path, p.body); a.status != 201 {
					t.Fatalf("%d %s", a.status, a.raw)
				}
			}
			if diff := cmp.Diff(f.want, h.Stats(0).Duplicates); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStatsOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	for _, start := range []int64{0, 30 * hour} {
		r.must(201, "POST", casePath, `{"title":"t","description":"d","tags":["forager:k"],"startDate":`+jsonOf(start)+`}`)
	}
	for query, want := range map[string]float64{"": 0, "?window=24h": 0, "?window=31h": 1, "?window=0": 1} {
		a := r.must(200, "GET", "/_sim/stats"+query, "")
		if got := a.at("duplicates.cases"); got != want || a.at("cases") != 2.0 || a.at("calls.POST /api/v1/case") != 2.0 {
			t.Errorf("%q: %s", query, a.raw)
		}
	}
	r.must(400, "GET", "/_sim/stats?window=day", "")
	r.must(204, "POST", "/_sim/reset", "")
	if a := r.must(200, "GET", "/_sim/stats", ""); a.at("cases") != 0.0 || a.at("total") != 0.0 {
		t.Errorf("after a reset: %s", a.raw)
	}
}

func TestSnapshotsOfTheSameDoingsAreEqual(t *testing.T) {
	t.Parallel()
	run := func(order ...string) hivetest.Snapshot {
		h := hivetest.New(hivetest.Options{})
		call(t, h, "POST", casePath, `{"title":"t","description":"d","startDate":5,"tags":["b","a"],"tasks":[{"title":"x"}]}`)
		for _, o := range order {
			call(t, h, "POST", casePath+"/1/observable", `{"dataType":"ip","data":`+jsonOf(o)+`}`)
			call(t, h, "POST", casePath+"/1/comment", `{"message":`+jsonOf(o)+`}`)
		}
		call(t, h, "POST", casePath+"/1/procedure", `{"patternId":"T1566","occurDate":7}`)
		return h.Snapshot()
	}
	want := hivetest.Snapshot{Cases: []hivetest.Case{{
		Number: 1, Organisation: "main-org", Title: "t", Description: "d", Severity: 2, TLP: 2, PAP: 2, Status: "New", Stage: "New",
		Assignee: hivetest.DefaultUser, StartDate: 5, Tags: []string{"a", "b"}, CustomFields: map[string]any{},
		Observables: []hivetest.Observable{{DataType: "ip", Data: "192.0.2.1", TLP: 2, PAP: 2}, {DataType: "ip", Data: "192.0.2.2", TLP: 2, PAP: 2}},
		Procedures:  []hivetest.Procedure{{PatternID: "T1566", Tactic: "initial-access", OccurDate: 7}},
		Comments:    []string{"192.0.2.1", "192.0.2.2"}, Tasks: []string{"x"},
	}}}
	for _, got := range []hivetest.Snapshot{run("192.0.2.1", "192.0.2.2"), run("192.0.2.2", "192.0.2.1")} {
		if diff := cmp.Diff(want, got, cmp.Transformer("empty", func(l []string) []string {
			if len(l) == 0 {
				return nil
			}
			return l
		})); diff != "" {
			t.Error(diff)
		}
	}
}
