package apply_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
	"forager/hive"
	"forager/hive/hivetest"
)

// remembering is a worker whose cases remember so many source alerts.
func remembering(n int) func(*apply.Options) {
	return func(o *apply.Options) { o.SourceAlerts = n }
}

// sourceAlerts are those that the ledger knows of the only case.
func (s *site) sourceAlerts(t *testing.T) apply.SourceAlerts {
	t.Helper()
	c, err := s.client(t).Case(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := apply.ReadSourceAlerts(t.Context(), s.ledger, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestACaseRemembersTheAlertsOfItsSources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		var heard heardEvents
		w := s.worker(t, remembering(3), func(o *apply.Options) { o.Events = &heard })
		mustApply(t, w, plan(t, 1, seen("web01", "b", day(8)), seen("web01", "a", day(9))))
		mustApply(t, w, plan(t, 3, seen("web01", "a", day(9)), seen("web01", "c", day(10)), seen("web01", "d", day(10))))
		want := apply.SourceAlerts{Known: true, Organisation: hivetest.DefaultOrganisation, LeftOut: 1, Alerts: []apply.SourceAlert{
			{Source: "native", ID: "b"}, {Source: "native", ID: "a"}, {Source: "native", ID: "c"},
		}}
		if diff := cmp.Diff(want, s.sourceAlerts(t)); diff != "" {
			t.Error(diff)
		}
		if n := heard.count(apply.EventOverLimit); n != 1 {
			t.Errorf("it is counted %d times that there is no room for an alert", n)
		}
	})
}

func TestNobodyRemembersSourceAlertsUnasked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		s.ledger.SetBefore(func(op claimtest.Op) error {
			if strings.Contains(string(op.Value), "sourceAlerts") {
				t.Errorf("%s has source alerts", op.Key)
			}
			return nil
		})
		mustApply(t, s.worker(t), plan(t, 1, seen("web01", "a", day(8))))
		if got := s.sourceAlerts(t); len(got.Alerts) != 0 || !got.Known {
			t.Errorf("%+v", got)
		}
	})
}

// TestAPlanIsDoneWhenItsAlertIsRemembered: else nobody could tell its source what became of it.
func TestAPlanIsDoneWhenItsAlertIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		w := s.worker(t, remembering(10))
		s.ledger.SetBefore(func(op claimtest.Op) error {
			if strings.Contains(string(op.Value), "sourceAlerts") {
				return errors.New("no answer")
			}
			return nil
		})
		plans := plan(t, 1, seen("web01", "a", day(8)))
		if err := w.Apply(t.Context(), enrich.BatchOf(plans...))[0]; err == nil {
			t.Fatal("done, and not remembered")
		}
		s.ledger.SetBefore(nil)
		mustApply(t, s.worker(t, remembering(10)), plans)
		if got := s.sourceAlerts(t); fmt.Sprint(got.Alerts) != "[{native a}]" {
			t.Errorf("%+v", got)
		}
		if d := s.hive.Stats(hivetest.DefaultWindow).Duplicates.Total(); d != 0 {
			t.Errorf("%d effects are doubled", d)
		}
	})
}

// TestWhoJoinsAClosedCaseIsTold: after the alert is remembered, and of closed cases alone.
func TestWhoJoinsAClosedCaseIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		var told []string
		w := s.worker(t, remembering(10), func(o *apply.Options) {
			o.Joined = func(id string) {
				got, err := apply.ReadSourceAlerts(t.Context(), s.ledger, id)
				told = append(told, fmt.Sprint(len(got.Alerts), err))
			}
		})
		mustApply(t, w, plan(t, 1, seen("web01", "a", day(8))))
		status, end := "FalsePositive", hive.MillisOf(day(12))
		if err := s.client(t).UpdateCase(t.Context(), "1", hive.CaseUpdate{Status: &status, EndDate: &end}); err != nil {
			t.Fatal(err)
		}
		mustApply(t, w, plan(t, 2, seen("web01", "b", day(9))))
		if diff := cmp.Diff([]string{"2 <nil>"}, told); diff != "" {
			t.Error(diff)
		}
	})
}

// TestWhatSourcesWereToldGoesWithItsCase: and a word of all of them stays.
func TestWhatSourcesWereToldGoesWithItsCase(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"on": 10, "off": 0} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t)
			e := d.worker(t, remembering(n))
			mustApply(t, e, plan(t, 1, seen("closed", "a", time.Now())))
			mustApply(t, e, plan(t, 2, seen("open", "b", time.Now())))
			closed := "TruePositive"
			d.must(d.analyst.UpdateCase(t.Context(), d.theCase("1").ID, hive.CaseUpdate{Status: &closed}))
			keys := []string{apply.FeedbackPrefix + d.theCase("1").ID, apply.FeedbackPrefix + d.theCase("2").ID, apply.FeedbackPrefix + "swept"}
			for _, key := range keys {
				_, err := d.ledger.Put(t.Context(), key, []byte("{}"), 0)
				d.must(err)
			}
			<-time.After(100 * 24 * time.Hour)
			_, err := e.Sweep(t.Context(), keysOf(d.ledger.Keys()), apply.SweepOptions{Organisations: []string{hivetest.DefaultOrganisation}, Keep: 90 * 24 * time.Hour})
			d.must(err)
			for i, key := range keys {
				_, _, err := d.ledger.Get(t.Context(), key)
				if gone := errors.Is(err, claim.ErrNoEntry); gone != (i == 0 && n > 0) {
					t.Errorf("%s: %s is gone: %v (%v)", name, key, gone, err)
				}
			}
		})
	}
}
