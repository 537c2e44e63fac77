package feedback_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/feedback"
	"forager/hive"
	"forager/hive/hivetest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAMessageSaysWhoseAlertItIsAndWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.join()
	w.set(feedback.State{Closed: true, Status: "FalsePositive"})
	n, err := w.tracker().Look(t.Context(), theCase)
	must(t, err)
	if n != 1 || len(w.sent) != 1 {
		t.Fatalf("%d told: %+v", n, w.sent)
	}
	text, err := json.Marshal(w.sent[0])
	must(t, err)
	want := `{"schema":"forager.feedback/v1","id":"` + w.sent[0].ID + `","event":"closed","turn":1,"verdict":"FalsePositive",` +
		`"alert":{"source":"native","id":"a0"},` +
		`"case":{"id":"~1","number":1,"url":"https://thehive.example/cases/~1/details","title":"T","status":"FalsePositive","at":"2026-03-02T08:12:44Z"}}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}

// analyst is a TheHive with two cases, and the ledger's entries of them.
func analyst(t *testing.T, w *world) (client *hive.Client, cases [2]hive.Case, tracker *feedback.Tracker) {
	t.Helper()
	server, err := hivetest.Listen("127.0.0.1:0", hivetest.New(hivetest.Options{}))
	must(t, err)
	t.Cleanup(func() { _ = server.Close() })
	client, err = hive.New(hive.Options{URL: server.URL(), APIKey: hivetest.DefaultAPIKey, Organisation: hivetest.DefaultOrganisation, Transport: &http.Transport{}})
	must(t, err)
	t.Cleanup(client.CloseIdle)
	for i := range cases {
		cases[i], err = client.CreateCase(t.Context(), hive.NewCase{Title: fmt.Sprint("case ", i), Description: "d"})
		must(t, err)
		w.write(cases[i].ID, [][2]string{{"native", fmt.Sprint("a", i)}})
	}
	return client, cases, w.trackerOf(client, "")
}

// trackerOf is that of a worker that serves some organisations.
func (w *world) trackerOf(c feedback.Cases, served ...string) *feedback.Tracker {
	return feedback.New(feedback.Options{
		Ledger: w.ledger, Outbox: w, Cases: func(string) feedback.Cases { return c },
		Organisations: func() []string { return served }, Link: func(id string) string { return id }, Settle: time.Minute,
	})
}

// closes closes a case.
func closes(t *testing.T, c *hive.Client, id, status string) {
	t.Helper()
	must(t, c.UpdateCase(t.Context(), id, hive.CaseUpdate{Status: &status}))
}

// TestWhatChangedIsFoundBySearch: without a webhook TheHive's search names the cases; what was seen to is not asked for
// again, and what was not is.
func TestWhatChangedIsFoundBySearch(t *testing.T) {
	t.Parallel()
	w := newWorld()
	client, cases, tracker := analyst(t, w)
	closes(t, client, cases[1].ID, "TruePositive")
	ids, done, err := tracker.Changed(t.Context(), 0)
	must(t, err)
	if !slices.Contains(ids, cases[1].ID) || slices.Contains(ids, cases[0].ID) {
		t.Fatalf("changed: %v of %v and %v", ids, cases[0].ID, cases[1].ID)
	}
	for _, id := range ids {
		_, err := tracker.Look(t.Context(), id)
		must(t, err)
	}
	if len(w.sent) != 1 || w.sent[0].Verdict != "TruePositive" || w.sent[0].Case.Title != "case 1" {
		t.Errorf("told %+v", w.sent)
	}
	must(t, done(t.Context()))
	if ids, _, err = tracker.Changed(t.Context(), time.Hour); err != nil || len(ids) != 0 {
		t.Errorf("another worker looked just now: %v, %v", ids, err)
	}
	closes(t, client, cases[0].ID, "FalsePositive")
	if ids, _, err = tracker.Changed(t.Context(), 0); err != nil || !slices.Contains(ids, cases[0].ID) {
		t.Errorf("changed since: %v, %v", ids, err)
	}
}

// TestACaseThatIsGoneTellsNothing: nor one of an organisation that is not served any more, nor one without alerts.
func TestACaseThatIsGoneTellsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	client, cases, tracker := analyst(t, w)
	closes(t, client, cases[0].ID, "TruePositive")
	for name, look := range map[string]func() (int, error){
		"not served": func() (int, error) { return w.trackerOf(client, "other").Look(t.Context(), cases[0].ID) },
		"unknown":    func() (int, error) { return tracker.Look(t.Context(), "~999") },
		"gone": func() (int, error) {
			must(t, client.DeleteCase(t.Context(), cases[1].ID))
			return tracker.Look(t.Context(), cases[1].ID)
		},
	} {
		if n, err := look(); n != 0 || err != nil || len(w.sent) != 0 {
			t.Errorf("%s: %d told, %v: %+v", name, n, err, w.sent)
		}
	}
}

// TestSourcesOfMergedCasesAreToldOfTheOneThatIsLeft: from the audit document on, before Forager adds anything to it.
func TestSourcesOfMergedCasesAreToldOfTheOneThatIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld()
	client, cases, tracker := analyst(t, w)
	third, err := client.CreateCase(t.Context(), hive.NewCase{Title: "an analyst's", Description: "d"})
	must(t, err)
	merged, err := client.MergeCases(t.Context(), cases[0].ID, cases[1].ID, third.ID)
	must(t, err)
	for range 2 {
		must(t, tracker.Merged(t.Context(), merged.ID, cases[0].ID, cases[1].ID, third.ID))
	}
	closes(t, client, merged.ID, "Indeterminate")
	n, err := tracker.Look(t.Context(), merged.ID)
	must(t, err)
	heard := []string{}
	for _, m := range w.sent {
		heard = append(heard, m.Alert.ID+" "+m.Verdict)
	}
	if n != 2 || !slices.Equal(heard, []string{"a0 Indeterminate", "a1 Indeterminate"}) {
		t.Errorf("%d told: %q", n, heard)
	}
	must(t, tracker.Merged(t.Context(), "~77", third.ID))
	if _, _, err := w.ledger.Get(t.Context(), "feedback.~77"); err == nil {
		t.Error("a merge that concerns no source is noted")
	}
}

// TestWhatADeadWorkerOwesIsFoundWithoutTheHive: it wrote a state down and died before it told, or an alert joined.
func TestWhatADeadWorkerOwesIsFoundWithoutTheHive(t *testing.T) {
	t.Parallel()
	w := newWorld()
	keys := func() iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for _, key := range append(w.ledger.Keys(), "feedback.swept") {
				if !yield(key, nil) {
					return
				}
			}
		}
	}
	owes := func(want ...string) {
		t.Helper()
		got, err := w.tracker().Unfinished(t.Context(), keys())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("unfinished: %v, %v; want %v", got, err, want)
		}
	}
	w.join()
	w.set(feedback.State{Closed: true, Status: "TruePositive"})
	owes()
	w.boundary = func(*looker) error {
		if len(w.ledger.Keys()) > 1 { // the state is written down
			return errLost
		}
		return nil
	}
	_, err := w.tracker().Look(context.WithValue(t.Context(), lookerKey{}, &looker{}), theCase)
	if !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	w.boundary = nil
	owes(theCase)
	_, err = w.tracker().Look(t.Context(), theCase)
	must(t, err)
	owes()
	w.join()
	owes(theCase)
}

// TestEachStatusIsToldWhereThatIsWanted: what an open case is, too.
func TestEachStatusIsToldWhereThatIsWanted(t *testing.T) {
	t.Parallel()
	w := newWorld()
	client, cases, _ := analyst(t, w)
	tracker := feedback.New(feedback.Options{
		Ledger: w.ledger, Outbox: w, Cases: func(string) feedback.Cases { return client }, Statuses: true,
		Organisations: func() []string { return []string{""} }, Link: func(id string) string { return id },
	})
	for _, status := range []string{"New", "InProgress", "InProgress", "TruePositive", "InProgress"} {
		closes(t, client, cases[0].ID, status)
		_, err := tracker.Look(t.Context(), cases[0].ID)
		must(t, err)
	}
	heard := []string{}
	for _, m := range w.sent {
		heard = append(heard, fmt.Sprint(m.Event, "/", m.Case.Status, "/", m.Verdict))
	}
	if want := []string{"status/InProgress/", "closed/TruePositive/TruePositive", "reopened/InProgress/"}; !slices.Equal(heard, want) {
		t.Errorf("%q, want %q", heard, want)
	}
}
