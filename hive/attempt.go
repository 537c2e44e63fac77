package hive

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"

	"forager/hive/throttle"
	"forager/retry"
)

// Attempt names what a request is for, to a transport that tells of what it carries.
type Attempt struct {
	// Op names the call as an [Error] does: "create case".
	Op string
	// Number counts the attempts of the call from 1.
	Number int
}

// attemptKey is the context key of AttemptOf.
type attemptKey struct{}

// AttemptOf is the attempt that a request with this context belongs to; false when no [Client]
// made the request.
func AttemptOf(ctx context.Context) (Attempt, bool) {
	a, ok := ctx.Value(attemptKey{}).(Attempt)
	return a, ok
}

// naming gives requests their attempt.
func naming(ctx context.Context, k call, n int) context.Context {
	return context.WithValue(ctx, attemptKey{}, Attempt{Op: k.op, Number: n})
}

// Errors of a call that was not made, for everybody's sake; nothing was sent.
var (
	// ErrUnavailable: the server failed so often that nothing is sent to it for a moment.
	ErrUnavailable = throttle.ErrOpen
	// ErrCredentials: TheHive refused these credentials minutes ago. Whoever
	// tries them more often is banned (fail2ban); others are tried at once.
	ErrCredentials = throttle.ErrRefused
)

// slot waits for leave to make an attempt, and decides as whom.
func (c *Client) slot(ctx context.Context, k *call) (*throttle.Slot, error) {
	slot, err := c.throttle.Acquire(ctx, k.op, func() string {
		k.as = c.identity()
		return k.as.mark
	})
	if err != nil {
		return nil, c.unsent(*k, causeOf(ctx, err))
	}
	return slot, nil
}

// took is how long an attempt took; 0 of an upload or a large answer, which takes as long as it is large.
func (k call) took(start time.Time) time.Duration {
	if k.upload != nil || k.large {
		return 0
	}
	return max(time.Since(start), 1)
}

// ending is what an attempt says of the server. One text that a firewall
// refuses does not say that TheHive is down.
func ending(ctx context.Context, err error) throttle.Ending {
	e, ok := asError(err)
	switch {
	case err == nil:
		return throttle.Answered
	case !ok, e.Status == 0 && (ctx.Err() != nil || e.incomplete):
		return throttle.Abandoned
	}
	switch e.Verdict() {
	case Throttled:
		return throttle.Busy
	case Unauthenticated:
		return throttle.Refused
	case Unanswered:
		return throttle.Down
	case Foreign, Failed, Denied, NotFound, Unacceptable:
	}
	if e.Status >= http.StatusInternalServerError {
		return throttle.Down
	}
	return throttle.Answered
}

// Bounds of what is tried in place. A caller that holds a claim must not be
// kept longer, and whoever asked for more patience gets it outside.
const (
	readTries   = 3
	readBudget  = 5 * time.Second
	writeTries  = 6 // the first and five more
	writeBudget = 2 * time.Second
)

// retry calls try until it succeeds, until the rules for its kind say that no
// further attempt is right, or until the pauses have used up their budget.
func (c *Client) retry(ctx context.Context, k call, try func(n int) error) error {
	tries, budget, again := readTries, readBudget, readAgain
	if k.write {
		tries, budget, again = writeTries, writeBudget, writeAgain
	}
	pauses := retry.Backoff{First: 50 * time.Millisecond, Last: time.Second}.Pauses()
	start, waited := time.Now(), time.Duration(0)
	for n := 1; ; n++ {
		err := try(n)
		e, failed := errors.AsType[*Error](err)
		if !failed || n == tries || ctx.Err() != nil || !again(e) || !k.upload.rewind() {
			return err
		}
		pause := max(pauses.Next(), e.RetryAfter)
		if k.write {
			waited = time.Since(start) // attempts count too: the budget is the caller's claim
		}
		if waited += pause; waited > budget || !retry.Wait(ctx, pause) {
			return err
		}
	}
}

// readAgain: any failure but a clear no. A read changes nothing, and what a
// proxy says once it need not say again; but who is sent away to log in is sent
// away each time.
func readAgain(e *Error) bool {
	if errors.Is(e, ErrTooLarge) {
		return false
	}
	switch e.Verdict() {
	case Unanswered, Throttled, Failed:
		return true
	case Foreign:
		return e.Status/100 != 3 && e.Status != http.StatusUnauthorized && e.Status != http.StatusProxyAuthRequired
	case Unauthenticated, Denied, NotFound, Unacceptable:
	}
	return false
}

// writeAgain: only what surely did not happen and may go better at once.
func writeAgain(e *Error) bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return e.Refused()
	case 0:
		return !e.Sent && transient(e.Err)
	}
	return false
}

// transient: no listener, or a kept connection that turned out dead before a
// byte was written to it. A guard's or breaker's refusal, an unknown host, a
// bad certificate will be the same a moment later.
func transient(err error) bool {
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "write"
}
