package apply_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/enrich/rules"
	"forager/hive"
	"forager/hive/hivetest"
)

// alertsOf tells of each alert: its reference, observables, techniques.
func alertsOf(s hivetest.Snapshot) (all []string) {
	for _, a := range s.Alerts {
		techniques := make([]string, 0, len(a.Procedures))
		for _, p := range a.Procedures {
			techniques = append(techniques, p.PatternID)
		}
		all = append(all, fmt.Sprintf("%s;%s;%s %d %s", a.Type, a.Source, a.SourceRef, len(a.Observables), strings.Join(techniques, " ")))
	}
	return all
}

// TestAnEventBecomesOneAlertInOneCall: named by product, source and id; sent again it is one look, and what it brings besides
// comes into the same alert.
func TestAnEventBecomesOneAlertInOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		happened := &heardEvents{}
		e := s.worker(t, func(o *apply.Options) { o.Events = happened })
		d := seen("web01", "4711", day(9))
		d.Source, d.Link = "manager01", "https://console.example/4711"
		if calls := s.calls(func() { mustApply(t, e, perEvent.plans(t, enrich.ZipNever, 1, d)) }); calls != 1 {
			t.Errorf("%d calls", calls)
		}
		if calls := s.calls(func() { mustApply(t, e, perEvent.plans(t, enrich.ZipNever, 2, d)) }); calls != 1 {
			t.Errorf("sent again: %d calls", calls)
		}
		more := another("4711", 9, 9, "T1486")
		more.Source, more.Severity = "manager01", canon.Critical
		mustApply(t, e, perEvent.plans(t, enrich.ZipNever, 3, more))
		mustApply(t, e, perEvent.plans(t, enrich.ZipNever, 4, another("4712", 9, 9, "T1486")))
		got := s.hive.Snapshot()
		want := []string{"native;forager;4712 3 T1486", "native;manager01;4711 3 T1059.001 T1110 T1486"}
		if diff := cmp.Diff(want, alertsOf(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		a := got.Alerts[1]
		if a.Severity != 4 || a.Date != day(9).UnixMilli() || a.Linked != d.Link || a.Title != "Suspicious logon on web01" || a.Status != "New" || a.Assignee != "" {
			t.Errorf("alert is %+v", a)
		}
		if len(got.Cases) != 0 || happened.count(apply.EventNewAlert) != 2 {
			t.Errorf("%d cases, events %v", len(got.Cases), happened.all)
		}
	})
}

// TestARuleAndKeyShareAnAlert: within the window after their newest; another rule, another host, and what comes later have their own.
func TestARuleAndKeyShareAnAlert(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		other := seen("web01", "c", day(11))
		other.Rule.ID = "r2"
		for n, d := range []detection.Detection{
			seen("web01", "a", day(9)), another("b", 10, 9, "T1486"), other, seen("web02", "d", day(11)), seen("web01", "e", day(9).AddDate(0, 0, 7)),
		} {
			mustApply(t, s.worker(t), perRule.plans(t, enrich.ZipNever, uint64(n+1), d))
		}
		snapshot := s.hive.Snapshot()
		if got := alertsOf(snapshot); len(got) != 4 {
			t.Fatalf("alerts %q", got)
		}
		i := slices.IndexFunc(snapshot.Alerts, func(a hivetest.Alert) bool { return len(a.Procedures) == 3 })
		if i < 0 || len(snapshot.Alerts[i].Observables) != 3 || !strings.HasSuffix(snapshot.Alerts[i].SourceRef, "-0") {
			t.Errorf("alerts %q", alertsOf(snapshot))
		}
	})
}

// TestARouteOpensSoManyAlertsAnHour: what is above goes into one, which says so.
func TestARouteOpensSoManyAlertsAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		happened := &heardEvents{}
		e := s.worker(t, func(o *apply.Options) { o.Events = happened })
		for n := range 6 {
			d := seen(fmt.Sprint("web", n), fmt.Sprint(n), day(9))
			d.Observables = []detection.Observable{{DataType: "ip", Data: fmt.Sprint("203.0.113.", n)}}
			mustApply(t, e, queued(t, rules.Route{Name: "loud", MaxNewAlerts: 2}, enrich.ZipNever, uint64(n+1), d))
		}
		var over []hivetest.Alert
		alerts := s.hive.Snapshot().Alerts
		for _, a := range alerts {
			if slices.Contains(a.Tags, "forager:overflow") {
				over = append(over, a)
			}
		}
		if len(alerts) != 3 || len(over) != 1 || len(over[0].Observables) != 4 || over[0].Title != "Too many new alerts: route loud" {
			t.Errorf("alerts %+v", alerts)
		}
		if happened.count(apply.EventOverflow) != 4 {
			t.Errorf("events %v", happened.all)
		}
	})
}

// theAlert is the only alert.
func (d desk) theAlert() hive.Alert {
	d.t.Helper()
	var all []hive.Alert
	for a, err := range d.analyst.FindAlerts(d.t.Context(), hive.Query{}) {
		d.must(err)
		all = append(all, a)
	}
	if len(all) != 1 {
		d.t.Fatalf("%d alerts", len(all))
	}
	return all[0]
}

// TestLaterDetectionsGoIntoTheCaseThatAnAlertBecame: promoted, or merged into another; TheHive copies late, and what an analyst removed
// of the alert stays away from the case.
func TestLaterDetectionsGoIntoTheCaseThatAnAlertBecame(t *testing.T) {
	t.Parallel()
	for _, merged := range []bool{false, true} {
		t.Run(fmt.Sprint("merged: ", merged), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { promoteAndGoOn(t, merged) })
		})
	}
}

func promoteAndGoOn(t *testing.T, merged bool) {
	t.Helper()
	d := newDesk(t)
	d.hive.Set(hivetest.Misbehaviour{ImportLag: 5 * time.Second})
	e := d.worker(t)
	mustApply(t, e, perRule.plans(t, enrich.ZipNever, 1, seen("web01", "a", day(9)), another("b", 9, 9, "T1003")))
	mustApply(t, e, perRule.plans(t, enrich.ZipNever, 5, another("d", 9, 11, "T1204"))) // what came later is not in its last line
	a := d.theAlert()
	for p, err := range d.analyst.AlertProcedures(t.Context(), a.ID) {
		d.must(err)
		if p.PatternID == "T1110" || p.PatternID == "T1204" {
			d.must(d.analyst.DeleteProcedure(t.Context(), p.ID))
		}
	}
	for o, err := range d.analyst.AlertObservables(t.Context(), a.ID) {
		d.must(err)
		if o.Data == "203.0.113.11" {
			d.must(d.analyst.DeleteObservable(t.Context(), o.ID))
		}
	}
	if merged {
		c, err := d.analyst.CreateCase(t.Context(), hive.NewCase{Title: "an analyst's", Description: "-", StartDate: hive.MillisOf(day(8))})
		d.must(err)
		_, err = d.analyst.MergeAlert(t.Context(), a.ID, c.ID)
		d.must(err)
	} else {
		_, err := d.analyst.PromoteAlert(t.Context(), a.ID, hive.CaseFromAlert{})
		d.must(err)
	}
	later := another("c", 10, 10, "T1486")
	later.Observables = append(later.Observables, detection.Observable{DataType: "ip", Data: "203.0.113.11"})
	later.Techniques = append(later.Techniques, detection.Reference{Text: "T1204", Path: "techniques"}, detection.Reference{Text: "T1110", Path: "techniques"}, detection.Reference{Text: "T1003", Path: "techniques"})
	for n := range 3 {
		mustApply(t, e, perRule.plans(t, enrich.ZipNever, uint64(n+10), later))
		wait(t.Context(), 40*time.Second)
		e = d.worker(t)
	}
	snapshot := d.hive.Snapshot()
	if len(snapshot.Cases) != 1 || len(snapshot.Alerts) != 1 {
		t.Fatalf("%d cases, alerts %q", len(snapshot.Cases), alertsOf(snapshot))
	}
	var techniques []string
	for _, p := range snapshot.Cases[0].Procedures {
		techniques = append(techniques, p.PatternID)
	}
	slices.Sort(techniques)
	if diff := cmp.Diff([]string{"T1003", "T1059.001", "T1486"}, techniques); diff != "" {
		t.Errorf("techniques of the case (-want +got):\n%s", diff)
	}
	if n := len(snapshot.Cases[0].Observables); n != 4 {
		t.Errorf("%d observables", n)
	}
}

// TestWhatAnalystsDoToAlertsHolds: deleted, nothing comes back; closed, what is later has an alert of its own, but an event's more is
// added; what was removed stays away, and a lowered severity stays low.
func TestWhatAnalystsDoToAlertsHolds(t *testing.T) {
	t.Parallel()
	closed, low := "Ignored", 1
	change := func(u hive.AlertUpdate) func(desk, hive.Alert) {
		return func(d desk, a hive.Alert) { d.must(d.analyst.UpdateAlert(d.t.Context(), a.ID, u)) }
	}
	for name, c := range map[string]struct {
		by      mode
		analyst func(d desk, a hive.Alert)
		dropped bool
		alerts  int
		holds   func(a hivetest.Alert) bool
	}{
		"deleted":          {perEvent, func(d desk, a hive.Alert) { d.must(d.analyst.DeleteAlert(d.t.Context(), a.ID)) }, true, 0, nil},
		"deleted, by rule": {perRule, func(d desk, a hive.Alert) { d.must(d.analyst.DeleteAlert(d.t.Context(), a.ID)) }, true, 0, nil},
		"closed":           {perEvent, change(hive.AlertUpdate{Status: &closed}), false, 1, func(a hivetest.Alert) bool { return a.Status == closed && len(a.Procedures) == 3 }},
		"closed, by rule":  {perRule, change(hive.AlertUpdate{Status: &closed}), false, 2, nil},
		"lowered":          {perEvent, change(hive.AlertUpdate{Severity: &low}), false, 1, func(a hivetest.Alert) bool { return a.Severity == 1 }},
		"an observable removed": {perRule, func(d desk, a hive.Alert) {
			for o, err := range d.analyst.AlertObservables(d.t.Context(), a.ID) {
				d.must(err)
				if o.DataType == "ip" {
					d.must(d.analyst.DeleteObservable(d.t.Context(), o.ID))
				}
			}
		}, false, 1, func(a hivetest.Alert) bool { return len(a.Observables) == 2 && len(a.Procedures) == 3 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				at := time.Now().UTC().Truncate(time.Millisecond)
				first := seen("web01", "a", at)
				mustApply(t, d.worker(t), c.by.plans(t, enrich.ZipNever, 1, first))
				wait(t.Context(), time.Minute)
				c.analyst(d, d.theAlert())
				wait(t.Context(), time.Minute)
				id := map[mode]string{perEvent: "a", perRule: "b"}[c.by]
				later := another(id, 9, 9, "T1486")
				later.Time = at.Add(5 * time.Minute)
				for n := range 2 {
					err := d.worker(t).Apply(t.Context(), enrich.BatchOf(c.by.plans(t, enrich.ZipNever, uint64(n+2), later)...))[0]
					dropped, is := errors.AsType[*enrich.DroppedError](err)
					if is != c.dropped || err != nil && !is || is && dropped.Reason != "alert deleted" {
						t.Errorf("error %v", err)
					}
				}
				alerts := d.hive.Snapshot().Alerts
				if len(alerts) != c.alerts || c.holds != nil && !c.holds(alerts[0]) {
					t.Errorf("%d alerts: %+v", len(alerts), alerts)
				}
			})
		})
	}
}

// TestATakeoverFindsTheAlertByItsName: a worker that was killed while it created an alert owes nobody settle: whoever takes over waits
// for no more than that is known to be dead, and that TheHive lists the observables that it says to have.
func TestATakeoverFindsTheAlertByItsName(t *testing.T) {
	t.Parallel()
	for _, m := range []mode{perEvent, perRule} {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hivetest.Options{})
				const lag = 20 * time.Second
				s.hive.Set(hivetest.Misbehaviour{Lag: lag, LagChildren: true})
				plans := m.plans(t, enrich.ZipNever, 1, seen("web01", "a", day(9)))
				var dead atomic.Bool
				victim := s.worker(t, func(o *apply.Options) {
					inner := o.Hive("")
					o.Hive = func(string) apply.Hive { return doomed{inner, "create alert", &dead} }
					o.Ledger = silent{o.Ledger, &dead}
				})
				other := s.worker(t)
				began := time.Now()
				victim.Apply(t.Context(), enrich.BatchOf(plans...))
				mustApply(t, other, plans)
				if took := time.Since(began); !dead.Load() || took > max(defaultLease, lag)+5*time.Second {
					t.Errorf("dead %t, complete after %v", dead.Load(), took)
				}
				if got := s.hive.Snapshot().Alerts; len(got) != 1 || len(got[0].Procedures) != 2 || len(got[0].Observables) != 2 {
					t.Errorf("alerts %+v", got)
				}
			})
		})
	}
}

// TestAnAlertIsOpenedWithoutWhatTheHiveRefuses: what it refuses is charged, or left out, as of a case; files come, too.
func TestAnAlertIsOpenedWithoutWhatTheHiveRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		d := seen("web01", "a", day(9))
		d.Observables = append(d.Observables, detection.Observable{DataType: "no-such-type", Data: "x"})
		d.Files = []detection.File{{Name: "a.txt", Data: []byte("x")}}
		plans := queued(t, rules.Route{Name: "queue", Case: rules.CaseFields{Assignee: "nobody@left.example"}}, enrich.ZipNever, 1, d)
		happened := &heardEvents{}
		e := s.worker(t, func(o *apply.Options) { o.Events = happened })
		for range 2 {
			mustApply(t, e, plans)
		}
		a := s.hive.Snapshot().Alerts
		if len(a) != 1 || len(a[0].Observables) != 4 || len(a[0].Procedures) != 2 || !slices.Contains(a[0].Tags, "forager:degraded") || happened.count(apply.EventDegraded) != 1 {
			t.Errorf("alerts %+v, events %v", a, happened.all)
		}
	})
}
