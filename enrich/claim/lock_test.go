package claim_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"

	"forager/enrich/claim"
)

// TestAKeyedLockServesWhoWaitedLongest, and leaves out who stopped waiting.
func TestAKeyedLockServesWhoWaitedLongest(t *testing.T) {
	t.Parallel()
	for name, leaves := range map[string][]int{"all wait": nil, "the first leaves": {0}, "one between leaves": {2}, "the last leaves": {4}, "all leave": {0, 1, 2, 3, 4}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := claim.NewKeyedLock()
				if err := l.Lock(t.Context(), "a", func() { t.Error("waits for a free name") }); err != nil {
					t.Fatal(err)
				}
				var served, want []int
				var wg conc.WaitGroup
				for i := range 5 {
					ctx, stop := context.WithCancel(t.Context())
					wg.Go(func() {
						idle := 0
						err := l.Lock(ctx, "a", func() { idle++ })
						if idle != 1 {
							t.Errorf("number %d: idle was called %d times", i, idle)
						}
						if slices.Contains(leaves, i) {
							if !errors.Is(err, claim.ErrStopping) {
								t.Errorf("number %d left with %v", i, err)
							}
							return
						}
						served = append(served, i)
						l.Unlock("a")
					})
					synctest.Wait() // they queue one after the other
					if slices.Contains(leaves, i) {
						time.AfterFunc(time.Second, stop)
					} else {
						want = append(want, i)
						t.Cleanup(stop)
					}
				}
				time.Sleep(2 * time.Second)
				if err := l.Lock(t.Context(), "b", func() { t.Error("waits for another name") }); err != nil {
					t.Error(err)
				}
				l.Unlock("a")
				wg.Wait()
				if !slices.Equal(served, want) {
					t.Errorf("served %v, want %v", served, want)
				}
				if err := l.Lock(t.Context(), "a", func() { t.Error("the name is not free at the end") }); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestALockPassedToWhoJustLeftGoesOn to the next.
func TestALockPassedToWhoJustLeftGoesOn(t *testing.T) {
	t.Parallel()
	for range 200 { // which of two events a waiter sees first is random
		synctest.Test(t, func(t *testing.T) {
			l := claim.NewKeyedLock()
			if err := l.Lock(t.Context(), "a", func() {}); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			var wg conc.WaitGroup
			wg.Go(func() {
				if l.Lock(ctx, "a", func() {}) == nil {
					l.Unlock("a")
				}
			})
			synctest.Wait()
			wg.Go(func() {
				if err := l.Lock(t.Context(), "a", func() {}); err != nil {
					t.Error(err)
				}
				l.Unlock("a")
			})
			synctest.Wait()
			stop()
			l.Unlock("a")
			wg.Wait() // a lock that is lost would end the test as a deadlock
		})
	}
}
