package throttle

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"
)

// me is as whom the calls of these tests are made.
func me() string { return "me" }

// ask makes a call that ends in a way.
func ask(t *testing.T, th *Throttle, end Ending) error {
	t.Helper()
	s, err := th.Acquire(t.Context(), "call", me)
	if err == nil {
		s.Release(end, time.Millisecond)
	}
	return err
}

func TestBreakerOpensWhenNearlyAllCallsFailAndClosesAfterOneThatWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th, sent := New(4), 0
		for range 100 {
			if ask(t, th, Down) == nil {
				sent++
			}
		}
		if sent != breakerFailures {
			t.Errorf("%d calls reached a server that is down, want %d", sent, breakerFailures)
		}
		if err := ask(t, th, Answered); !errors.Is(err, ErrOpen) {
			t.Errorf("%v", err)
		}
		<-time.After(breakerPause)
		for i := range 3 {
			if err := ask(t, th, Answered); err != nil {
				t.Errorf("call %d after recovery: %v", i, err)
			}
		}
	})
}

func TestBreakerStaysClosedForAnswersAndCallersThatGiveUp(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string][]Ending{
		"answers":   {Answered},
		"given up":  {Abandoned},
		"throttled": {Busy},
		"one text in five is refused, four of five find nobody": {Answered, Down, Down, Down, Down},
	} {
		th := New(4)
		for i := range 5 * breakerCalls {
			if err := ask(t, th, ends[i%len(ends)]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestTrialThatIsGivenUpDoesNotBlockTheBreakerForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(4)
		for range breakerCalls {
			_ = ask(t, th, Down)
		}
		<-time.After(breakerPause)
		_ = ask(t, th, Abandoned)
		<-time.After(breakerPause)
		if err := ask(t, th, Answered); err != nil {
			t.Error(err)
		}
	})
}

// model is a server: so many calls a second at most, each of which takes at least pace.
type model struct {
	capacity float64 // calls a second; 0: any
	pace     time.Duration
	busy     bool

	mu   sync.Mutex
	free time.Time // when what is queued is done
}

// take is how long a call takes that begins now.
func (m *model) take() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.capacity == 0 {
		return m.pace
	}
	now := time.Now()
	if m.free.Before(now) {
		m.free = now
	}
	m.free = m.free.Add(time.Duration(float64(time.Second) / m.capacity))
	return max(m.pace, m.free.Sub(now))
}

// load keeps workers calling for a while, and gives how many calls were in flight on average.
func load(ctx context.Context, th *Throttle, m *model, workers int, lasts time.Duration) float64 {
	return mixture(ctx, th, m, workers, lasts, func() (string, float64) { return "call", 1 })
}

// mixture is a load of several kinds of calls: of each call it is told the kind, and how many times the server's
// pace it takes.
func mixture(ctx context.Context, th *Throttle, m *model, workers int, lasts time.Duration, next func() (kind string, times float64)) float64 {
	var wg conc.WaitGroup
	var mu sync.Mutex
	begun := time.Now()
	var busy time.Duration
	for range workers {
		wg.Go(func() {
			for time.Since(begun) < lasts {
				kind, times := next()
				s, err := th.Acquire(ctx, kind, me)
				if err != nil {
					return
				}
				took, end := time.Duration(times*float64(m.take())), Answered
				<-time.After(took)
				if m.busy {
					end = Busy
				}
				s.Release(end, took)
				mu.Lock()
				busy += took
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return busy.Seconds() / time.Since(begun).Seconds()
}

func TestLimitFallsWithThrottlingAndClimbsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(32)
		load(t.Context(), th, &model{pace: 20 * time.Millisecond}, 64, 5*time.Second)
		if th.Limit() != 32 {
			t.Errorf("steady: %d, want the bound", th.Limit())
		}
		load(t.Context(), th, &model{pace: 20 * time.Millisecond, busy: true}, 64, 5*time.Second)
		if n := th.Limit(); n > 8 || n < 2 {
			t.Errorf("after 5 s of 429: %d", n)
		}
		load(t.Context(), th, &model{pace: 20 * time.Millisecond}, 64, time.Minute)
		if th.Limit() != 32 {
			t.Errorf("a minute later: %d, want the bound again", th.Limit())
		}
	})
}

// TestAServerThatBecomesSlowIsAskedAsMuch: from 20 to 100 ms and further, without a 429: at least nine tenths of the
// bound stay in flight.
func TestAServerThatBecomesSlowIsAskedAsMuch(t *testing.T) {
	t.Parallel()
	for _, bound := range []int{8, 32, 64} {
		for _, pace := range []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, time.Second} {
			t.Run(fmt.Sprintf("%d, %s", bound, pace), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					th := New(bound)
					load(t.Context(), th, &model{pace: 20 * time.Millisecond}, 2*bound, 20*time.Second)
					if got := load(t.Context(), th, &model{pace: pace}, 2*bound, 2*time.Minute); got < 0.9*float64(bound) {
						t.Errorf("%.1f in flight, of %d", got, bound)
					}
				})
			})
		}
	}
}

// TestAMixtureOfCallsThatBecomesSlowIsAskedAsMuch: looks, writes and now and then an upload, whose share changes from
// window to window, on a server that goes from 20 to 100 ms a call.
func TestAMixtureOfCallsThatBecomesSlowIsAskedAsMuch(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const bound = 32
				th := New(bound)
				var mu sync.Mutex
				random := rand.New(rand.NewPCG(seed, 1))
				begun := time.Now()
				next := func() (string, float64) {
					mu.Lock()
					defer mu.Unlock()
					creates := 0.1 + 0.4*float64(int(time.Since(begun)/(3*time.Second))%2)
					switch n := random.Float64(); {
					case n < creates:
						return "create", 2 + random.Float64()
					case n < creates+0.02:
						return "upload", 20 * random.Float64()
					default:
						return "look", 0.5 + random.Float64()
					}
				}
				mixture(t.Context(), th, &model{pace: 20 * time.Millisecond}, 2*bound, 20*time.Second, next)
				if got := mixture(t.Context(), th, &model{pace: 100 * time.Millisecond}, 2*bound, 2*time.Minute, next); got < 0.9*bound {
					t.Errorf("%.1f in flight, of %d", got, bound)
				}
			})
		})
	}
}

// TestAnOverloadedServerIsAskedLess: where calls wait for each other fewer are as much work done.
func TestAnOverloadedServerIsAskedLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(32)
		load(t.Context(), th, &model{pace: 20 * time.Millisecond}, 64, 10*time.Second)
		load(t.Context(), th, &model{pace: 20 * time.Millisecond, capacity: 200}, 64, time.Minute)
		if n := th.Limit(); n > 16 {
			t.Errorf("%d, where four in flight are all it can do", n)
		}
		load(t.Context(), th, &model{pace: 20 * time.Millisecond}, 64, time.Minute)
		if n := th.Limit(); n != 32 {
			t.Errorf("a minute after: %d", n)
		}
	})
}

func TestSlowKindsAreNoSlowServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(8)
		for n := range 4000 { // first look-ups of 10 ms alone, then creations of 200 ms among them
			kind, took := "look", 10*time.Millisecond
			if n > 1000 && n%2 == 0 {
				kind, took = "create", 200*time.Millisecond
			}
			s, err := th.Acquire(t.Context(), kind, me)
			if err != nil {
				t.Fatal(err)
			}
			th.limit.full = true
			<-time.After(took)
			s.Release(Answered, took)
		}
		if th.Limit() != 8 {
			t.Errorf("%d, want the bound", th.Limit())
		}
	})
}

func TestLimitHoldsAndLosesNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(3)
		var held []*Slot
		for range 3 {
			s, err := th.Acquire(t.Context(), "call", me)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := th.Acquire(ctx, "call", me); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a fourth call: %v", err)
		}
		for _, s := range held {
			s.Release(Answered, 0)
			s.Release(Answered, 0) // twice is once
		}
		if th.limit.flying != 0 || th.limit.waiting.Len() != 0 {
			t.Errorf("%d in flight, %d waiting", th.limit.flying, th.limit.waiting.Len())
		}
	})
}

// TestRefusedCredentialsStayBelowABan: five refusals in twenty minutes ban an address for four hours,
// whatever is tried how often; other credentials are tried at once.
func TestRefusedCredentialsStayBelowABan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(4)
		var refused []time.Time
		try := func(who string, end Ending) error {
			s, err := th.Acquire(t.Context(), "call", func() string { return who })
			if err != nil {
				return err
			}
			if end == Refused {
				refused = append(refused, time.Now())
			}
			s.Release(end, time.Millisecond)
			return nil
		}
		if err := try("old", Answered); err != nil {
			t.Fatal(err)
		}
		for n := range 2 * 3600 {
			_ = try("old", Refused)
			if n == 600 || n == 1200 {
				_ = try(fmt.Sprint("new", n), Refused)
			}
			<-time.After(time.Second)
		}
		if len(refused) < 8 {
			t.Errorf("%d tries in two hours", len(refused))
		}
		for i := range refused {
			if i >= 4 && refused[i].Sub(refused[i-4]) <= 20*time.Minute {
				t.Errorf("five refusals in %s", refused[i].Sub(refused[i-4]))
			}
		}
		if err := try("good", Answered); err != nil {
			t.Errorf("a new key waits: %v", err)
		}
	})
}

// TestCallsInFlightAtARefusalDoNotHoldUpNewCredentials: however many calls the old ones had in
// flight, they are one refusal, and credentials that somebody exchanges are tried at once.
func TestCallsInFlightAtARefusalDoNotHoldUpNewCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := New(32)
		as := func(who string) func() string { return func() string { return who } }
		var flying []*Slot
		for range 32 {
			s, err := th.Acquire(t.Context(), "x", as("old"))
			if err != nil {
				t.Fatal(err)
			}
			flying = append(flying, s)
		}
		for _, s := range flying {
			<-time.After(10 * time.Millisecond)
			s.Release(Refused, time.Millisecond)
		}
		if _, err := th.Acquire(t.Context(), "x", as("old")); !errors.Is(err, ErrRefused) {
			t.Errorf("the old ones: %v", err)
		}
		for n := range 3 { // with the first, four refusals
			s, err := th.Acquire(t.Context(), "x", as(fmt.Sprint("new", n)))
			if err != nil {
				t.Fatalf("new ones, exchange %d: %v", n, err)
			}
			s.Release(Refused, time.Millisecond)
		}
		if _, err := th.Acquire(t.Context(), "x", as("fifth")); !errors.Is(err, ErrRefused) {
			t.Errorf("a fifth within twenty minutes: %v", err)
		}
	})
}
