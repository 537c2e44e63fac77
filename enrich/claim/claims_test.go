package claim_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
)

// Lease and settle of the tests.
const (
	lease  = 15 * time.Second
	settle = 25 * time.Second
)

var errSilent = errors.New("no answer")

// replica is the store as one process sees it; it can be cut off.
type replica struct {
	claim.Store
	cut    atomic.Bool
	hangs  atomic.Bool // the next write does, until its context ends
	gaveUp atomic.Bool // that write
}

func (r *replica) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if r.cut.Load() {
		return nil, 0, errSilent
	}
	return r.Store.Get(ctx, key)
}

func (r *replica) Put(ctx context.Context, key string, value []byte, expected uint64) (uint64, error) {
	if r.cut.Load() {
		return 0, errSilent
	}
	if r.hangs.Swap(false) {
		<-ctx.Done()
		r.gaveUp.Store(true)
		return 0, ctx.Err()
	}
	return r.Store.Put(ctx, key, value, expected)
}

func newClaims(s claim.Store) *claim.Claims {
	return claim.New(s, claim.Options{Lease: lease, Settle: settle, Fields: []string{"done"}})
}

func acquire(t *testing.T, c *claim.Claims, name string) *claim.Claim {
	t.Helper()
	cl, err := c.Acquire(t.Context(), name, []string{claim.AnyKind}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

func release(t *testing.T, cl *claim.Claim, body any, dirty bool) {
	t.Helper()
	if err := cl.Release(t.Context(), body, dirty); err != nil {
		t.Fatal(err)
	}
}

// TestWhatANextHolderIsOwed: nothing after a clean release; settle where it is unknown what was done.
func TestWhatANextHolderIsOwed(t *testing.T) {
	t.Parallel()
	clean := func(t *testing.T, cl *claim.Claim, _ *replica) { release(t, cl, nil, false) }
	dirty := func(t *testing.T, cl *claim.Claim, _ *replica) { release(t, cl, nil, true) }
	crash := func(_ *testing.T, _ *claim.Claim, r *replica) { r.cut.Store(true) }
	for name, c := range map[string]struct {
		first, then func(*testing.T, *claim.Claim, *replica)
		owed        time.Duration
		after       time.Duration // when the next holder has it, at the earliest
		taken       bool
	}{
		"released clean":                   {then: clean},
		"released dirty":                   {then: dirty, owed: settle},
		"crashed":                          {then: crash, owed: settle, after: lease, taken: true},
		"dirty, settled, released clean":   {first: dirty, then: settledThen(clean)},
		"dirty, not settled, and released": {first: dirty, then: clean, owed: settle},
		"a longer call, released":          {then: allowedThen(clean)},
		"a long call, then a shorter one": {then: allowedThen(func(t *testing.T, cl *claim.Claim, r *replica) {
			if err := cl.Allow(t.Context(), time.Second); err != nil {
				t.Error(err)
			}
			crash(t, cl, r)
		}), owed: settle + time.Minute, after: lease, taken: true},
		"a longer call, settled by the next, who crashed": {first: allowedThen(dirty), then: settledThen(crash), owed: settle + time.Minute, after: lease, taken: true},
		"a longer call, crashed":                          {then: allowedThen(crash), owed: settle + time.Minute, after: lease, taken: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := claimtest.New()
				if c.first != nil {
					c.first(t, acquire(t, newClaims(store), "key.a"), nil)
				}
				r := &replica{Store: store}
				c.then(t, acquire(t, newClaims(r), "key.a"), r)
				began := time.Now()
				cl := acquire(t, newClaims(store), "key.a")
				took := time.Since(began)
				if took < c.after || took > c.after+5*time.Second {
					t.Errorf("acquired after %v, want %v", took, c.after)
				}
				// A death is counted from when the lease was over, not from when somebody came upon it.
				if late := c.owed - cl.Owed(); late < 0 || late > took-c.after || cl.TakenOver() != c.taken {
					t.Errorf("owed %v, taken over %v; want %v, %v", cl.Owed(), cl.TakenOver(), c.owed, c.taken)
				}
				release(t, cl, nil, false)
			})
		})
	}
}

// TestAnAbsentEntryOfAYoungStoreMeansNothing: its last holder may not know yet that it is gone, and
// may have done anything.
func TestAnAbsentEntryOfAYoungStoreMeansNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		store.Lose()
		r := &replica{Store: store}
		if cl := acquire(t, newClaims(r), "key.a"); cl.Owed() != lease+settle {
			t.Errorf("owed %v", cl.Owed())
		}
		time.Sleep(lease / 2) // it is renewed, and then crashes
		r.cut.Store(true)
		cl := acquire(t, newClaims(store), "key.a")
		if cl.Owed() != lease+settle {
			t.Errorf("the next is owed %v", cl.Owed())
		}
		cl.Settled()
		release(t, cl, nil, false)
		next := acquire(t, newClaims(store), "key.a")
		if next.Owed() != 0 {
			t.Errorf("still owed %v", next.Owed())
		}
		release(t, next, nil, false)
		store.Trust()
		other := acquire(t, newClaims(store), "key.b")
		if other.Owed() != 0 {
			t.Errorf("an absent entry of a trusted store owes %v", other.Owed())
		}
		release(t, other, nil, false)
	})
}

func settledThen(then func(*testing.T, *claim.Claim, *replica)) func(*testing.T, *claim.Claim, *replica) {
	return func(t *testing.T, cl *claim.Claim, r *replica) {
		cl.Settled()
		if cl.Owed() != 0 {
			t.Errorf("settled, and still owed %v", cl.Owed())
		}
		then(t, cl, r)
	}
}

func allowedThen(then func(*testing.T, *claim.Claim, *replica)) func(*testing.T, *claim.Claim, *replica) {
	return func(t *testing.T, cl *claim.Claim, r *replica) {
		if err := cl.Allow(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		then(t, cl, r)
	}
}

// TestAHeldClaimIsKept for as long as its holder wants, though another waits for it.
func TestAHeldClaimIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		cl := acquire(t, newClaims(store), "key.a")
		held, free := cl.Bind(t.Context())
		defer free()
		began := time.Now()
		ctx, stop := context.WithTimeout(t.Context(), 20*lease)
		defer stop()
		waits := 0
		if _, err := newClaims(store).Acquire(ctx, "key.a", []string{claim.AnyKind}, func() { waits++ }); !errors.Is(err, claim.ErrStopping) {
			t.Errorf("the other ended with %v", err)
		}
		if time.Since(began) < 20*lease || waits < 100 {
			t.Errorf("the other waited %v, %d times", time.Since(began), waits)
		}
		if err := errors.Join(held.Err(), cl.Check()); err != nil {
			t.Error(err)
		}
		release(t, cl, nil, false)
		if err := cl.Check(); !errors.Is(err, claim.ErrLost) {
			t.Errorf("released, but may write: %v", err)
		}
		if err := cl.Release(t.Context(), nil, false); !errors.Is(err, claim.ErrLost) {
			t.Errorf("released twice: %v", err)
		}
	})
}

// TestAClaimIsKeptWhileItsWorkIsWoundUp: the context of Acquire bounds the waiting, not the claim.
func TestAClaimIsKeptWhileItsWorkIsWoundUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		cl, err := newClaims(claimtest.New()).Acquire(ctx, "key.a", []string{claim.AnyKind}, func() {})
		if err != nil {
			t.Fatal(err)
		}
		stop()
		time.Sleep(3 * lease)
		if err := cl.Check(); err != nil {
			t.Error(err)
		}
		if err := cl.Release(ctx, nil, false); err != nil {
			t.Error(err)
		}
	})
}

// TestARenewalThatHangsIsGivenUpInTime for another: one lost request costs no session.
func TestARenewalThatHangsIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &replica{Store: claimtest.New()}
		cl := acquire(t, newClaims(r), "key.a")
		held, free := cl.Bind(t.Context())
		defer free()
		r.hangs.Store(true)
		time.Sleep(3 * lease)
		if err := errors.Join(held.Err(), cl.Check()); err != nil || !r.gaveUp.Load() {
			t.Errorf("the claim: %v; the renewal was given up: %v", err, r.gaveUp.Load())
		}
		release(t, cl, nil, false)
	})
}

// TestALeaseCountsFromBeforeItsWriteWasSent: others may have seen the write before its answer came.
func TestALeaseCountsFromBeforeItsWriteWasSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		slow int // which write of the session gets its answer late
		want time.Duration
	}{
		"the first write": {1, lease * 2 / 3},
		"a renewal":       {2, lease/5 + lease*2/3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, writes := claimtest.New(), 0
				r := &replica{Store: store}
				answered := make(chan struct{})
				store.SetAfter(func(op claimtest.Op) error {
					if op.Name != "put" || !strings.HasPrefix(op.Key, "session.") {
						return nil
					}
					if writes++; writes == c.slow {
						<-time.After(lease / 10)
						close(answered)
					}
					return nil
				})
				began := time.Now()
				cl := acquire(t, newClaims(r), "key.a")
				held, free := cl.Bind(t.Context())
				defer free()
				<-answered
				synctest.Wait()
				r.cut.Store(true)
				<-held.Done()
				if took := time.Since(began); took != c.want {
					t.Errorf("lost after %v, want %v", took, c.want)
				}
			})
		})
	}
}

// TestALostClaimEndsItsWorkBeforeAnotherHasIt: a holder that cannot renew stops at two thirds of the
// lease; nobody takes the entry before all of it.
func TestALostClaimEndsItsWorkBeforeAnotherHasIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		r := &replica{Store: store}
		cl := acquire(t, newClaims(r), "key.a")
		held, free := cl.Bind(t.Context())
		defer free()
		began := time.Now()
		r.cut.Store(true)
		<-held.Done()
		if took := time.Since(began); took != lease*2/3 || !errors.Is(claim.Ended(held), claim.ErrLost) {
			t.Errorf("the work ended after %v: %v", took, claim.Ended(held))
		}
		late, freeLate := cl.Bind(t.Context())
		defer freeLate()
		if late.Err() == nil || !errors.Is(cl.Check(), claim.ErrLost) {
			t.Error("work begins under a lost claim")
		}
		other := acquire(t, newClaims(store), "key.a")
		if took := time.Since(began); took < lease {
			t.Errorf("taken over after %v", took)
		}
		r.cut.Store(false)
		if err := cl.Release(t.Context(), map[string]bool{"done": true}, false); !errors.Is(err, claim.ErrLost) {
			t.Errorf("the lost claim was released: %v", err)
		}
		if err := other.Check(); err != nil {
			t.Errorf("the other's claim: %v", err)
		}
		release(t, other, nil, false)
	})
}

// TestAForeignWriteIsNotWrittenOver: whoever wrote an entry that is claimed did not ask; the claim is lost.
func TestAForeignWriteIsNotWrittenOver(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"another token": `{"v":1,"token":"x","epoch":9}`, "nothing to read": `{"v":`, "none": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := claimtest.New()
				cl := acquire(t, newClaims(store), "key.a")
				overwrite(t, store, "key.a", value)
				if err := cl.Intend(t.Context(), "any"); err != nil {
					t.Errorf("what is intended already: %v", err)
				}
				if err := cl.Allow(t.Context(), time.Hour); !errors.Is(err, claim.ErrLost) || !errors.Is(cl.Check(), claim.ErrLost) {
					t.Errorf("written: %v; the claim: %v", err, cl.Check())
				}
				if err := cl.Release(t.Context(), nil, false); !errors.Is(err, claim.ErrLost) {
					t.Errorf("released: %v", err)
				}
				if got, _, err := store.Get(t.Context(), "key.a"); string(got) != value {
					t.Errorf("the entry is %s, error %v", got, err)
				}
			})
		})
	}
}

// overwrite writes an entry as somebody would who claims nothing; without a value it removes it.
func overwrite(t *testing.T, store claim.Store, key, value string) {
	t.Helper()
	_, revision, err := store.Get(t.Context(), key)
	if err == nil && value != "" {
		_, err = store.Put(t.Context(), key, []byte(value), revision)
	} else if err == nil {
		err = store.Purge(t.Context(), key, revision)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestAPanicInARenewalLosesTheClaim, and says why.
func TestAPanicInARenewalLosesTheClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		cl := acquire(t, newClaims(store), "key.a")
		held, free := cl.Bind(t.Context())
		defer free()
		store.SetBefore(func(claimtest.Op) error { panic("injected") })
		<-held.Done()
		if err := claim.Ended(held); !errors.Is(err, claim.ErrLost) || !strings.Contains(err.Error(), "injected") {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestAnswersThatAreLost: two in a row are borne, a third is an unreachable store; what arrived without
// an answer is ours.
func TestAnswersThatAreLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after int // how many requests are lost, and how many answers of writes
		want          error
	}{
		"none":             {0, 0, nil},
		"two requests":     {2, 0, nil},
		"three requests":   {3, 0, claim.ErrUnreachable},
		"answer of a take": {0, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := claimtest.New()
				store.SetBefore(func(claimtest.Op) error {
					if c.before--; c.before >= 0 {
						return errSilent
					}
					return nil
				})
				store.SetAfter(func(op claimtest.Op) error {
					if op.Name != "put" {
						return nil
					}
					if c.after--; c.after >= 0 {
						return errSilent
					}
					return nil
				})
				began := time.Now()
				cl, err := newClaims(store).Acquire(t.Context(), "key.a", []string{claim.AnyKind}, func() {})
				if !errors.Is(err, c.want) {
					t.Fatalf("error %v, want %v", err, c.want)
				}
				if took := time.Since(began); took > lease/3 {
					t.Errorf("took %v", took)
				}
				if err == nil {
					release(t, cl, nil, false)
				}
			})
		})
	}
}

// TestTheBodyGoesFromHolderToHolder, also where the next one does not change it.
func TestTheBodyGoesFromHolderToHolder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		first := acquire(t, newClaims(store), "key.a")
		if first.Contended() {
			t.Error("a new entry is contended")
		}
		release(t, first, map[string]string{"done": "first"}, false)
		here := newClaims(store)
		for range 2 { // the second time from memory
			cl := acquire(t, here, "key.a")
			var body struct{ Done string }
			if err := cl.Read(&body); err != nil || body.Done != "first" {
				t.Errorf("read %q, error %v", body.Done, err)
			}
			release(t, cl, nil, false)
		}
		release(t, acquire(t, newClaims(store), "key.a"), map[string]string{"done": "second"}, false)
		cl := acquire(t, here, "key.a") // what is remembered here is stale
		var body struct{ Done string }
		if err := cl.Read(&body); err != nil || body.Done != "second" || !cl.Contended() || cl.Name() != "key.a" {
			t.Errorf("read %q of %s, error %v, contended %v", body.Done, cl.Name(), err, cl.Contended())
		}
		time.AfterFunc(time.Second, func() { release(t, cl, nil, false) })
		waited := acquire(t, newClaims(store), "key.a") // never knew the entry, but met its holder
		if !waited.Contended() || waited.TakenOver() {
			t.Errorf("waited: contended %v, taken over %v", waited.Contended(), waited.TakenOver())
		}
		release(t, waited, nil, false)
		if value, _, err := store.Get(t.Context(), "key.a"); !strings.Contains(string(value), `"epoch":6`) {
			t.Errorf("claimed six times: %s, error %v", value, err)
		}
	})
}

// TestAWriteWhoseAnswerIsLostIsNoLostClaim: its token is still there, and the next write follows it.
func TestAWriteWhoseAnswerIsLostIsNoLostClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		cl := acquire(t, newClaims(store), "key.a")
		held, free := cl.Bind(t.Context())
		defer free()
		var losing atomic.Int32 // so many answers more; the session writes beside the claim
		losing.Store(3)
		store.SetAfter(func(op claimtest.Op) error {
			if op.Name == "put" && losing.Add(-1) >= 0 {
				return errSilent
			}
			return nil
		})
		if err := cl.Allow(t.Context(), time.Minute); !errors.Is(err, claim.ErrUnreachable) {
			t.Errorf("allowed without an answer: %v", err)
		}
		if err := cl.Allow(t.Context(), -time.Minute); err != nil {
			t.Errorf("what needs no longer than others was written down: %v", err)
		}
		time.Sleep(3 * lease)
		if err := errors.Join(held.Err(), cl.Check()); err != nil || losing.Load() > 0 {
			t.Errorf("%d answers of three are still to be lost: %v", losing.Load(), err)
		}
		losing.Store(1)
		if err := cl.Release(t.Context(), nil, false); !errors.Is(err, errSilent) {
			t.Errorf("released without an answer: %v", err)
		}
		next := acquire(t, newClaims(store), "key.a") // it was released all the same
		if next.Owed() != 0 || next.TakenOver() {
			t.Errorf("owed %v, taken over %v", next.Owed(), next.TakenOver())
		}
		release(t, next, nil, false)
	})
}

// doubtful is a store that does not know how old it is.
type doubtful struct{ *claimtest.Memory }

func (doubtful) Trusted(context.Context) (bool, error) { return false, errSilent }

// TestWhatCannotBeTrustedForSureIsNotClaimed: the absence of an entry may mean anything.
func TestWhatCannotBeTrustedForSureIsNotClaimed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		if _, err := newClaims(doubtful{store}).Acquire(t.Context(), "key.a", []string{claim.AnyKind}, func() {}); !errors.Is(err, claim.ErrUnreachable) {
			t.Errorf("error %v", err)
		}
		cl := acquire(t, newClaims(store), "key.a") // once the token that stayed behind was given up
		if cl.Owed() < settle-lease/3 || cl.Owed() > settle {
			t.Errorf("owed %v, taken over %v", cl.Owed(), cl.TakenOver())
		}
		release(t, cl, nil, false)
	})
}

// TestABodyThatIsNoJSONIsNotWritten: the entry is abandoned.
func TestABodyThatIsNoJSONIsNotWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		if err := acquire(t, newClaims(store), "key.a").Release(t.Context(), map[string]any{"done": func() {}}, false); err == nil {
			t.Error("released with a function as its body")
		}
		cl := acquire(t, newClaims(store), "key.a")
		if cl.Owed() == 0 {
			t.Error("nothing is owed")
		}
		release(t, cl, nil, false)
	})
}
