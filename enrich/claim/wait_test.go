package claim_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
)

// TestAWaiterBearsAnswersThatAreLostNowAndThen: they count in a row alone.
func TestAWaiterBearsAnswersThatAreLostNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		cl := acquire(t, newClaims(store), "key.a")
		n := 0
		time.AfterFunc(5*time.Minute, func() { _ = cl.Release(context.WithoutCancel(t.Context()), nil, false) })
		store.SetBefore(func(op claimtest.Op) error {
			if op.Name != "get" {
				return nil
			}
			if n++; n%10 == 0 {
				return errSilent
			}
			return nil
		})
		other := acquire(t, newClaims(store), "key.a")
		release(t, other, nil, false)
	})
}

// TestAWaiterAsksLessOftenTheLongerItWaits: soon after the entry changed hands it may again; later the
// store is spared (design section 3, "Waiting").
func TestAWaiterAsksLessOftenTheLongerItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		cl := acquire(t, newClaims(store), "key.a")
		began := time.Now()
		var asked []time.Duration
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
		defer stop()
		_, err := newClaims(store).Acquire(ctx, "key.a", []string{claim.AnyKind}, func() { asked = append(asked, time.Since(began)) })
		if !errors.Is(err, claim.ErrStopping) {
			t.Fatal(err)
		}
		for i := 1; i < len(asked); i++ {
			gap, low, high := asked[i]-asked[i-1], 500*time.Millisecond, 2*time.Second
			switch {
			case asked[i-1] < 300*time.Millisecond:
				low, high = 2*time.Millisecond, 10*time.Millisecond
			case asked[i-1] < 2*time.Second:
				low, high = 20*time.Millisecond, 60*time.Millisecond
			}
			if gap < low || gap >= high {
				t.Errorf("asked at %v, and %v later; want %v to %v", asked[i-1], gap, low, high)
			}
		}
		if n := len(asked); n < 90 {
			t.Errorf("asked %d times", n)
		}
		release(t, cl, nil, false)
	})
}

// TestAWaiterAsksOftenAgainWhenTheEntryChangedHands: it may do so once more.
func TestAWaiterAsksOftenAgainWhenTheEntryChangedHands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		here := newClaims(store)
		cl := acquire(t, here, "key.a")
		began := time.Now()
		again := make(chan *claim.Claim, 1)
		time.AfterFunc(10*time.Second, func() { // at once, so that the waiter does not get it
			release(t, cl, nil, false)
			again <- acquire(t, here, "key.a")
		})
		var asked []time.Duration
		ctx, stop := context.WithTimeout(t.Context(), 13*time.Second)
		defer stop()
		if _, err := newClaims(store).Acquire(ctx, "key.a", []string{claim.AnyKind}, func() { asked = append(asked, time.Since(began)) }); !errors.Is(err, claim.ErrStopping) {
			t.Fatal(err)
		}
		late := 0
		for _, at := range asked {
			if at > 10*time.Second {
				late++
			}
		}
		if late < 20 {
			t.Errorf("asked %d times after it changed hands", late)
		}
		release(t, <-again, nil, false)
	})
}
