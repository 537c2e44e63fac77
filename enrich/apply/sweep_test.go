package apply_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/hive"
	"forager/hive/hivetest"
	"forager/mitre"
)

func TestTheSweeperPurgesOnlyWhatIsOverForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		now := time.Now() // the bubble's clock: events are as old as the case says
		for i, host := range []string{"closed", "open", "deleted", "recent"} {
			mustApply(t, e, plan(t, uint64(i+1), seen(host, host, now)))
		}
		closed := "TruePositive"
		d.must(d.analyst.UpdateCase(t.Context(), d.theCase("1").ID, hive.CaseUpdate{Status: &closed}))
		d.must(d.analyst.DeleteCase(t.Context(), d.theCase("3").ID))
		<-time.After(100 * 24 * time.Hour)
		mustApply(t, e, plan(t, 9, seen("recent", "again", time.Now())))
		before := len(d.ledger.Keys())
		swept, err := e.Sweep(t.Context(), keysOf(d.ledger.Keys()), apply.SweepOptions{
			Organisations: []string{hivetest.DefaultOrganisation}, Keep: 90 * 24 * time.Hour,
		})
		d.must(err)
		keys := d.ledger.Keys()
		if swept != (apply.SweepResult{Purged: 4}) || len(keys) != before-4 {
			t.Errorf("%+v of %d entries, %d left: %v", swept, before, len(keys), keys)
		}
		// A key that was purged is found again by its tag.
		mustApply(t, e, plan(t, 10, seen("open", "later", now.Add(time.Hour))))
		if got := len(d.hive.Snapshot().Cases); got != 4 {
			t.Errorf("%d cases", got)
		}
	})
}

func keysOf(keys []string) func(func(string, error) bool) {
	return func(yield func(string, error) bool) {
		for _, k := range slices.Sorted(slices.Values(keys)) {
			if !yield(k, nil) {
				return
			}
		}
	}
}

func TestKnowledgeFollowsWhatTheServerHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{Patterns: []hivetest.Pattern{{ID: "T1562.001", Name: "Disable or Modify Tools", Tactics: []string{"defense-evasion"}}}})
		k := enrich.NewKnowledge(s.client(t), mitre.Embedded())
		if m := k.Target().Map("T1562.001", ""); m.ID != "T1685" {
			t.Errorf("before it was asked the newest release is assumed, got %+v", m)
		}
		target, err := k.Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m := target.Map("T1685", ""); m.ID != "T1562.001" || m.Tactic != "defense-evasion" {
			t.Errorf("mapped to %+v", m)
		}
		s.hive.Set(hivetest.Misbehaviour{ExpiredKey: true})
		if _, err := k.Refresh(t.Context()); err != nil {
			t.Errorf("asked again within ten seconds: %v", err)
		}
		<-time.After(time.Minute)
		if got, err := k.Refresh(t.Context()); err == nil || got != target {
			t.Errorf("after an error the last answer stays; error %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{Patterns: []hivetest.Pattern{}})
		if _, err := enrich.NewKnowledge(s.client(t), mitre.Embedded()).Refresh(t.Context()); !errors.Is(err, enrich.ErrNoPatterns) {
			t.Errorf("error %v", err)
		}
	})
}
