package apply_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/hive"
	"forager/hive/hivetest"
)

// distant is a TheHive that takes a while for each call. Where it locks, it refuses a write to a case that meets
// another one there, as TheHive does when its own retries did not help.
type distant struct {
	apply.Hive
	locks bool

	mu     sync.Mutex
	at     int // writes below a case now
	most   int
	locked int
	fails  map[string]error // what a call answers, once, instead of being made
	lost   map[string]bool  // whose answer is lost, once
}

const distance = 20 * time.Millisecond

func (d *distant) call(ctx context.Context) error {
	select {
	case <-time.After(distance):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write makes a call below a case.
func (d *distant) write(ctx context.Context, name string, do func() error) error {
	d.mu.Lock()
	d.at++
	d.most = max(d.most, d.at)
	meets, fails, lost := d.locks && d.at > 1, d.fails[name], d.lost[name]
	delete(d.fails, name)
	delete(d.lost, name)
	if meets {
		d.locked++
	}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.at--
	}()
	if err := d.call(ctx); err != nil {
		return err
	}
	switch {
	case meets:
		return &hive.Error{Op: name, Status: http.StatusInternalServerError, Type: "org.janusgraph.diskstorage.locking.PermanentLockingException", Message: "Local lock contention", Sent: true}
	case fails != nil:
		return fails
	}
	if err := do(); err != nil {
		return err
	}
	if lost {
		return &hive.Error{Op: name, Sent: true, Err: errors.New("connection reset")}
	}
	return nil
}

func (d *distant) Case(ctx context.Context, id string) (c hive.Case, err error) {
	if err := d.call(ctx); err != nil {
		return c, err
	}
	return d.Hive.Case(ctx, id)
}

func (d *distant) CreateCase(ctx context.Context, n hive.NewCase) (c hive.Case, err error) {
	if err := d.call(ctx); err != nil {
		return c, err
	}
	return d.Hive.CreateCase(ctx, n)
}

func (d *distant) FindCases(ctx context.Context, q hive.Query) iter.Seq2[hive.Case, error] {
	return func(yield func(hive.Case, error) bool) {
		if err := d.call(ctx); err != nil {
			yield(hive.Case{}, err)
			return
		}
		d.Hive.FindCases(ctx, q)(yield)
	}
}

func (d *distant) AddObservables(ctx context.Context, id string, o hive.NewObservable) (r hive.ObservableResult, err error) {
	err = d.write(ctx, "observables", func() error {
		r, err = d.Hive.AddObservables(ctx, id, o)
		return err
	})
	return r, err
}

func (d *distant) AddProcedures(ctx context.Context, id string, p []hive.NewProcedure) (made []hive.Procedure, err error) {
	err = d.write(ctx, "procedures", func() error {
		made, err = d.Hive.AddProcedures(ctx, id, p)
		return err
	})
	return made, err
}

// threeTypes is a detection with observables of three types and two techniques.
func threeTypes(id string) detection.Detection {
	d := seen("web01", id, day(9))
	d.Observables = append(d.Observables, detection.Observable{DataType: "hash", Data: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"})
	return d
}

// TestWhatDoesNotDependOnEachOtherGoesTogether: a new case with observables of three types and techniques is
// there after four calls' time and not six, and as few calls at a time go to one case as are allowed.
func TestWhatDoesNotDependOnEachOtherGoesTogether(t *testing.T) {
	for perCase, want := range map[int]time.Duration{1: 6 * distance, 2: 4 * distance, 4: 3 * distance} {
		t.Run(fmt.Sprint(perCase), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hivetest.Options{})
				d := &distant{Hive: s.client(t)}
				e := s.worker(t, func(o *apply.Options) {
					o.Hive, o.PerCase = func(string) apply.Hive { return d }, perCase
				})
				began := time.Now()
				mustApply(t, e, plan(t, 1, threeTypes("a")))
				if took := time.Since(began); took < want || took > want+distance/2 {
					t.Errorf("complete after %v, want %v", took, want)
				}
				if d.most > perCase {
					t.Errorf("%d calls at a time", d.most)
				}
				s.holds(t, 1, 3, 2)
			})
		})
	}
}

// TestACaseThatCannotTakeTwoCallsGetsOneAtATime: what TheHive rolled back is sent again, and the next apply
// does not try it.
func TestACaseThatCannotTakeTwoCallsGetsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		d := &distant{Hive: s.client(t), locks: true}
		e := s.worker(t, func(o *apply.Options) { o.Hive = func(string) apply.Hive { return d } })
		mustApply(t, e, plan(t, 1, threeTypes("a")))
		s.holds(t, 1, 3, 2)
		before := d.locked
		if before == 0 {
			t.Fatal("nothing met a lock")
		}
		more := seen("web01", "b", day(9).Add(time.Minute))
		more.Observables = []detection.Observable{
			{DataType: "ip", Data: "203.0.113.9"}, {DataType: "domain", Data: "evil.example"}, {DataType: "url", Data: "https://evil.example/x"},
		}
		mustApply(t, e, plan(t, 2, more))
		if d.locked != before {
			t.Errorf("%d calls met a lock of a case that was known to bear one at a time", d.locked-before)
		}
		s.holds(t, 1, 6, 2)
	})
}

// TestAnAnswerThatNoStepTookIsNotForgotten: techniques were sent beside observables, their answer was lost, and
// the observables ended the apply.
func TestAnAnswerThatNoStepTookIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		d := &distant{
			Hive: s.client(t), lost: map[string]bool{"procedures": true},
			fails: map[string]error{"observables": &hive.Error{Op: "observables", Status: http.StatusUnauthorized, Type: "AuthenticationError", Sent: true}},
		}
		e := s.worker(t, func(o *apply.Options) { o.Hive, o.PerCase = func(string) apply.Hive { return d }, 4 })
		plans := plan(t, 1, threeTypes("a"))
		if err := e.Apply(t.Context(), enrich.BatchOf(plans...))[0]; err == nil {
			t.Fatal("the apply did not end")
		}
		if _, dirty := heldEntries(t, s.ledger); len(dirty) == 0 {
			t.Error("the entry says that all is known of the case")
		}
		mustApply(t, e, plans)
		s.holds(t, 1, 3, 2)
	})
}

// holds checks what the site's cases hold together.
func (s *site) holds(t *testing.T, cases, observables, procedures int) {
	t.Helper()
	all := s.hive.Snapshot().Cases
	var o, p int
	for _, c := range all {
		o, p = o+len(c.Observables), p+len(c.Procedures)
	}
	if len(all) != cases || o != observables || p != procedures {
		t.Errorf("%d cases, %d observables, %d procedures; want %d, %d, %d", len(all), o, p, cases, observables, procedures)
	}
}
