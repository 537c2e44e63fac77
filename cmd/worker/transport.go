package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"forager/enrich"
)

// errBreakerOpen: TheHive failed so often that nothing is sent to it for a moment.
var errBreakerOpen = fmt.Errorf("circuit breaker is open: %w", enrich.ErrUnavailable)

// The breaker opens when so many of the last calls failed, and tries one again after the pause.
const (
	breakerFailures = 18
	breakerCalls    = 20
	breakerPause    = 5 * time.Second
)

// guardedTransport spares a server that is down or overloaded: a breaker stops calls while
// nearly all of them fail, a limit on the calls in flight falls when the server asks for it or
// slows down. It never sends anything twice.
type guardedTransport struct {
	next    http.RoundTripper
	breaker circuitbreaker.CircuitBreaker[any]
	limit   *limit
}

// newGuardedTransport wraps next; most is the bound on calls in flight.
func newGuardedTransport(next http.RoundTripper, most int) *guardedTransport {
	return &guardedTransport{
		next: next,
		breaker: circuitbreaker.NewBuilder[any]().
			WithFailureThresholdRatio(breakerFailures, breakerCalls).
			WithDelay(breakerPause).
			Build(),
		limit: newLimit(most),
	}
}

// RoundTrip sends a request when there is room for it and the breaker is closed. The request
// goes on as it came, so that nothing about its body or its trace changes.
func (t *guardedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.limit.acquire(r.Context()); err != nil {
		return nil, err
	}
	if !t.breaker.TryAcquirePermit() {
		t.limit.release(0, false)
		return nil, errBreakerOpen
	}
	start := time.Now()
	resp, err := t.next.RoundTrip(r)
	t.judge(r.Context(), resp, err)
	if err != nil {
		t.limit.release(0, false)
		return nil, err
	}
	throttled := resp.StatusCode == http.StatusTooManyRequests
	resp.Body = &releasingBody{ReadCloser: resp.Body, release: sync.OnceFunc(func() {
		t.limit.release(time.Since(start), throttled)
	})}
	return resp, nil
}

// judge tells the breaker how a call ended. A refusal for the call's own sake, 4xx, is an answer
// of a server that works; a call that its caller gave up says nothing, but must not leave the
// breaker waiting for the outcome of its trial.
func (t *guardedTransport) judge(ctx context.Context, resp *http.Response, err error) {
	switch {
	case err == nil && resp.StatusCode < http.StatusInternalServerError:
		t.breaker.RecordSuccess()
	case err != nil && errors.Is(ctx.Err(), context.Canceled) && !t.breaker.IsHalfOpen():
	default:
		t.breaker.RecordFailure()
	}
}

// CloseIdleConnections closes what the wrapped transport keeps open.
func (t *guardedTransport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// releasingBody gives the call's place back when its answer has been read.
type releasingBody struct {
	io.ReadCloser
	release func()
}

func (b *releasingBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}
