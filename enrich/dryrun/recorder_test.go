package dryrun_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/claim/claimtest"
	"forager/enrich/dryrun"
	"forager/hive"
	"forager/hive/hivetest"
)

// server is a simulated TheHive, and a client of it.
func server(t *testing.T) (*hivetest.Hive, *hive.Client) {
	t.Helper()
	h := hivetest.New(hivetest.Options{})
	s, err := hivetest.Listen("127.0.0.1:0", h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c, err := hive.New(hive.Options{URL: s.URL(), APIKey: hivetest.DefaultAPIKey, Organisation: hivetest.DefaultOrganisation})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return h, c
}

// plan asks for a case of one host, with one technique.
func plan(id, technique string, severity int) enrich.Plan {
	at := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	key := enrich.Key{Kind: "host", Value: "web01"}
	return enrich.Plan{
		Organisation: hivetest.DefaultOrganisation, Key: key, Hash: key.Hash(hivetest.DefaultOrganisation), At: at, Window: enrich.DefaultWindow,
		SourceID: id, RuleHash: "0123456789abcdef0123456789abcdef", Day: at.Format(time.DateOnly), Severity: severity, TLP: 2, PAP: 2, Title: "Logon",
		Techniques: []enrich.Technique{{Found: technique, Reported: technique, ID: technique, Tactic: "execution"}},
	}
}

// TestADryRunTellsWhatAnApplyWouldDoAndWritesNothing: a second detection meets what the first would have left.
func TestADryRunTellsWhatAnApplyWouldDoAndWritesNothing(t *testing.T) {
	t.Parallel()
	h, c := server(t)
	ledger := claimtest.New()
	r := dryrun.New(func(string) apply.Hive { return c }, ledger)
	a, err := apply.New(apply.Options{Hive: r.Hive, Ledger: r})
	if err != nil {
		t.Fatal(err)
	}
	tell := func(p enrich.Plan) []dryrun.Effect {
		if err := a.Apply(t.Context(), enrich.BatchOf(p))[0]; err != nil {
			t.Fatal(err)
		}
		return r.Take()
	}
	first := []dryrun.Effect{{Kind: "case", Case: "new-1", Item: "Logon"}, {Kind: "procedure", Case: "new-1", Item: "T1059/execution"}}
	if diff := cmp.Diff(first, tell(plan("a", "T1059", 2))); diff != "" {
		t.Errorf("the first (-want +got):\n%s", diff)
	}
	const told = "**Severity raised from medium to high**\n\n| Time | What | User | From → to | Process or file | Id |\n|---|---|---|---|---|---|\n" +
		"| 2026-03-14 09:00:00 UTC | Logon |  |  |  | `b` |\n\n`forager: change=severi…"
	second := []dryrun.Effect{
		{Kind: "found", Case: "new-1", Item: "Logon"}, {Kind: "procedure", Case: "new-1", Item: "T1204/execution"},
		{Kind: "comment", Case: "new-1", Item: told}, {Kind: "fields", Case: "new-1", Item: "severity 3"},
	}
	if diff := cmp.Diff(second, tell(plan("b", "T1204", 3))); diff != "" {
		t.Errorf("the second (-want +got):\n%s", diff)
	}
	if cases := h.Snapshot().Cases; len(cases) != 0 {
		t.Errorf("TheHive has %+v", cases)
	}
	if keys := ledger.Keys(); len(keys) != 0 {
		t.Errorf("the ledger has %v", keys)
	}
}

// TestADryRunTellsWhatComesByAlert: the alert that a case was, and the one that is imported, with what they bring.
func TestADryRunTellsWhatComesByAlert(t *testing.T) {
	t.Parallel()
	h, c := server(t)
	r := dryrun.New(func(string) apply.Hive { return c }, claimtest.New())
	a, err := apply.New(apply.Options{Hive: r.Hive, Ledger: r})
	if err != nil {
		t.Fatal(err)
	}
	tell := func(p enrich.Plan) []dryrun.Effect {
		p.ByAlert = true
		if err := a.Apply(t.Context(), enrich.BatchOf(p))[0]; err != nil {
			t.Fatal(err)
		}
		return r.Take()
	}
	hash := plan("a", "T1059", 2).Hash
	first := []dryrun.Effect{
		{Kind: "case", Case: "new-1", Item: "Logon"}, {Kind: "alert", Case: "new-1", Item: hash + "-0 becomes the case"},
		{Kind: "procedure", Case: "new-1", Item: "T1059/execution"},
	}
	if diff := cmp.Diff(first, tell(plan("a", "T1059", 2))); diff != "" {
		t.Errorf("the first (-want +got):\n%s", diff)
	}
	second := []dryrun.Effect{
		{Kind: "found", Case: "new-1", Item: "Logon"}, {Kind: "alert", Case: "new-1", Item: "~new2-0 is imported"},
		{Kind: "procedure", Case: "new-1", Item: "T1204/execution"},
	}
	if diff := cmp.Diff(second, tell(plan("b", "T1204", 2))); diff != "" {
		t.Errorf("the second (-want +got):\n%s", diff)
	}
	if s := h.Snapshot(); len(s.Cases)+len(s.Alerts) != 0 {
		t.Errorf("TheHive has %+v", s)
	}
}
