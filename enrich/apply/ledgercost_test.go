package apply_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/apply"
	"forager/enrich/claim"
	"forager/enrich/detection"
	"forager/hive/hivetest"
)

// askedLedger notes what the ledger is asked.
type askedLedger struct {
	claim.Store
	asked *[]string
}

func (l askedLedger) note(what, key string) {
	kind, _, _ := strings.Cut(key, ".")
	if kind != "session" { // a process renews it, however many applies it makes
		*l.asked = append(*l.asked, what+" "+kind)
	}
}

func (l askedLedger) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	l.note("get", key)
	return l.Store.Get(ctx, key)
}

func (l askedLedger) Put(ctx context.Context, key string, value []byte, expected uint64) (uint64, error) {
	l.note("put", key)
	return l.Store.Put(ctx, key, value, expected)
}

// TestWhatAnApplyOnAKnownCaseAsksOfTheLedger: claim and release of the key and of the case, and what analysts
// removed, which anybody may write and so is read after the case is claimed. What TheHive would take twice is
// written down before it is done.
func TestWhatAnApplyOnAKnownCaseAsksOfTheLedger(t *testing.T) {
	known := []string{"put key", "put case", "put key", "get marks", "put case"}
	for name, c := range map[string]struct {
		change func(d *detection.Detection)
		want   []string
	}{
		"nothing new": {func(*detection.Detection) {}, known},
		"an address":  {func(d *detection.Detection) { d.Observables[0].Data = "203.0.113.9" }, known},
		"a technique": {func(d *detection.Detection) { *d = carrying(*d, "T1486") }, slices.Insert(slices.Clone(known), 4, "put case")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hivetest.Options{})
				var asked []string
				e := s.worker(t, func(o *apply.Options) { o.Ledger = askedLedger{o.Ledger, &asked} })
				mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
				next := seen("web01", "b", day(9).Add(10*time.Second))
				c.change(&next)
				asked = nil
				mustApply(t, e, plan(t, 2, next))
				if diff := cmp.Diff(c.want, asked); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
