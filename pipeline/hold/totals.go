package hold

import (
	"context"

	"forager/enrich/claim"
)

// totalsKey is the ledger's entry of the totals. It has no dot: who follows the entries of thresholds does not follow it.
const totalsKey = "hold-totals"

// Totals are counted since the ledger was made, over all workers, about: what a worker counted last is lost when it dies, and what is
// asked again after an answer was lost may count twice.
type Totals struct {
	Held  uint64 `json:"held"`  // detections that were held
	Below uint64 `json:"below"` // of these, dropped as below threshold
	Met   uint64 `json:"met"`   // thresholds that were met
}

// ReadTotals reads the totals. Errors: [claim.ErrUnreachable].
func ReadTotals(ctx context.Context, ledger claim.Store) (Totals, error) {
	t, _, err := claim.ReadRecord[Totals](ctx, ledger, totalsKey)
	return t, err
}

// count adds to what was not written yet.
func (k *Keeper) count(held, below, met int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.owed.Held += uint64(held)
	k.owed.Below += uint64(below)
	k.owed.Met += uint64(met)
	k.met += uint64(met)
}

// Flush writes down what was counted since the last time; nothing is written where nothing was. Errors: those of
// [claim.ChangeRecord]; then it is counted the next time.
func (k *Keeper) Flush(ctx context.Context) error {
	k.mu.Lock()
	owed := k.owed
	k.owed = Totals{}
	k.mu.Unlock()
	if owed == (Totals{}) {
		return nil
	}
	err := claim.ChangeRecord(ctx, k.ledger, totalsKey, func(t *Totals) (bool, error) {
		t.Held, t.Below, t.Met = t.Held+owed.Held, t.Below+owed.Below, t.Met+owed.Met
		return true, nil
	})
	if err != nil {
		k.mu.Lock()
		k.owed.Held, k.owed.Below, k.owed.Met = k.owed.Held+owed.Held, k.owed.Below+owed.Below, k.owed.Met+owed.Met
		k.mu.Unlock()
	}
	return err
}
