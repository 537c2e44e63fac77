package claim

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Wait waits for a time. Error: that of [Ended], when the context ends before.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return Ended(ctx)
	case <-t.C:
		return nil
	}
}

// Ended says why a context ended, as a verdict: [ErrLost] if its claim was lost, with the cause; else
// [ErrStopping], since the worker's own context ends for nothing else.
func Ended(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrLost) {
		return cause
	}
	return ErrStopping
}

// between is a random duration in [low, high).
func between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + rand.N(high-low)
}
