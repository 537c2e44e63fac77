package apply_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/claim"
	"forager/enrich/detection"
	"forager/hive"
	"forager/hive/hivetest"
)

// Lease and settle of appliers that name none.
const (
	defaultLease  = 15 * time.Second
	defaultSettle = 25 * time.Second
)

// doomed is a worker that is killed while a call of TheHive is under way: the call takes effect, its answer
// comes to nobody, and nothing of the worker is heard any more.
type doomed struct {
	apply.Hive
	op   string
	dead *atomic.Bool
}

// last makes a call unless the worker is dead; with the call of which it dies it is.
func last[T any](h doomed, op string, call func() (T, error)) (T, error) {
	var none T
	if h.dead.Load() {
		return none, errKilled
	}
	got, err := call()
	if h.op != op {
		return got, err
	}
	h.dead.Store(true)
	return none, errKilled
}

func (h doomed) AddObservables(ctx context.Context, id string, o hive.NewObservable) (hive.ObservableResult, error) {
	return last(h, "observables", func() (hive.ObservableResult, error) { return h.Hive.AddObservables(ctx, id, o) })
}

func (h doomed) AddProcedures(ctx context.Context, id string, p []hive.NewProcedure) ([]hive.Procedure, error) {
	return last(h, "procedures", func() ([]hive.Procedure, error) { return h.Hive.AddProcedures(ctx, id, p) })
}

func (h doomed) AddComment(ctx context.Context, id, message string) (hive.Comment, error) {
	return last(h, "comment", func() (hive.Comment, error) { return h.Hive.AddComment(ctx, id, message) })
}

func (h doomed) CreateCase(ctx context.Context, c hive.NewCase) (hive.Case, error) {
	return last(h, "case", func() (hive.Case, error) { return h.Hive.CreateCase(ctx, c) })
}

// silent is the ledger of a worker that may be dead.
type silent struct {
	claim.Store
	dead *atomic.Bool
}

func (l silent) Put(ctx context.Context, key string, value []byte, expected uint64) (uint64, error) {
	if l.dead.Load() {
		return 0, errKilled
	}
	return l.Store.Put(ctx, key, value, expected)
}

func (l silent) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if l.dead.Load() {
		return nil, 0, errKilled
	}
	return l.Store.Get(ctx, key)
}

// TestATakeoverWaitsOnlyForWhatMayDouble: a known case whose holder was killed is gone on with when the
// holder is known to be dead; what it may have done that TheHive would take twice is waited for, and what
// stands before that in the order of an apply is not.
func TestATakeoverWaitsOnlyForWhatMayDouble(t *testing.T) {
	t.Parallel()
	for op, c := range map[string]struct {
		known       bool // the case was there before
		observables time.Duration
		complete    time.Duration
	}{
		"observables": {true, defaultLease, defaultLease},
		"procedures":  {true, defaultLease, defaultLease + defaultSettle},
		"comment":     {true, defaultLease, defaultLease + defaultSettle},
		"case":        {false, defaultLease + defaultSettle, defaultLease + defaultSettle},
	} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hivetest.Options{})
				other := s.worker(t)
				d := seen("web01", "a", day(9))
				if c.known {
					mustApply(t, other, plan(t, 1, d))
					mustApply(t, other, plan(t, 2, seen("web01", "b", day(9)))) // the case has its entry
					d = seen("web01", "c", day(10))
					d.Rule.ID = "another"
					d.Observables = []detection.Observable{{DataType: "ip", Data: "203.0.113.9"}}
					d = carrying(d, "T1486")
				}
				plans := plan(t, 3, d)
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
				d.Observables = append(d.Observables, detection.Observable{DataType: "ip", Data: "203.0.113.10"})
				var complete time.Duration
				var wg conc.WaitGroup
				wg.Go(func() {
					mustApply(t, other, append(plan(t, 4, d), plans...))
					complete = time.Since(began)
				})
				seenAfter := s.firstSeen(t, "203.0.113.10", began)
				wg.Wait()
				if late := seenAfter - c.observables; late < 0 || late > 5*time.Second {
					t.Errorf("observables after %v, want %v", seenAfter, c.observables)
				}
				if late := complete - c.complete; late < 0 || late > 5*time.Second {
					t.Errorf("complete after %v, want %v", complete, c.complete)
				}
				if n := s.hive.Stats(24 * time.Hour); n.Cases != 1 || n.Duplicates.Total() != 0 {
					t.Errorf("%d cases, there twice: %+v", n.Cases, n.Duplicates)
				}
			})
		})
	}
}

// firstSeen waits until an observable is in TheHive, and tells when that was.
func (s *site) firstSeen(t *testing.T, data string, began time.Time) time.Duration {
	t.Helper()
	for range 1000 {
		for _, c := range s.hive.Snapshot().Cases {
			for _, o := range c.Observables {
				if o.Data == data {
					return time.Since(began)
				}
			}
		}
		wait(t.Context(), 100*time.Millisecond)
	}
	t.Fatalf("%s was never seen", data)
	return 0
}
