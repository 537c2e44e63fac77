package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/hive"
	"forager/hive/hivetest"
	"forager/mitre"
)

// sighted is a technique of a layer, in the words of the Navigator's format 4.5.
type sighted struct {
	TechniqueID string `json:"techniqueID"`
	Tactic      string `json:"tactic"`
	Score       int    `json:"score"`
}

// TestLayerCountsWhatTheHiveHolds: the server holds 18.1, the layer is of another release.
func TestLayerCountsWhatTheHiveHolds(t *testing.T) {
	t.Parallel()
	url := heldOf(t, "18.1",
		holding{tags: []string{"red"}, procedures: []hive.NewProcedure{
			{PatternID: "T1562.001", Tactic: "defense-evasion", OccurDate: day(1)},
			{PatternID: "T1059.001", Tactic: "execution", OccurDate: day(3)},
		}},
		holding{procedures: []hive.NewProcedure{
			{PatternID: "T1059.001", Tactic: "execution", OccurDate: day(2)},
			{PatternID: "T1078", Tactic: "persistence", OccurDate: day(2)},
			{PatternID: "T0803", OccurDate: day(2)},
		}},
	)
	shell := func(n int) sighted { return sighted{"T1059.001", "execution", n} }
	accounts := sighted{"T1078", "persistence", 1}
	for name, c := range map[string]struct {
		args []string
		want []sighted
	}{
		"the newest release": {nil, []sighted{shell(2), accounts, {"T1685", "defense-impairment", 1}}},
		"the server's own":   {[]string{"--release", "18.1"}, []sighted{shell(2), accounts, {"T1562.001", "defense-evasion", 1}}},
		"since a day":        {[]string{"--since", "2026-03-02"}, []sighted{shell(2), accounts}},
		"of tagged cases":    {[]string{"--tag", "red"}, []sighted{shell(1), {"T1685", "defense-impairment", 1}}},
		"of both":            {[]string{"--tag", "red", "--since", "2026-03-02T00:00:00Z"}, []sighted{shell(1)}},
		"another matrix":     {[]string{"--domain", "ics-attack"}, []sighted{{"T0803", "inhibit-response-function", 1}}},
		"long ago is all":    {[]string{"--since", "36500d", "--domain", "ics-attack"}, []sighted{{"T0803", "inhibit-response-function", 1}}},
		"no such tag":        {[]string{"--tag", "blue"}, []sighted{}},
	} {
		t.Run(name, func(t *testing.T) {
			out, said, code := attackLayer(t, url, c.args...)
			if code != exitDone {
				t.Fatalf("exit %d: %s", code, said)
			}
			if diff := cmp.Diff(c.want, out.Techniques); diff != "" {
				t.Errorf("techniques, want -, got +:\n%s", diff)
			}
		})
	}
}

func TestLayerSaysWhatItCannotShow(t *testing.T) {
	url := heldOf(t, "18.1", holding{procedures: []hive.NewProcedure{{PatternID: "T0803", OccurDate: day(1)}, {PatternID: "T1059", OccurDate: day(1)}}})
	if _, said, _ := attackLayer(t, url); !strings.Contains(said, "not in this layer: 1 of ics-attack, see --domain") {
		t.Errorf("said %q", said)
	}
}

// layerRead is what the test reads of a layer.
type layerRead struct {
	Techniques []sighted `json:"techniques"`
}

func attackLayer(t *testing.T, url string, args ...string) (layerRead, string, int) {
	t.Helper()
	var out, said bytes.Buffer
	env := []string{"FORAGER_NATS_URL=nats://127.0.0.1:1", "FORAGER_HIVE_URL=" + url, "FORAGER_HIVE_API_KEY=" + hivetest.DefaultAPIKey}
	code := run(t.Context(), append([]string{"attack", "layer"}, args...), env, nil, &out, &said)
	var l layerRead
	if err := json.Unmarshal(out.Bytes(), &l); err != nil {
		t.Fatalf("%v\n%s%s", err, &out, &said)
	}
	return l, said.String(), code
}

// holding is a case and its procedures.
type holding struct {
	tags       []string
	procedures []hive.NewProcedure
}

// heldOf starts a simulated TheHive with the patterns of a release and these cases.
func heldOf(t *testing.T, release string, cases ...holding) string {
	t.Helper()
	var patterns []hivetest.Pattern
	for p := range mitre.Embedded().Techniques(release) {
		patterns = append(patterns, hivetest.Pattern{ID: p.ID, Name: p.Name, Tactics: p.Tactics, Revoked: p.Revoked})
	}
	server, err := hivetest.Listen("127.0.0.1:0", hivetest.New(hivetest.Options{Patterns: patterns}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	client, err := hive.New(hive.Options{URL: server.URL(), APIKey: hivetest.DefaultAPIKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdle)
	for _, c := range cases {
		made, err := client.CreateCase(t.Context(), hive.NewCase{Title: "case", Tags: c.tags})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.AddProcedures(t.Context(), made.ID, c.procedures); err != nil {
			t.Fatal(err)
		}
	}
	return server.URL()
}

// day is noon of a day in March 2026.
func day(n int) hive.Millis { return hive.MillisOf(time.Date(2026, 3, n, 12, 0, 0, 0, time.UTC)) }

func TestMomentsAreDaysTimesOrAgo(t *testing.T) {
	now := time.Now()
	for text, ago := range map[string]time.Duration{"12h": 12 * time.Hour, "30d": 720 * time.Hour, "90m": 90 * time.Minute} {
		var m moment
		if err := m.Set(text); err != nil || now.Sub(m.Time).Round(time.Minute) != ago {
			t.Errorf("%s: %v, %v", text, m.Time, err)
		}
	}
	for text, want := range map[string]string{"2026-03-01": "2026-03-01T00:00:00Z", "2026-03-01T08:00:00+02:00": "2026-03-01T06:00:00Z"} {
		var m moment
		if err := m.Set(text); err != nil || m.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", text, m.Time, err)
		}
	}
	for _, text := range []string{"", "d", "-3d", "0d", "-1h", "soon", "99999999999d", "2026-13-01", "106751991167d"} {
		if err := new(moment).Set(text); err == nil {
			t.Errorf("%q was read as a time", text)
		}
	}
}
