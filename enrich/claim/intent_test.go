package claim_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
)

// acquireFor claims an entry for effects of some kinds.
func acquireFor(t *testing.T, c *claim.Claims, name string, kinds ...string) *claim.Claim {
	t.Helper()
	cl, err := c.Acquire(t.Context(), name, kinds, func() {})
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

// TestOnlyWhatAHolderMeantToDoIsOwed: of the kinds that it named when it claimed the entry, or later.
func TestOnlyWhatAHolderMeantToDoIsOwed(t *testing.T) {
	t.Parallel()
	intend := func(t *testing.T, cl *claim.Claim, kinds ...string) {
		if err := cl.Intend(t.Context(), kinds...); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		intent []string
		before func(*testing.T, *claim.Claim) // it goes silent
		owed   []string
	}{
		"nothing":                {owed: nil},
		"one kind":               {intent: []string{"tasks"}, owed: []string{"tasks"}},
		"one kind, then another": {intent: []string{"tasks"}, before: func(t *testing.T, cl *claim.Claim) { intend(t, cl, "comments") }, owed: []string{"tasks", "comments"}},
		"any":                    {intent: []string{claim.AnyKind}, owed: []string{"tasks", "comments", "else"}},
		"nothing, then any":      {before: func(t *testing.T, cl *claim.Claim) { intend(t, cl, claim.AnyKind) }, owed: []string{"tasks", "comments", "else"}},
		"one kind, abandoned":    {intent: []string{"tasks"}, before: func(t *testing.T, cl *claim.Claim) { release(t, cl, nil, true) }, owed: []string{"tasks"}},
		"nothing, abandoned":     {before: func(t *testing.T, cl *claim.Claim) { release(t, cl, nil, true) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := claimtest.New()
				release(t, acquire(t, newClaims(store), "key.a"), nil, false) // what is new counts as any
				r := &replica{Store: store}
				cl := acquireFor(t, newClaims(r), "key.a", c.intent...)
				if c.before != nil {
					c.before(t, cl)
				}
				r.cut.Store(true)
				next := acquireFor(t, newClaims(store), "key.a", "else")
				owes(t, next, c.owed...)
				release(t, next, nil, false)
				third := acquireFor(t, newClaims(store), "key.a")
				owes(t, third, c.owed...) // the second did not look
				third.Settled(c.owed...)
				third.Settled(claim.AnyKind)
				owes(t, third)
				release(t, third, nil, false)
				owes(t, acquireFor(t, newClaims(store), "key.a"))
			})
		})
	}
}

// owes checks for which of three kinds something is owed.
func owes(t *testing.T, cl *claim.Claim, want ...string) {
	t.Helper()
	for _, kind := range []string{"tasks", "comments", "else"} {
		if owed := cl.OwedFor(kind) > 0; owed != slices.Contains(want, kind) {
			t.Errorf("%s owed: %v", kind, owed)
		}
	}
	if owed := cl.Owed() > 0; owed != (len(want) > 0) {
		t.Errorf("anything owed: %v", owed)
	}
}

// TestWhatDiedTwiceIsStillOwed: who takes over and dies leaves the kinds of both.
func TestWhatDiedTwiceIsStillOwed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		release(t, acquire(t, newClaims(store), "key.a"), nil, false)
		for _, kind := range []string{"tasks", "comments"} {
			r := &replica{Store: store}
			acquireFor(t, newClaims(r), "key.a", kind)
			r.cut.Store(true)
		}
		owes(t, acquireFor(t, newClaims(store), "key.a"), "tasks", "comments")
	})
}

// TestIntendingWhatIsWrittenDownCostsNothing; what is new costs one write.
func TestIntendingWhatIsWrittenDownCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		release(t, acquire(t, newClaims(store), "key.a"), nil, false)
		cl := acquireFor(t, newClaims(store), "key.a", "tasks", "comments")
		writes := 0
		store.SetBefore(func(claimtest.Op) error { writes++; return nil })
		for _, kinds := range [][]string{{"comments"}, {"tasks", "comments"}, {}, {"else"}, {"else", "tasks"}} {
			if err := cl.Intend(t.Context(), kinds...); err != nil {
				t.Error(err)
			}
		}
		if writes != 1 {
			t.Errorf("%d writes", writes)
		}
		store.SetBefore(func(claimtest.Op) error { return errSilent })
		if err := cl.Intend(t.Context(), "more"); !errors.Is(err, claim.ErrUnreachable) {
			t.Errorf("intended without an answer: %v", err)
		}
		store.SetBefore(nil)
		time.Sleep(lease)
		release(t, cl, nil, false)
	})
}

// TestWhatAHolderKeepsIsInTheEntryWhileItIsHeld: whoever takes it over finds it, and what the last holder owes.
func TestWhatAHolderKeepsIsInTheEntryWhileItIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		release(t, acquire(t, newClaims(store), "key.a"), nil, false)
		cl := acquireFor(t, newClaims(store), "key.a", "tasks")
		type body struct {
			Done []string `json:"done"`
		}
		if err := cl.Keep(t.Context(), body{[]string{"one"}}); err != nil {
			t.Fatal(err)
		}
		value, _, err := store.Get(t.Context(), "key.a")
		if err != nil {
			t.Fatal(err)
		}
		e, err := claim.ParseEntry(value)
		var got body
		if err != nil || !e.Held() || e.Read(&got) != nil || !slices.Equal(got.Done, []string{"one"}) {
			t.Errorf("%s: %v", value, err)
		}
		store.SetBefore(func(claimtest.Op) error { return errSilent })
		if err := cl.Keep(t.Context(), body{[]string{"two"}}); !errors.Is(err, claim.ErrUnreachable) {
			t.Errorf("kept without an answer: %v", err)
		}
		store.SetBefore(nil)
		time.Sleep(lease)
		release(t, cl, body{[]string{"three"}}, false)
		if err := cl.Keep(t.Context(), body{}); !errors.Is(err, claim.ErrLost) {
			t.Errorf("kept after the release: %v", err)
		}
	})
}
