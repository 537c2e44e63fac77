package claim_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/sourcegraph/conc"

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
)

type count struct {
	N int `json:"n"`
}

// TestARecordIsChangedByAllAtOnce, and no change is lost.
func TestARecordIsChangedByAllAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		var wg conc.WaitGroup
		for range 20 {
			wg.Go(func() {
				err := claim.ChangeRecord(t.Context(), store, "rate.a", func(c *count) (bool, error) {
					c.N++
					return true, nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if c, revision, err := claim.ReadRecord[count](t.Context(), store, "rate.a"); c.N != 20 || revision != 20 || err != nil {
			t.Errorf("%d at revision %d, error %v", c.N, revision, err)
		}
	})
}

// TestWhatBecomesOfAChangeOfARecord, by what its function says and the store answers.
func TestWhatBecomesOfAChangeOfARecord(t *testing.T) {
	t.Parallel()
	refused := errors.New("over the limit")
	for name, c := range map[string]struct {
		value   string // before
		changed bool
		err     error // of the change
		fails   string
		with    error
		want    error
		n       int
	}{
		"changed":              {`{"n":1}`, true, nil, "", nil, nil, 2},
		"not changed":          {`{"n":1}`, false, nil, "", nil, nil, 1},
		"refused":              {`{"n":1}`, true, refused, "", nil, refused, 1},
		"a read fails":         {`{"n":1}`, true, nil, "get", errSilent, claim.ErrUnreachable, 1},
		"a write fails":        {`{"n":1}`, true, nil, "put", errSilent, claim.ErrUnreachable, 1},
		"always somebody else": {`{"n":1}`, true, nil, "put", claim.ErrConflict, claim.ErrConflict, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, tries := claimtest.New(), 0
				if _, err := store.Put(t.Context(), "rate.a", []byte(c.value), 0); err != nil {
					t.Fatal(err)
				}
				store.SetBefore(func(op claimtest.Op) error {
					if op.Name == c.fails {
						return fmt.Errorf("store: %w", c.with)
					}
					return nil
				})
				err := claim.ChangeRecord(t.Context(), store, "rate.a", func(r *count) (bool, error) {
					tries++
					r.N++
					return c.changed, c.err
				})
				if !errors.Is(err, c.want) {
					t.Errorf("error %v, want %v", err, c.want)
				}
				if tries > 32 {
					t.Errorf("tried %d times", tries)
				}
				store.SetBefore(nil)
				if r, _, err := claim.ReadRecord[count](t.Context(), store, "rate.a"); r.N != c.n || err != nil {
					t.Errorf("%d, error %v; want %d", r.N, err, c.n)
				}
			})
		})
	}
}

// TestARecordOfOtherTypesIsNoUnreachableStore: it costs its key alone.
func TestARecordOfOtherTypesIsNoUnreachableStore(t *testing.T) {
	t.Parallel()
	store := claimtest.New()
	if _, err := store.Put(t.Context(), "rate.a", []byte(`{"n":"many"}`), 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := claim.ReadRecord[count](t.Context(), store, "rate.a"); err == nil || errors.Is(err, claim.ErrUnreachable) {
		t.Errorf("error %v", err)
	}
	if c, revision, err := claim.ReadRecord[count](t.Context(), store, "rate.none"); c.N != 0 || revision != 0 || err != nil {
		t.Errorf("without a record: %d at %d, error %v", c.N, revision, err)
	}
}
