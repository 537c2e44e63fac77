package claim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/panics"

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
)

// watching lets claims follow the sessions of a store until the returned function is called.
func watching(t *testing.T, c *claim.Claims, w claim.Watcher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg conc.WaitGroup
	wg.Go(func() { _ = c.Watch(ctx, w) })
	synctest.Wait()
	return func() { cancel(); wg.Wait() }
}

// TestAProcessRenewsOneEntryHoweverManyClaimsItHas, and keeps all of them by it.
func TestAProcessRenewsOneEntryHoweverManyClaimsItHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		c := newClaims(store)
		held := make([]*claim.Claim, 100)
		for i := range held {
			held[i] = acquire(t, c, fmt.Sprintf("key.%d", i))
		}
		var mu sync.Mutex
		writes := make(map[string]int)
		store.SetBefore(func(op claimtest.Op) error {
			mu.Lock()
			defer mu.Unlock()
			writes[op.Name+" "+op.Key[:strings.Index(op.Key, ".")]]++
			return nil
		})
		time.Sleep(time.Minute + time.Second)
		mu.Lock()
		if len(writes) != 1 || writes["put session"] != 20 {
			t.Errorf("requests in a minute: %v", writes)
		}
		mu.Unlock()
		for _, cl := range held {
			if err := cl.Check(); err != nil {
				t.Error(err)
			}
			release(t, cl, nil, false)
		}
	})
}

// TestWhatIsKnownOfAHolderWhenItsClaimIsMet says how long the next one waits for the entry.
func TestWhatIsKnownOfAHolderWhenItsClaimIsMet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end     func(*testing.T, *claim.Claims, *replica) // of the holder
		watches bool
		later   time.Duration // when its claim is met
		from    time.Duration // when it is taken, at the earliest
		owed    time.Duration
	}{
		"killed":                      {end: cutOff, from: lease, owed: settle},
		"killed, watched":             {end: cutOff, watches: true, from: lease, owed: settle},
		"killed long ago":             {end: cutOff, later: time.Hour, from: lease, owed: settle},
		"killed long ago, watched":    {end: cutOff, later: time.Hour, watches: true, owed: time.Nanosecond},
		"killed a lease ago, watched": {end: cutOff, later: lease, watches: true, owed: settle},
		"ended in order":              {end: closed, owed: settle},
		"ended long ago, watched":     {end: closed, later: time.Hour, watches: true, owed: time.Nanosecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := claimtest.New()
				r := &replica{Store: store}
				holder, next := newClaims(r), newClaims(store)
				acquire(t, holder, "key.a")
				if c.watches {
					defer watching(t, next, store)()
				}
				c.end(t, holder, r)
				time.Sleep(c.later)
				began := time.Now()
				cl := acquire(t, next, "key.a")
				took := time.Since(began)
				if took < c.from || took > c.from+5*time.Second {
					t.Errorf("taken after %v, want %v", took, c.from)
				}
				if late := c.owed - cl.Owed(); late < 0 || late > took-c.from || !cl.TakenOver() {
					t.Errorf("owed %v, want %v", cl.Owed(), c.owed)
				}
				release(t, cl, nil, false)
			})
		})
	}
}

func cutOff(_ *testing.T, _ *claim.Claims, r *replica) { r.cut.Store(true) }

func closed(t *testing.T, c *claim.Claims, _ *replica) {
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// deaf is a store whose watch tells what is there at its beginning, and nothing more.
type deaf struct{ *claimtest.Memory }

func (d deaf) Watch(ctx context.Context, prefix string, each func(string, []byte, uint64)) error {
	var fell atomic.Bool
	time.AfterFunc(time.Millisecond, func() { fell.Store(true) })
	return d.Memory.Watch(ctx, prefix, func(key string, value []byte, revision uint64) {
		if !fell.Load() {
			each(key, value, revision)
		}
	})
}

// stale is a store as a replica of it shows that lags: what is read is always the first that was.
type stale struct {
	*claimtest.Memory
	mu    sync.Mutex
	first map[string]claimtest.Op
}

func (s *stale) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op, ok := s.first[key]; ok {
		return op.Value, op.Expected, nil
	}
	value, revision, err := s.Memory.Get(ctx, key)
	if err == nil {
		s.first[key] = claimtest.Op{Value: value, Expected: revision}
	}
	return value, revision, err
}

// TestWhoHearsNothingJudgesNobody: a session that is renewed lives, whatever an observer missed.
func TestWhoHearsNothingJudgesNobody(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(*claimtest.Memory) interface {
		claim.Store
		claim.Watcher
	}{
		"a watch that falls silent": func(m *claimtest.Memory) interface {
			claim.Store
			claim.Watcher
		} {
			return deaf{m}
		},
		"reads that are old": func(m *claimtest.Memory) interface {
			claim.Store
			claim.Watcher
		} {
			return &stale{Memory: m, first: make(map[string]claimtest.Op)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := claimtest.New()
				holder := acquire(t, newClaims(memory), "key.a")
				s := store(memory)
				other := newClaims(s)
				defer watching(t, other, s)()
				ctx, stop := context.WithTimeout(t.Context(), 10*lease)
				defer stop()
				if cl, err := other.Acquire(ctx, "key.a", nil, func() {}); !errors.Is(err, claim.ErrStopping) {
					t.Errorf("acquired %v, error %v", cl, err)
				}
				if err := holder.Check(); err != nil {
					t.Error(err)
				}
				release(t, holder, nil, false)
			})
		})
	}
}

// TestASessionThatWasFoundDeadNeverLivesAgain: its process was frozen, and finds out before it writes.
func TestASessionThatWasFoundDeadNeverLivesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		r := &replica{Store: store}
		frozen := newClaims(r)
		cl := acquire(t, frozen, "key.a")
		r.cut.Store(true)
		next := acquire(t, newClaims(store), "key.a")
		r.cut.Store(false)
		time.Sleep(lease)
		if err := cl.Check(); !errors.Is(err, claim.ErrLost) {
			t.Errorf("the first may write: %v", err)
		}
		if err := next.Check(); err != nil {
			t.Errorf("the next: %v", err)
		}
		release(t, next, nil, false)
		release(t, acquire(t, frozen, "key.a"), nil, false) // under a new session
	})
}

// TestALedgerThatWentBackEndsTheSession: others may hold what is claimed here.
func TestALedgerThatWentBackEndsTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		c := newClaims(store)
		cl := acquire(t, c, "key.a")
		for range 5 {
			release(t, acquire(t, c, "key.b"), nil, false)
		}
		store.Forget(4) // the last writes of key.b
		began := time.Now()
		held, free := cl.Bind(t.Context())
		defer free()
		<-held.Done()
		if took := time.Since(began); took > lease/5 || !errors.Is(claim.Ended(held), claim.ErrLost) {
			t.Errorf("after %v: %v", took, claim.Ended(held))
		}
	})
}

// TestAReleaseThatCannotBeWrittenIsTriedAgain: while the session lives nobody else would take the entry.
func TestAReleaseThatCannotBeWrittenIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]bool{"met by another process": false, "met by the same process": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := claimtest.New()
				r := &replica{Store: store}
				c := newClaims(r)
				cl := acquire(t, c, "key.a")
				r.cut.Store(true)
				if err := cl.Release(t.Context(), map[string]string{"done": "yes"}, false); !errors.Is(err, errSilent) {
					t.Fatalf("released: %v", err)
				}
				time.AfterFunc(time.Second, func() { r.cut.Store(false) })
				began := time.Now()
				other := c
				if !next {
					other = newClaims(store)
				} else {
					time.Sleep(2 * time.Second)
				}
				got := acquire(t, other, "key.a")
				if took := time.Since(began); took > lease/3 {
					t.Errorf("taken after %v", took)
				}
				var body struct{ Done string }
				if err := got.Read(&body); err != nil || !next && (body.Done != "yes" || got.Owed() != 0) {
					t.Errorf("read %q, error %v, owed %v", body.Done, err, got.Owed())
				}
				if next && got.Owed() == 0 {
					t.Error("taken from ourselves, before the entry says what was done, and nothing is owed")
				}
				release(t, got, nil, false)
			})
		})
	}
}

// TestVersionOneIsHonoured: a holder that renews its own entry keeps it; one that went silent is owed
// everything.
func TestVersionOneIsHonoured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		old, err := version1{store, lease, settle}.acquire(t.Context(), "key.a")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(4*lease, func() { _ = old.release(context.WithoutCancel(t.Context()), nil, false) })
		began := time.Now()
		cl := acquire(t, newClaims(store), "key.a")
		if took := time.Since(began); took < 4*lease || cl.TakenOver() || cl.Owed() != 0 {
			t.Errorf("after %v: taken over %v, owed %v", took, cl.TakenOver(), cl.Owed())
		}
		release(t, cl, nil, false)
		if _, err := (version1{store, lease, settle}).acquire(t.Context(), "key.a"); err != nil {
			t.Errorf("version 1 cannot take what version 2 released: %v", err)
		}
	})
}

// TestLiveCountsTheProcessesThatRenew: neither those that ended, nor those that went silent.
func TestLiveCountsTheProcessesThatRenew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		here := newClaims(store)
		if n, known := here.Live(); n != 1 || known {
			t.Errorf("%d, known %v, before anything is watched", n, known)
		}
		defer watching(t, here, store)()
		live := func(want int) {
			t.Helper()
			synctest.Wait()
			if n, known := here.Live(); n != want || !known {
				t.Errorf("%d live, known %v; want %d", n, known, want)
			}
		}
		live(1)
		r := &replica{Store: store}
		killed, ended := newClaims(r), newClaims(store)
		acquire(t, killed, "key.a")
		acquire(t, ended, "key.b")
		live(3)
		closed(t, ended, nil)
		live(2)
		r.cut.Store(true)
		time.Sleep(lease)
		live(1)
		if err := here.Reap(t.Context(), time.Minute); err != nil || len(sessions(store)) != 3 {
			t.Errorf("reaped before their time: %v, %v", sessions(store), err)
		}
		time.Sleep(time.Minute)
		for range 2 { // the silent one is marked, and later removed
			if err := here.Reap(t.Context(), time.Minute); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		}
		if left := sessions(store); len(left) != 1 {
			t.Errorf("left: %v", left)
		}
		live(1)
	})
}

func sessions(store *claimtest.Memory) (keys []string) {
	for _, key := range store.Keys() {
		if strings.HasPrefix(key, "session.") {
			keys = append(keys, key)
		}
	}
	return keys
}

// TestNothingIsClaimedAfterClose: it would be held for ever.
func TestNothingIsClaimedAfterClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		c := newClaims(store)
		closed(t, c, nil) // nothing was claimed
		if _, err := c.Acquire(t.Context(), "key.a", nil, func() {}); !errors.Is(err, claim.ErrStopping) || len(store.Keys()) != 0 {
			t.Errorf("error %v, entries %v", err, store.Keys())
		}
	})
}

// TestAPanicInARequestLeavesNothingHeld, whether it was carried out or not: the session goes on, so that
// nobody would ever take the entry over.
func TestAPanicInARequestLeavesNothingHeld(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before", "after"} {
		for _, what := range []string{"acquire", "release"} {
			t.Run(what+", "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := claimtest.New()
					c := newClaims(store)
					defer watching(t, c, store)()
					armed := what == "acquire"
					blow := func(op claimtest.Op) error {
						if armed && op.Name == "put" && op.Key == "key.a" {
							armed = false
							panic("injected")
						}
						return nil
					}
					if when == "before" {
						store.SetBefore(blow)
					} else {
						store.SetAfter(blow)
					}
					if panics.Try(func() {
						cl, err := c.Acquire(t.Context(), "key.a", nil, func() {})
						armed = err == nil && what == "release"
						_ = cl.Release(t.Context(), nil, false)
					}) == nil {
						t.Fatal("no panic")
					}
					began := time.Now()
					release(t, acquire(t, newClaims(store), "key.a"), nil, false)
					if took := time.Since(began); took > lease/3 {
						t.Errorf("taken after %v", took)
					}
				})
			})
		}
	}
}

// TestAProcessSaysInItsSessionWhyItConsumesNothing, from its first renewal on, in a bounded text.
func TestAProcessSaysInItsSessionWhyItConsumesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		var words atomic.Value
		words.Store("gate is closed")
		c := claim.New(store, claim.Options{
			Lease: lease, Settle: settle, Pod: "pod-1", Concurrency: 7, Says: func() string { return words.Load().(string) },
		})
		cl := acquire(t, c, "key.1")
		key := claim.SessionOf(cl)
		said := func() claim.Session {
			value, _, err := store.Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			s, ok := claim.ReadSession(value)
			if !ok {
				t.Fatalf("%s is no session", value)
			}
			return s
		}
		if s := said(); s.Says != "" || s.Pod != "pod-1" || s.Concurrency != 7 || s.Lease != lease || s.Started.IsZero() || s.Ended || s.Dead {
			t.Errorf("at the start: %+v", s)
		}
		for _, c := range []struct{ says, want string }{{"gate is closed", "gate is closed"}, {strings.Repeat("é", 400), strings.Repeat("é", 250)}, {"", ""}} {
			words.Store(c.says)
			time.Sleep(lease/5 + time.Millisecond)
			if s := said(); s.Says != c.want {
				t.Errorf("says %q, want %q", s.Says, c.want)
			}
		}
		release(t, cl, nil, false)
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := said(); !s.Ended {
			t.Errorf("after the end: %+v", s)
		}
		if _, ok := claim.ReadSession([]byte("{}")); ok {
			t.Error("an entry without a version is a session")
		}
	})
}

// TestAProcessThatIsFoundDeadKeepsItsName, for people who ask which one it was.
func TestAProcessThatIsFoundDeadKeepsItsName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		r := &replica{Store: store}
		held := acquire(t, claim.New(r, claim.Options{Lease: lease, Settle: settle, Pod: "pod-1", Concurrency: 7}), "key.1")
		r.cut.Store(true)
		release(t, acquire(t, newClaims(store), "key.1"), nil, false)
		value, _, err := store.Get(t.Context(), claim.SessionOf(held))
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := claim.ReadSession(value); !ok || !s.Dead || s.Pod != "pod-1" || s.Concurrency != 7 || s.Started.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

func TestAStateOfASession(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		session claim.Session
		age     time.Duration
		want    claim.SessionState
	}{
		{claim.Session{Lease: lease}, lease - 1, claim.SessionLive},
		{claim.Session{Lease: lease}, lease, claim.SessionSilent},
		{claim.Session{Lease: lease, Dead: true}, 0, claim.SessionSilent},
		{claim.Session{Lease: lease, Ended: true}, 2 * lease, claim.SessionEnded},
	} {
		if got := c.session.State(c.age); got != c.want {
			t.Errorf("%+v after %s: %s, want %s", c.session, c.age, got, c.want)
		}
	}
	all := []claim.SessionState{claim.SessionEnded, claim.SessionSilent, claim.SessionLive}
	slices.SortFunc(all, claim.SessionState.Compare)
	if want := []claim.SessionState{claim.SessionLive, claim.SessionSilent, claim.SessionEnded}; !slices.Equal(all, want) {
		t.Errorf("in order: %v", all)
	}
}
