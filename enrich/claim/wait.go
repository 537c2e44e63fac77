package claim

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
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
	n, err := rand.Int(rand.Reader, big.NewInt(int64(high-low)))
	if err != nil {
		return low
	}
	return low + time.Duration(n.Int64())
}
