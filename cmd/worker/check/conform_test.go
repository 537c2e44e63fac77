package check

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/cmd/worker/terminal"
	"forager/cmd/worker/workertest"
	"forager/hive"
	"forager/hive/hivetest"
)

// asked asks a simulated TheHive in virtual time, and gives the report, the questions that differ, and what it holds afterwards.
func asked(t *testing.T, ctx context.Context, server *hivetest.Hive, key, other string) (Conformance, []string) { //nolint:revive // t comes first
	t.Helper()
	begun := time.Now()
	got, left, err := conform(ctx, hive.Options{URL: "http://hive.test", APIKey: key, Timeout: askWithin}, inProcess{server}, other)
	workertest.Must(t, err)
	if took := time.Since(begun); took > 10*time.Minute {
		t.Errorf("it took %v", took)
	}
	if s := server.Snapshot(); len(left) != 0 || len(s.Cases) != 0 {
		t.Errorf("left %v, %d cases", left, len(s.Cases))
	}
	var differ []string
	for _, q := range got.Questions {
		if q.State == Differs {
			differ = append(differ, q.Ask)
		}
		if q.Ask == "" || q.Got == "" || q.State != ByHand && q.State != NotAsked && (q.Expected == "" || q.Means == "") {
			t.Errorf("%+v", q)
		}
	}
	return got, differ
}

func conformer(o hivetest.Options) *hivetest.Hive {
	member := func(profile string) []hivetest.Membership {
		return []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: profile}}
	}
	o.Profiles = map[string][]string{"few": {"manageCase/create", "manageCase/update", "manageCase/delete", "manageObservable", "manageProcedure", "manageComment", "managePage"}}
	o.Users = []hivetest.User{
		{Login: "normal@x.example", APIKey: "normal", Memberships: member("analyst")},
		{Login: "service@x.example", APIKey: "service", Type: "Service", Memberships: member("analyst")},
		{Login: "few@x.example", APIKey: "few", Memberships: member("few")},
	}
	return hivetest.New(o)
}

// TestConformFindsExactlyWhatIsTurned: each quirk of a server by itself, and the report makes the simulator such a server.
func TestConformFindsExactlyWhatIsTurned(t *testing.T) {
	t.Parallel()
	type q = hivetest.Quirks
	for name, c := range map[string]struct {
		quirks     q
		key, other string
		differs    string // how the question begins; empty: none does
	}{
		"none":                {q{}, "", "normal", ""},
		"none, a service":     {q{}, "", "service", ""},
		"none, few rights":    {q{}, "few", "", ""},
		"restricted refused":  {q{Restricted: hivetest.Refused}, "", "normal", "What is a restricted case"},
		"restricted shown":    {q{Restricted: hivetest.Shown}, "", "normal", "What is a restricted case"},
		"service hidden":      {q{RestrictedService: hivetest.Hidden}, "", "service", "What is a restricted case"},
		"below deleted":       {q{BelowDeleted: 403}, "", "", "What does a POST below"},
		"bad procedure":       {q{BadProcedure: "others"}, "", "", "What stays of three"},
		"doubled 400":         {q{Doubled: 400}, "", "", "How is a doubled observable"},
		"doubled 201":         {q{Doubled: 201}, "", "", "How is a doubled observable"},
		"second name":         {q{SecondName: "observable"}, "", "", "Is a file with a known content"},
		"unknown field":       {q{UnknownField: "refused"}, "", "", "What becomes of a custom field"},
		"template tags":       {q{TemplateTags: "unless sent"}, "", "", "When does a case have the tags"},
		"reopen":              {q{Reopen: "manageCase/update"}, "few", "", "May an account without"},
		"foreign":             {q{ForeignOrganisation: 401}, "", "", "What is an organisation answered"},
		"lost tags":           {q{LostTags: true}, "", "", "Are all tags kept"},
		"quoted tags":         {q{Tags: "quoted"}, "", "", "How does a tag"},
		"wrong type":          {q{WrongType: 415}, "", "", "What is a body of the wrong"},
		"short tasks":         {q{ShortTasks: true}, "", "", "Is a case's list of tasks"},
		"search lags":         {q{SearchLag: 2000}, "", "normal", "How long do a search"},
		"lists lag":           {q{ListLag: 3000}, "", "", "How long do a search"},
		"merge loses":         {q{MergeLoses: []string{"comments", "pages"}}, "", "", "What does a case that was merged"},
		"failures in a crowd": {q{FailureClass: "org.janusgraph.core.JanusGraphException"}, "", "", "What do fifty writes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				key := c.key
				if key == "" {
					key = hivetest.DefaultAPIKey
				}
				got, differ := asked(t, t.Context(), conformer(hivetest.Options{Quirks: c.quirks}), key, c.other)
				if c.differs == "" && len(differ) > 0 || c.differs != "" && (len(differ) != 1 || !strings.HasPrefix(differ[0], c.differs)) {
					t.Fatalf("differ: %q\n%+v", differ, got.Questions)
				}
				raw, err := json.Marshal(got)
				workertest.Must(t, err)
				version, quirks, err := hivetest.ReadQuirks(raw)
				if err != nil || version != "5.5.13-1" {
					t.Fatal(version, err)
				}
				_, again := asked(t, t.Context(), conformer(hivetest.Options{Version: version, Quirks: quirks}), key, c.other)
				if diff := cmp.Diff(differ, again); diff != "" {
					t.Errorf("a server made of the report differs:\n%s\n%s", diff, raw)
				}
			})
		})
	}
}

// TestConformExpectsWhatTheReleaseDoes: of each, nothing differs.
func TestConformExpectsWhatTheReleaseDoes(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"5.2.5", "5.2.16", "5.3.10", "5.4.10", "5.5.0", "5.5.13", "5.6.2", "5.7.3"} {
		synctest.Test(t, func(t *testing.T) {
			server := conformer(hivetest.Options{Version: version + "-1"})
			key := map[bool]string{true: "few", false: hivetest.DefaultAPIKey}[version == "5.2.5"]
			got, differ := asked(t, t.Context(), server, key, "")
			if len(differ) > 0 {
				t.Errorf("%s: %q\n%+v", version, differ, got.Questions)
			}
		})
	}
}

// TestTheSimulatorIsWhatWasSeen: a report of a server makes the simulator one that is asked with the same outcome. Reports of
// real servers belong into hive/hivetest/testdata/conform, by release.
func TestTheSimulatorIsWhatWasSeen(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "hive", "hivetest", "testdata", "conform", "*.json"))
	workertest.Must(t, err)
	reports := [][]byte{[]byte(`{"works":true,"findings":[],"conform":{"version":"5.6.2-1","questions":[],"quirks":{"doubled":400,"lostTags":true,"foreignOrganisation":401,"mergeLoses":["pages"]}}}`)}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		workertest.Must(t, err)
		reports = append(reports, raw)
	}
	for _, raw := range reports {
		synctest.Test(t, func(t *testing.T) {
			version, quirks, err := hivetest.ReadQuirks(raw)
			workertest.Must(t, err)
			got, _ := asked(t, t.Context(), conformer(hivetest.Options{Version: version, Quirks: quirks}), hivetest.DefaultAPIKey, "normal")
			want, err := json.Marshal(quirks)
			workertest.Must(t, err)
			var seen, is map[string]any
			workertest.Must(t, json.Unmarshal(want, &seen))
			again, err := json.Marshal(got.Quirks)
			workertest.Must(t, err)
			workertest.Must(t, json.Unmarshal(again, &is))
			for name, v := range seen {
				if name != "reopen" && name != "restrictedService" && !cmp.Equal(v, is[name]) { // those need other accounts
					t.Errorf("%s: %s is %v, was %v", version, name, is[name], v)
				}
			}
		})
	}
}

// TestConformClearsUp: when it is interrupted, and where the answer to an opening is lost; what it may not delete it names.
func TestConformClearsUp(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{time.Millisecond, 30 * time.Millisecond, 700 * time.Millisecond, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			server := conformer(hivetest.Options{})
			server.Set(hivetest.Misbehaviour{Latency: 20 * time.Millisecond})
			var openings atomic.Int64 // some come at a time
			server.On(hivetest.AfterEffect, "POST /api/v1/case", func(hivetest.Call) hivetest.Action {
				if openings.Add(1) == 2 {
					return hivetest.Action{Status: 502}
				}
				return hivetest.Action{}
			})
			ctx, interrupt := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond+after, interrupt)
			got, _ := asked(t, ctx, server, hivetest.DefaultAPIKey, "")
			if !slices.ContainsFunc(got.Questions, func(q Question) bool { return q.State == NotAsked }) {
				t.Errorf("after %v: %+v", after, got.Questions)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		server := conformer(hivetest.Options{})
		server.On(hivetest.BeforeEffect, "DELETE /api/v1/case/{id}", func(hivetest.Call) hivetest.Action { return hivetest.Action{Status: 403, Type: "AuthorizationError"} })
		got, left, err := conform(t.Context(), hive.Options{URL: "http://hive.test", APIKey: hivetest.DefaultAPIKey}, inProcess{server}, "")
		workertest.Must(t, err)
		cases := server.Snapshot().Cases
		open := slices.ContainsFunc(cases, func(c hivetest.Case) bool { return c.Stage != "Closed" })
		if len(left) != len(cases) || open {
			t.Errorf("%d left are told of %d, or one is open", len(left), len(cases))
		}
		for _, c := range cases {
			if !strings.Contains(c.Title, "may be deleted") && !strings.Contains(c.Title, "x😀") {
				t.Errorf("a case says nothing of what it is: %q", c.Title)
			}
		}
		var b strings.Builder
		workertest.Must(t, PrintConformance(terminal.New(&b, 0, false), got, left))
		if !strings.Contains(b.String(), fmt.Sprintf("case %s: delete it by hand", left[0])) || !strings.Contains(b.String(), "by hand") {
			t.Error(b.String())
		}
	})
}
