package claim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
)

// TestWhatIsRememberedOfKeysIsBounded: also where all of it is of the last minute.
func TestWhatIsRememberedOfKeysIsBounded(t *testing.T) {
	t.Parallel()
	c := claim.NewContention()
	for i := range 20 * claim.MostRemembered {
		c.Note(fmt.Sprint(i), true, time.Second)
	}
	if c.Len() != claim.MostRemembered {
		t.Errorf("%d keys", c.Len())
	}
}

// TestOnlyAContendedKeyIsLeftAlone, for a minute, and for no longer than it was held.
func TestOnlyAContendedKeyIsLeftAlone(t *testing.T) {
	t.Parallel()
	const held = 10 * time.Second
	for name, c := range map[string]struct {
		before func(*claim.Contention)
		waits  bool
	}{
		"unknown":                    {func(*claim.Contention) {}, false},
		"never contended":            {func(c *claim.Contention) { c.Note("a", false, held) }, false},
		"contended":                  {func(c *claim.Contention) { c.Note("a", true, held) }, true},
		"contended, then once alone": {func(c *claim.Contention) { c.Note("a", true, 0); c.Note("a", false, held) }, true},
		"another was":                {func(c *claim.Contention) { c.Note("b", true, held) }, false},
		"contended a minute ago": {func(c *claim.Contention) {
			c.Note("a", true, held)
			<-time.After(time.Minute + 1)
		}, false},
		"alone since a minute": {func(c *claim.Contention) {
			c.Note("a", true, held)
			<-time.After(time.Minute + 1)
			c.Note("a", false, held)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var waited, longest time.Duration
				for range 50 { // the wait is random
					cn := claim.NewContention()
					c.before(cn)
					began := time.Now()
					if err := cn.Yield(t.Context(), "a", func() {}); err != nil {
						t.Fatal(err)
					}
					waited += time.Since(began)
					longest = max(longest, time.Since(began))
				}
				if longest > held || (waited > 0) != c.waits || c.waits && (waited < 50*held/4 || waited > 50*held*3/4) {
					t.Errorf("waited %v, %v at most", waited/50, longest)
				}
			})
		})
	}
}

// shared is what replicas did that share one key.
type shared struct {
	order []int // who held it, one after the other
	calls int   // requests to the store
	took  time.Duration
}

// share lets replicas do 80 pieces of work on one key between them, each under the claim of the key
// and then, for 60 ms, of its case, as an apply does.
func share(t *testing.T, replicas int) (s shared) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		store := claimtest.New()
		store.SetBefore(func(claimtest.Op) error {
			mu.Lock()
			s.calls++
			mu.Unlock()
			<-time.After(300 * time.Microsecond)
			return nil
		})
		began := time.Now()
		var wg conc.WaitGroup
		for i := range replicas {
			wg.Go(func() {
				c, contention := newClaims(store), claim.NewContention()
				for range 80 / replicas {
					err := work(t.Context(), c, contention, func() {
						mu.Lock()
						s.order = append(s.order, i)
						mu.Unlock()
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		s.took = time.Since(began)
	})
	return s
}

// work is one piece of work; did is called under the claim of the case.
func work(ctx context.Context, c *claim.Claims, contention *claim.Contention, did func()) error {
	if err := contention.Yield(ctx, "key.hot", func() {}); err != nil {
		return err
	}
	key, err := c.Acquire(ctx, "key.hot", []string{claim.AnyKind}, func() {})
	if err != nil {
		return err
	}
	hot, err := c.Acquire(ctx, "case.hot", []string{claim.AnyKind}, func() {})
	if err = errors.Join(err, key.Release(ctx, nil, false)); err != nil {
		return err
	}
	began := time.Now()
	did()
	<-time.After(60 * time.Millisecond)
	err = hot.Release(ctx, nil, false)
	contention.Note("key.hot", key.Contended() || hot.Contended(), time.Since(began))
	return err
}

// TestReplicasShareAKeyFairlyAndAtLittleCost: the key changes hands, nobody is left behind, little
// time passes between two holders, and who waits does not flood the store. The waits are random: the
// bounds are far from what is usual.
func TestReplicasShareAKeyFairlyAndAtLittleCost(t *testing.T) {
	t.Parallel()
	alone := share(t, 1)
	renewals := int(alone.took / (lease / 5))
	if alone.calls != 1+renewals+2+80*4 { // a session, one look at each, then a write to take it and one to release it
		t.Errorf("alone: %d requests", alone.calls)
	}
	for _, n := range []int{2, 4} {
		s := share(t, n)
		changes := 0
		for i := 1; i < len(s.order); i++ {
			if s.order[i] != s.order[i-1] {
				changes++
			}
		}
		first := s.order[:40]
		for i := range n {
			if got := len(slices.DeleteFunc(slices.Clone(first), func(x int) bool { return x != i })); got < 40/n/4 {
				t.Errorf("%d replicas: number %d had the key %d times of the first 40", n, i, got)
			}
		}
		if changes < 60 {
			t.Errorf("%d replicas: it changed hands %d times of 80", n, changes)
		}
		if s.took > alone.took*3/2 {
			t.Errorf("%d replicas take %v for what one does in %v", n, s.took, alone.took)
		}
		if most := alone.calls + int(s.took/(4*time.Millisecond))*(n-1); s.calls > most {
			t.Errorf("%d replicas make %d requests, want at most %d", n, s.calls, most)
		}
	}
}
