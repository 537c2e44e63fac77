package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"
)

// server is a transport that answers by a function.
type server func(*http.Request) (*http.Response, error)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

func answer(status int) *http.Response {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(""))}
}

// ask sends a request and gives its status, 0 with an error.
func ask(ctx context.Context, t *guardedTransport) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://hive/", http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := t.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func TestBreakerOpensWhenNearlyAllCallsFailAndClosesAfterOneThatWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, sent := http.StatusBadGateway, 0
		tr := newGuardedTransport(server(func(*http.Request) (*http.Response, error) {
			sent++
			return answer(status), nil
		}), 4)
		for range 100 {
			_, _ = ask(t.Context(), tr)
		}
		if sent != breakerFailures {
			t.Errorf("%d calls reached a server that fails, want %d", sent, breakerFailures)
		}
		if _, err := ask(t.Context(), tr); !errors.Is(err, errBreakerOpen) {
			t.Errorf("%v", err)
		}
		status = http.StatusCreated
		time.Sleep(breakerPause)
		for i := range 3 {
			if got, err := ask(t.Context(), tr); got != status || err != nil {
				t.Errorf("call %d after recovery: %d, %v", i, got, err)
			}
		}
	})
}

func TestBreakerStaysClosedForRefusalsAndCallersThatGiveUp(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"refusal":  func(*http.Request) (*http.Response, error) { return answer(http.StatusNotFound), nil },
		"given up": func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() },
	} {
		t.Run(name, func(t *testing.T) {
			tr := newGuardedTransport(server(answer), 4)
			for range 5 * breakerCalls {
				ctx, cancel := context.WithCancel(t.Context())
				tr.next = server(func(r *http.Request) (*http.Response, error) { cancel(); return answer(r) })
				if _, err := ask(ctx, tr); errors.Is(err, errBreakerOpen) {
					t.Fatal("opened")
				}
			}
		})
	}
}

func TestTrialThatIsGivenUpDoesNotBlockTheBreakerForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := http.StatusBadGateway
		tr := newGuardedTransport(server(func(r *http.Request) (*http.Response, error) {
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
			return answer(status), nil
		}), 4)
		for range breakerCalls {
			_, _ = ask(t.Context(), tr)
		}
		time.Sleep(breakerPause)
		ctx, cancel := context.WithCancel(t.Context())
		tr.next, status = server(func(r *http.Request) (*http.Response, error) { cancel(); return nil, r.Context().Err() }), http.StatusOK
		_, _ = ask(ctx, tr)
		tr.next = server(func(*http.Request) (*http.Response, error) { return answer(status), nil })
		time.Sleep(breakerPause)
		if got, err := ask(t.Context(), tr); got != http.StatusOK {
			t.Errorf("%d, %v", got, err)
		}
	})
}

// load keeps workers calling for a while.
func load(ctx context.Context, l *limit, workers int, for_ time.Duration, took time.Duration, throttled bool) {
	var wg conc.WaitGroup
	end := time.Now().Add(for_)
	for range workers {
		wg.Go(func() {
			for time.Now().Before(end) {
				if l.acquire(ctx) != nil {
					return
				}
				<-time.After(took) // virtual time: see the callers
				l.release(took, throttled)
			}
		})
	}
	wg.Wait()
}

func TestLimitFallsWithThrottlingAndLatencyAndClimbsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(32)
		load(t.Context(), l, 64, 5*time.Second, 20*time.Millisecond, false)
		if l.current() != 32 {
			t.Errorf("steady: %d, want the bound", l.current())
		}
		load(t.Context(), l, 64, 5*time.Second, 20*time.Millisecond, true)
		throttled := l.current()
		if throttled > 8 || throttled < 2 {
			t.Errorf("after 5 s of 429: %d", throttled)
		}
		load(t.Context(), l, 64, 60*time.Second, 20*time.Millisecond, false)
		if l.current() != 32 {
			t.Errorf("a minute later: %d, want the bound again", l.current())
		}
		load(t.Context(), l, 64, 10*time.Second, 200*time.Millisecond, false)
		if l.current() > 20 {
			t.Errorf("after 10 s of ten times the latency: %d", l.current())
		}
	})
}

func TestLimitHoldsAndLosesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(3)
		for range 3 {
			if err := l.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a fourth call: %v", err)
		}
		for range 3 {
			l.release(0, false)
		}
		for range 3 {
			if err := l.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if l.flying != 3 || l.waiting.Len() != 0 {
			t.Errorf("%d in flight, %d waiting", l.flying, l.waiting.Len())
		}
	})
}
