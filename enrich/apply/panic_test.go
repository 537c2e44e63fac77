package apply_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc/panics"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/hive"
	"forager/hive/hivetest"
)

// mine panics at one of the calls that pass it, before or after the call's effect.
type mine struct {
	mu    sync.Mutex
	at    int // counts down to the call; 0 is none
	after bool
	hit   bool
}

// step counts a call, and tells whether it is to panic once it is done.
func (m *mine) step() (late bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at == 0 {
		return false
	}
	m.at--
	if m.at != 0 {
		return false
	}
	m.hit = true
	if !m.after {
		panic("injected")
	}
	return true
}

// set makes the nth call from here on panic; 0 is none. It tells whether one did before.
func (m *mine) set(n int) (hit bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = n
	return m.hit
}

func blast(late bool) {
	if late {
		panic("injected")
	}
}

// minedHive panics instead of, or after, a call of TheHive.
type minedHive struct {
	apply.Hive
	m *mine
}

func minedList[T any](m *mine, all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		late := m.step()
		for v, err := range all {
			if !yield(v, err) {
				break
			}
		}
		blast(late)
	}
}

func (h minedHive) Case(ctx context.Context, id string) (hive.Case, error) {
	late := h.m.step()
	c, err := h.Hive.Case(ctx, id)
	blast(late)
	return c, err
}

func (h minedHive) FindCases(ctx context.Context, q hive.Query) iter.Seq2[hive.Case, error] {
	return minedList(h.m, h.Hive.FindCases(ctx, q))
}

func (h minedHive) CreateCase(ctx context.Context, c hive.NewCase) (hive.Case, error) {
	late := h.m.step()
	made, err := h.Hive.CreateCase(ctx, c)
	blast(late)
	return made, err
}

func (h minedHive) UpdateCase(ctx context.Context, id string, u hive.CaseUpdate) error {
	late := h.m.step()
	err := h.Hive.UpdateCase(ctx, id, u)
	blast(late)
	return err
}

func (h minedHive) AddObservables(ctx context.Context, id string, o hive.NewObservable) (hive.ObservableResult, error) {
	late := h.m.step()
	got, err := h.Hive.AddObservables(ctx, id, o)
	blast(late)
	return got, err
}

func (h minedHive) CaseObservables(ctx context.Context, id string) iter.Seq2[hive.Observable, error] {
	return minedList(h.m, h.Hive.CaseObservables(ctx, id))
}

func (h minedHive) AddProcedures(ctx context.Context, id string, p []hive.NewProcedure) ([]hive.Procedure, error) {
	late := h.m.step()
	got, err := h.Hive.AddProcedures(ctx, id, p)
	blast(late)
	return got, err
}

func (h minedHive) CaseProcedures(ctx context.Context, id string) iter.Seq2[hive.Procedure, error] {
	return minedList(h.m, h.Hive.CaseProcedures(ctx, id))
}

func (h minedHive) AddComment(ctx context.Context, id, message string) (hive.Comment, error) {
	late := h.m.step()
	got, err := h.Hive.AddComment(ctx, id, message)
	blast(late)
	return got, err
}

func (h minedHive) CaseComments(ctx context.Context, id string) iter.Seq2[hive.Comment, error] {
	return minedList(h.m, h.Hive.CaseComments(ctx, id))
}

// minedLedger panics instead of, or after, a request to the ledger.
type minedLedger struct {
	claim.Store
	m *mine
}

func (l minedLedger) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	late := l.m.step()
	value, revision, err := l.Store.Get(ctx, key)
	blast(late)
	return value, revision, err
}

func (l minedLedger) Put(ctx context.Context, key string, value []byte, expected uint64) (uint64, error) {
	late := l.m.step()
	revision, err := l.Store.Put(ctx, key, value, expected)
	blast(late)
	return revision, err
}

// held tells which entries are held, and which were left dirty.
func heldEntries(t *testing.T, l *claimtest.Memory) (held, dirty []string) {
	t.Helper()
	for _, key := range l.Keys() {
		if !strings.HasPrefix(key, "key.") && !strings.HasPrefix(key, "case.") {
			continue
		}
		value, _, err := l.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		var head struct {
			Token string
			Dirty bool
		}
		if err := json.Unmarshal(value, &head); err != nil {
			t.Fatal(err)
		}
		if head.Token != "" {
			held = append(held, key)
		}
		if head.Dirty {
			dirty = append(dirty, key)
		}
	}
	return held, dirty
}

// TestAPanicInAnApplyGivesBackAllThatItTook: whichever call of TheHive or the ledger panics, before
// or after its effect, the same worker and another one go on with the key and the case, within a
// lease and settle, and nothing is there twice.
func TestAPanicInAnApplyGivesBackAllThatItTook(t *testing.T) {
	t.Parallel()
	for _, of := range []string{"hive", "ledger"} {
		for _, after := range []bool{false, true} {
			for _, known := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, after %v, case known %v", of, after, known), func(t *testing.T) {
					t.Parallel()
					for n := 1; panicAt(t, of, after, known, n); n++ {
						if n > 60 {
							t.Fatal("no end of calls")
						}
					}
				})
			}
		}
	}
}

// panicAt lets the nth call panic, and tells whether there was one.
func panicAt(t *testing.T, of string, after, known bool, n int) (hit bool) {
	synctest.Test(t, func(t *testing.T) {
		s, m := newSite(t, hivetest.Options{}), &mine{after: after}
		mined := func(o *apply.Options) {
			if of == "ledger" {
				o.Ledger = minedLedger{o.Ledger, m}
				return
			}
			inner := o.Hive("")
			o.Hive = func(string) apply.Hive { return minedHive{inner, m} }
		}
		e, other := s.worker(t, mined), s.worker(t)
		first := seen("web01", "a", day(9))
		if known {
			mustApply(t, e, plan(t, 1, first))
			first = carrying(seen("web01", "b", day(10)), "T1486")
			first.Rule.ID, first.Severity = "r2", canon.Critical
			first.Observables = []detection.Observable{{DataType: "ip", Data: "203.0.113.9"}}
		}
		plans := plan(t, 2, first)
		m.set(n)
		r := panics.Try(func() { e.Apply(t.Context(), enrich.BatchOf(plans...)) })
		hit = m.set(0)
		if hit != (r != nil) {
			t.Errorf("call %d: panic %v was swallowed or came of itself: %v", n, hit, r)
		}
		held, dirty := heldEntries(t, s.ledger)
		if hit && of == "hive" && len(held) > 0 {
			t.Errorf("call %d: held %v, dirty %v after the panic", n, held, dirty)
		}
		began := time.Now()
		mustApply(t, other, plans)
		mustApply(t, e, plan(t, 3, seen("web01", "c", day(11))))
		if took := time.Since(began); took > 3*time.Minute {
			t.Errorf("call %d: the others waited %v", n, took)
		}
		if held, dirty := heldEntries(t, s.ledger); len(held)+len(dirty) > 0 {
			t.Errorf("call %d: held %v, dirty %v at the end", n, held, dirty)
		}
		for key, end := range endings(s.hive.Snapshot()) {
			if end.Cases != 1 {
				t.Errorf("call %d: %d cases of %s", n, end.Cases, key)
			}
			for _, items := range [][]string{end.Observables, end.Procedures, end.Notes} {
				for i := range items {
					if i > 0 && items[i] == items[i-1] {
						t.Errorf("call %d: %s is there twice", n, items[i])
					}
				}
			}
		}
	})
	return hit
}
