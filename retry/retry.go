// Package retry has the pauses between tries: they grow, and are spread by chance.
//
// Promise: whoever tries again waits longer each time, up to a bound, and what failed together does not
// come back together. A wait ends with its context.
//
// Its way: a [Backoff] says how long. Who loops takes its [Pauses]; who counts the failures elsewhere, as a
// stream does that delivers again, asks [Backoff.After]; who keeps the last pause asks [Backoff.Longer] and
// spreads it with [Jitter].
//
// Limits: nothing here decides whether to try again. Errors: none; a wait tells whether the time has passed.
package retry

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Backoff is a pause that doubles from First to Last.
type Backoff struct {
	First time.Duration // after the first failure
	Last  time.Duration // the longest, before it is spread
}

// half is how far a pause is spread to both sides.
const half = 0.5

// After is the pause after n failures, between half and one and a half of First doubled n-1 times, never
// more than one and a half of Last. random is in [0, 1).
func (b Backoff) After(n int, random float64) time.Duration {
	doubled := math.Ldexp(float64(b.First), min(max(n-1, 0), 40))
	return time.Duration(min(doubled, float64(b.Last)) * (1 - half + 2*half*random))
}

// Longer is the pause that follows another one: twice as long, up to Last. After none it is First. It is
// not spread.
func (b Backoff) Longer(pause time.Duration) time.Duration {
	if pause <= 0 {
		return b.First
	}
	return min(2*pause, b.Last)
}

// Pauses begins a row of pauses, for one loop.
func (b Backoff) Pauses() *Pauses {
	p := &Pauses{backoff.ExponentialBackOff{InitialInterval: b.First, MaxInterval: b.Last, Multiplier: 2, RandomizationFactor: half}}
	p.Reset()
	return p
}

// Pauses is a row of pauses, each spread by half to both sides. It is not safe for concurrent use.
type Pauses struct{ row backoff.ExponentialBackOff }

// Next is the next pause; the one after it is twice as long.
func (p *Pauses) Next() time.Duration { return p.row.NextBackOff() }

// Reset begins the row anew, after a success.
func (p *Pauses) Reset() { p.row.Reset() }

// Wait waits for the next pause, as [Wait] does.
func (p *Pauses) Wait(ctx context.Context) bool { return Wait(ctx, p.Next()) }

// Wait waits for d and returns true, or false as soon as ctx has ended, or will surely end before.
func Wait(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// Jitter spreads a pause by a fifth to both sides.
func Jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
