package apply_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
	"forager/hive/hivetest"
)

// TestAnOpenCaseIsKnownByTheLedgerAlone: in its span, of its key, and as long as it is not closed or gone; it costs no call.
func TestAnOpenCaseIsKnownByTheLedgerAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, hivetest.Options{})
	w := s.worker(t)
	first := plan(t, 1, seen("web01", "a", day(9)))
	if got, err := w.Opened(t.Context(), first); err != nil || got[0] {
		t.Errorf("before any case: %v, %v", got, err)
	}
	for _, err := range w.Apply(t.Context(), enrich.BatchOf(first...)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	asked := plan(t, 2, seen("web01", "b", day(10)), seen("db01", "c", day(10)), seen("web01", "d", day(9).AddDate(0, 0, 3)), seen("web01", "e", day(9).Add(-23*time.Hour)))
	got, err := w.Opened(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{true, false, false, true}, got); diff != "" {
		t.Errorf("in its span, of another host, days later, hours before (-want +got):\n%s", diff)
	}
	s.ledger.SetBefore(func(claimtest.Op) error { return errors.New("no answer") })
	if _, err := w.Opened(t.Context(), asked); !errors.Is(err, claim.ErrUnreachable) {
		t.Errorf("without a ledger: %v", err)
	}
}
