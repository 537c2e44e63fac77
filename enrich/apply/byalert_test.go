package apply_test

import (
	"context"
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
	"forager/hive"
	"forager/hive/hivetest"
)

// another is a later detection of the host that brings an address and a technique.
func another(id string, hour, n int, technique string) detection.Detection {
	d := seen("web01", id, day(hour))
	d.Observables = append(d.Observables, detection.Observable{DataType: "ip", Data: fmt.Sprint("203.0.113.", n)})
	d.Techniques = []detection.Reference{{Text: technique, Path: "techniques"}}
	return d
}

// ofThreeTypes is a later detection of the host that brings an observable of each of three types, and no technique.
func ofThreeTypes(id string, hour int) detection.Detection {
	d := seen("web01", id, day(hour))
	d.Observables, d.Techniques = nil, nil
	for _, kind := range []string{"domain", "mail", "url"} {
		d.Observables = append(d.Observables, detection.Observable{DataType: kind, Data: kind + ".example"})
	}
	return d
}

// calls counts the calls of a step.
func (s *site) calls(step func()) int {
	before := s.hive.Stats(0).Total
	step()
	return s.hive.Stats(0).Total - before
}

func TestByAlertACaseTakesTwoCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		happened := &heardEvents{}
		e := s.worker(t, func(o *apply.Options) { o.Events = happened })
		mustApply(t, e, byAlert.of(plan(t, 1, seen("warm01", "w", day(9))))) // asks what the account may
		for n, c := range []struct {
			what string
			d    detection.Detection
			want int
		}{
			{"a new case: create, promote", seen("web01", "a", day(9)), 2},
			{"nothing new: look", seen("web01", "b", day(10)), 1},
			{"a technique: look, list, create, import", another("c", 11, 9, "T1486"), 4},
			{"one observable: look, add", another("d", 12, 10, "T1486"), 2},
			{"of three types: look, create, import", ofThreeTypes("e", 13), 3},
		} {
			got := s.calls(func() { mustApply(t, e, byAlert.of(plan(t, uint64(n+2), c.d))) })
			if got != c.want {
				t.Errorf("%s: %d calls, want %d", c.what, got, c.want)
			}
		}
		snapshot := s.hive.Snapshot()
		c := snapshot.Cases[1]
		if len(c.Observables) != 7 || len(c.Procedures) != 3 || c.StartDate != day(9).UnixMilli() || c.Severity != 3 || len(c.Pages) != 1 {
			t.Errorf("case is %+v", c)
		}
		var refs []string
		for _, a := range snapshot.Alerts {
			if !a.Imported || a.Type != "forager" {
				t.Errorf("alert is %+v", a)
			}
			refs = append(refs, a.SourceRef)
		}
		hash := plan(t, 1, seen("web01", "a", day(9)))[0].Hash
		if len(refs) != 4 || !slices.Contains(refs, hash+"-0") {
			t.Errorf("alerts %q, want one %s-0", refs, hash)
		}
		if happened.count(apply.EventImported) != 2 || happened.count(apply.EventNewCase) != 2 {
			t.Errorf("events %v", happened.all)
		}
	})
}

// TestByAlertADetectionOutsideTheSpanOpensAnother: the name of its alert follows from the case before it.
func TestByAlertADetectionOutsideTheSpanOpensAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		for n, at := range []time.Time{day(9), day(9).AddDate(0, 0, 7), day(9).AddDate(0, 0, -7)} {
			mustApply(t, s.worker(t), byAlert.of(plan(t, uint64(n+1), seen("web01", fmt.Sprint(n), at))))
		}
		s.ledger.Lose() // and a replay finds all three by their names and tags
		for n, at := range []time.Time{day(9), day(9).AddDate(0, 0, 7), day(9).AddDate(0, 0, -7)} {
			mustApply(t, s.worker(t), byAlert.of(plan(t, uint64(n+1), seen("web01", fmt.Sprint(n), at))))
		}
		if n := s.hive.Stats(24 * time.Hour); n.Cases != 3 || n.Duplicates.Total() != 0 {
			t.Errorf("%d cases, there twice: %+v", n.Cases, n.Duplicates)
		}
		if alerts := s.hive.Snapshot().Alerts; len(alerts) != 3 {
			t.Errorf("alerts %+v", alerts)
		}
	})
}

// TestByAlertWhatTheHiveCopiesLateIsNotAddedAgain: TheHive brings what an alert holds seconds after its answer.
func TestByAlertWhatTheHiveCopiesLateIsNotAddedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		s.hive.Set(hivetest.Misbehaviour{ImportLag: 10 * time.Second})
		e := s.worker(t)
		mustApply(t, e, byAlert.of(plan(t, 1, seen("web01", "a", day(9)))))
		mustApply(t, e, byAlert.of(plan(t, 2, another("b", 10, 9, "T1486"))))
		mustApply(t, s.worker(t), byAlert.of(plan(t, 3, another("c", 11, 9, "T1105"), seen("web01", "d", day(11)))))
		wait(t.Context(), 30*time.Second)
		mustApply(t, s.worker(t), byAlert.of(plan(t, 4, another("e", 11, 9, "T1003"), another("f", 12, 9, "T1486"))))
		wait(t.Context(), 30*time.Second)
		c := s.hive.Snapshot().Cases[0]
		var techniques []string
		for _, p := range c.Procedures {
			techniques = append(techniques, p.PatternID)
		}
		slices.Sort(techniques)
		if diff := cmp.Diff([]string{"T1003", "T1059.001", "T1105", "T1110", "T1486"}, techniques); diff != "" {
			t.Errorf("techniques (-want +got):\n%s", diff)
		}
		if len(c.Observables) != 3 {
			t.Errorf("observables %+v", c.Observables)
		}
	})
}

// TestP5ByAlertWhatAnAnalystRemovedStaysAway: neither a later alert nor the same detection brings it back.
func TestP5ByAlertWhatAnAnalystRemovedStaysAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		mustApply(t, e, byAlert.of(plan(t, 1, seen("web01", "a", day(9)))))
		wait(t.Context(), time.Minute)
		d.removeProcedure(d.theCase("1").ID, "T1110")
		again := another("b", 10, 9, "T1486")
		again.Techniques = append(again.Techniques, detection.Reference{Text: "T1110", Path: "techniques"})
		for n := range 2 {
			mustApply(t, e, byAlert.of(plan(t, uint64(n+2), again)))
			wait(t.Context(), time.Minute)
		}
		var techniques []string
		for _, p := range procedures(t, d, d.theCase("1").ID) {
			techniques = append(techniques, p.PatternID)
		}
		slices.Sort(techniques)
		if diff := cmp.Diff([]string{"T1059.001", "T1486"}, techniques); diff != "" {
			t.Errorf("techniques (-want +got):\n%s", diff)
		}
	})
}

func (h doomed) CreateAlert(ctx context.Context, n hive.NewAlert) (hive.Alert, error) {
	return last(h, "create alert", func() (hive.Alert, error) { return h.Hive.CreateAlert(ctx, n) })
}

func (h doomed) PromoteAlert(ctx context.Context, id string, c hive.CaseFromAlert) (hive.Case, error) {
	return last(h, "promote alert", func() (hive.Case, error) { return h.Hive.PromoteAlert(ctx, id, c) })
}

func (h doomed) ImportAlert(ctx context.Context, id, into string) (hive.Case, error) {
	return last(h, "import alert", func() (hive.Case, error) { return h.Hive.ImportAlert(ctx, id, into) })
}

// TestByAlertATakeoverOwesNoSettle: whoever takes over from a worker that was killed between two calls, or in one, goes on at
// once when that is known to be dead, though TheHive lists nothing of it for seconds.
func TestByAlertATakeoverOwesNoSettle(t *testing.T) {
	t.Parallel()
	for op, known := range map[string]bool{"create alert": false, "promote alert": false, "import alert": true, "create alert for a case": true} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { killIn(t, strings.TrimSuffix(op, " for a case"), known) })
		})
	}
}

func killIn(t *testing.T, op string, known bool) {
	t.Helper()
	s := newSite(t, hivetest.Options{})
	s.hive.Set(hivetest.Misbehaviour{Lag: 20 * time.Second, LagChildren: true, ImportLag: 5 * time.Second})
	d := seen("web01", "a", day(9))
	other := s.worker(t)
	if known {
		mustApply(t, other, byAlert.of(plan(t, 1, d)))
		mustApply(t, other, byAlert.of(plan(t, 2, seen("web01", "b", day(9)))))
		d = another("c", 10, 9, "T1486")
	}
	plans := byAlert.of(plan(t, 3, d))
	var dead atomic.Bool
	victim := s.worker(t, func(o *apply.Options) {
		inner := o.Hive("")
		o.Hive = func(string) apply.Hive { return doomed{inner, op, &dead} }
		o.Ledger = silent{o.Ledger, &dead}
	})
	began := time.Now()
	victim.Apply(t.Context(), enrich.BatchOf(plans...))
	if !dead.Load() {
		t.Fatal("the victim lives")
	}
	later := another("d", 11, 10, "T1003")
	mustApply(t, other, append(plans, byAlert.of(plan(t, 4, later))...))
	if took := time.Since(began); took > defaultLease+5*time.Second {
		t.Errorf("complete after %v, want %v", took, defaultLease)
	}
	wait(t.Context(), time.Minute)
	if n := s.hive.Stats(24 * time.Hour); n.Cases != 1 || n.Duplicates.Total() != 0 {
		t.Errorf("%d cases, there twice: %+v", n.Cases, n.Duplicates)
	}
	for _, a := range s.hive.Snapshot().Alerts {
		if !a.Imported {
			t.Errorf("alert %s is part of no case", a.SourceRef)
		}
	}
	want := map[bool]int{false: 3, true: 4}[known]
	if c := s.hive.Snapshot().Cases[0]; len(c.Procedures) != want {
		t.Errorf("procedures %+v, want %d", c.Procedures, want)
	}
}

// TestByAlertWhatWasLeftBehindIsTiedUp: a worker was killed between the two calls of an import, and what its alert holds came in the
// direct way meanwhile, since it was little by then.
func TestByAlertWhatWasLeftBehindIsTiedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		other := s.worker(t)
		mustApply(t, other, byAlert.of(plan(t, 1, seen("web01", "a", day(9)))))
		mustApply(t, other, byAlert.of(plan(t, 2, seen("web01", "b", day(9)))))
		plans := byAlert.of(plan(t, 3, ofThreeTypes("c", 10)))
		var dead atomic.Bool
		victim := s.worker(t, func(o *apply.Options) {
			inner := o.Hive("")
			o.Hive = func(string) apply.Hive { return doomed{inner, "create alert", &dead} }
			o.Ledger = silent{o.Ledger, &dead}
		})
		victim.Apply(t.Context(), enrich.BatchOf(plans...))
		less := ofThreeTypes("d", 10)
		less.Observables = less.Observables[:1]
		mustApply(t, other, byAlert.of(plan(t, 4, less)))
		mustApply(t, other, plans)
		snapshot := s.hive.Snapshot()
		for _, a := range snapshot.Alerts {
			if !a.Imported {
				t.Errorf("alert %s is part of no case", a.SourceRef)
			}
		}
		if n := len(snapshot.Cases[0].Observables); !dead.Load() || n != 5 {
			t.Errorf("dead %t, %d observables", dead.Load(), n)
		}
	})
}

// meddled lets somebody do something after an alert was created.
type meddled struct {
	apply.Hive
	meddle func(hive.Alert)
	once   *atomic.Bool
}

func (h meddled) CreateAlert(ctx context.Context, n hive.NewAlert) (hive.Alert, error) {
	a, err := h.Hive.CreateAlert(ctx, n)
	if err == nil && h.once.CompareAndSwap(false, true) {
		h.meddle(a)
	}
	return a, err
}

// TestByAlertAnalystsMayMeddleInBetween: what they do to an alert that is about to become a case loses nothing, and doubles
// nothing.
func TestByAlertAnalystsMayMeddleInBetween(t *testing.T) {
	t.Parallel()
	closed := "FalsePositive"
	for name, c := range map[string]struct {
		meddle func(d desk, a hive.Alert) error
		cases  int // of the key
		loose  int // alerts that are part of no case
	}{
		"deleted": {func(d desk, a hive.Alert) error { return d.analyst.DeleteAlert(d.t.Context(), a.ID) }, 1, 0},
		"closed": {func(d desk, a hive.Alert) error {
			return d.analyst.UpdateAlert(d.t.Context(), a.ID, hive.AlertUpdate{Status: &closed})
		}, 1, 0},
		"promoted": {func(d desk, a hive.Alert) error {
			_, err := d.analyst.PromoteAlert(d.t.Context(), a.ID, hive.CaseFromAlert{})
			return err
		}, 1, 0},
		"merged into another case": {func(d desk, a hive.Alert) error {
			c, err := d.analyst.CreateCase(d.t.Context(), hive.NewCase{Title: "an analyst's", Description: "-", StartDate: hive.MillisOf(day(8))})
			if err == nil {
				_, err = d.analyst.MergeAlert(d.t.Context(), a.ID, c.ID)
			}
			return err
		}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				e := d.worker(t, func(o *apply.Options) {
					inner := o.Hive("")
					o.Hive = func(string) apply.Hive {
						return meddled{inner, func(a hive.Alert) { d.must(c.meddle(d, a)) }, &atomic.Bool{}}
					}
				})
				for n := range 2 {
					mustApply(t, e, byAlert.of(plan(t, uint64(n+1), seen("web01", fmt.Sprint(n), day(9+n)))))
				}
				wait(t.Context(), time.Minute)
				snapshot := d.hive.Snapshot()
				if len(snapshot.Cases) != c.cases {
					t.Fatalf("%d cases", len(snapshot.Cases))
				}
				if one := snapshot.Cases[0]; len(one.Observables) != 2 || len(one.Procedures) != 2 {
					t.Errorf("case %+v", one)
				}
				loose := 0
				for _, a := range snapshot.Alerts {
					if !a.Imported {
						loose++
					}
				}
				if loose != c.loose {
					t.Errorf("%d alerts are part of no case, want %d", loose, c.loose)
				}
			})
		})
	}
}

// TestByAlertWithoutTheRightTheDirectWayGoesOn: it is told, and nothing is lost; also where the right is taken meanwhile.
func TestByAlertWithoutTheRightTheDirectWayGoesOn(t *testing.T) {
	t.Parallel()
	for _, right := range []string{"manageAlert/create", "manageAlert/import"} {
		for _, says := range []bool{true, false} {
			t.Run(fmt.Sprint(right, ", the account says so: ", says), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newSite(t, hivetest.Options{})
					happened := &heardEvents{}
					e := s.worker(t, func(o *apply.Options) {
						inner := barred{o.Hive(""), right, says}
						o.Hive, o.Events = func(string) apply.Hive { return inner }, happened
					})
					mustApply(t, e, byAlert.of(plan(t, 1, seen("web01", "a", day(9)))))
					mustApply(t, e, byAlert.of(plan(t, 2, another("b", 10, 9, "T1486"))))
					c := s.hive.Snapshot().Cases
					if len(c) != 1 || len(c[0].Observables) != 3 || len(c[0].Procedures) != 3 {
						t.Errorf("cases %+v", c)
					}
					if happened.count(apply.EventNoAlert) != 1 {
						t.Errorf("events %v", happened.all)
					}
				})
			})
		}
	}
}

// barred is a TheHive whose account lacks a right, and which may not say so beforehand.
type barred struct {
	apply.Hive
	right string
	says  bool
}

func (b barred) CurrentUser(ctx context.Context) (hive.User, error) {
	u, err := b.Hive.CurrentUser(ctx)
	if b.says {
		u.Permissions = slices.DeleteFunc(slices.Clone(u.Permissions), func(p string) bool { return p == b.right })
	}
	return u, err
}

func (b barred) refused(op, right string) error {
	if b.right != right {
		return nil
	}
	return &hive.Error{Op: op, Status: 403, Type: "AuthorizationError", Message: "Your are not authorized to " + op + ", you haven't the permission " + right, Sent: true}
}

func (b barred) CreateAlert(ctx context.Context, n hive.NewAlert) (hive.Alert, error) {
	if err := b.refused("create alert", "manageAlert/create"); err != nil {
		return hive.Alert{}, err
	}
	return b.Hive.CreateAlert(ctx, n)
}

func (b barred) PromoteAlert(ctx context.Context, id string, c hive.CaseFromAlert) (hive.Case, error) {
	if err := b.refused("promote alert", "manageAlert/import"); err != nil {
		return hive.Case{}, err
	}
	return b.Hive.PromoteAlert(ctx, id, c)
}

// TestByAlertWhatTheHiveRefusesIsChargedAsInTheDirectWay: a type that it does not have, a technique that it does not have.
func TestByAlertWhatTheHiveRefusesIsChargedAsInTheDirectWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := seen("web01", "a", day(9))
		d.Observables = append(d.Observables, detection.Observable{DataType: "no-such-type", Data: "x"})
		ends := map[mode]ending{}
		for _, m := range []mode{direct, byAlert} {
			s := newSite(t, hivetest.Options{})
			e := s.worker(t)
			mustApply(t, e, m.of(plan(t, 1, d)))
			later := another("b", 10, 9, "T1486")
			later.Observables = append(later.Observables, detection.Observable{DataType: "no-such-type", Data: "y"})
			mustApply(t, e, m.of(plan(t, 2, later)))
			for _, end := range endings(s.hive.Snapshot()) {
				ends[m] = end
			}
		}
		if diff := cmp.Diff(ends[direct], ends[byAlert]); diff != "" || len(ends[byAlert].Procedures) != 3 {
			t.Errorf("direct against by alert:\n%s", diff)
		}
	})
}
