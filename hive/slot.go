package hive

import (
	"context"
	"net/http"
	"time"

	"forager/hive/throttle"
)

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
