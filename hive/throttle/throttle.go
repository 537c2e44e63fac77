// Package throttle spares a server that is overloaded or down, and an account that is refused: one
// bound on the calls in flight, one breaker, and a pause after refused credentials.
//
// # Promise
//
// All calls that share a [Throttle] are together held to its bound. Whoever calls waits in
// [Throttle.Acquire] before anything of the call begins, so that no time-out runs meanwhile; every
// slot is given back once, by [Slot.Release]. The bound falls when the server says 429, and while
// fewer calls make its answers faster; not for a 503, and not because a server is slow. The breaker
// opens when nearly all of the last calls found nobody who answers. It never sends anything.
//
// The package is a leaf: it knows neither HTTP nor TheHive, and is told how a call ended.
package throttle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"golang.org/x/sync/semaphore"
)

// Errors for which no call may be made now.
var (
	// ErrOpen: the server failed so often that nothing is sent to it for a moment.
	ErrOpen = errors.New("circuit breaker is open")
	// ErrRefused: these credentials were refused a short while ago, and servers ban who tries too often.
	ErrRefused = errors.New("credentials were refused")
)

// The breaker opens when so many of the last calls failed, and tries one again after the pause.
const (
	breakerFailures = 18
	breakerCalls    = 20
	breakerPause    = 5 * time.Second
)

// Throttle bounds calls. It is safe for concurrent use; make it with [New].
type Throttle struct {
	breaker circuitbreaker.CircuitBreaker[any]
	limit   *limit
	refused refusals
	room    *semaphore.Weighted
}

// RoomBytes is what the large answers weigh together, in bytes, while they are read and decoded.
const RoomBytes = 16 << 20

// Room waits until n more bytes of answers may be held; done gives them back. Who asks for more than
// [RoomBytes] has all. Nobody may wait who holds room. The error is the context's.
func (t *Throttle) Room(ctx context.Context, n int64) (done func(), err error) {
	n = min(n, RoomBytes)
	if err := t.room.Acquire(ctx, n); err != nil {
		return func() {}, err
	}
	return sync.OnceFunc(func() { t.room.Release(n) }), nil
}

// New makes a throttle for at most so many calls in flight, one at least.
func New(most int) *Throttle {
	return &Throttle{
		breaker: circuitbreaker.NewBuilder[any]().
			WithFailureThresholdRatio(breakerFailures, breakerCalls).
			WithDelay(breakerPause).
			Build(),
		limit:   newLimit(max(1, most)),
		room:    semaphore.NewWeighted(RoomBytes),
		refused: refusals{last: map[string]refusal{}},
	}
}

// Limit is how many calls may be in flight now.
func (t *Throttle) Limit() int { return t.limit.current() }

// InFlight is how many calls are under way.
func (t *Throttle) InFlight() int { return t.limit.underWay() }

// Ending is how a call ended.
type Ending int

// The endings.
const (
	// Answered: the server works, whatever it said.
	Answered Ending = iota
	// Busy: it asks for fewer calls, 429.
	Busy
	// Down: nobody answers, or only to say so.
	Down
	// Refused: it does not take these credentials.
	Refused
	// Abandoned: the caller gave up, which says nothing of the server.
	Abandoned
)

// Slot is leave to make one call, until it is released.
type Slot struct {
	t    *Throttle
	kind string
	who  string
	once sync.Once
}

// Acquire waits for a slot for a call of a kind (such as "create case"), in the order in which
// callers came. who asks, once there is a slot, as whom the call will be made: anything that is
// another for other credentials, and no secret. The error is the context's, [ErrOpen] or
// [ErrRefused]; then there is nothing to release.
func (t *Throttle) Acquire(ctx context.Context, kind string, who func() string) (*Slot, error) {
	if err := t.limit.acquire(ctx); err != nil {
		return nil, err
	}
	s := &Slot{t: t, kind: kind, who: who()}
	if until, wait := t.refused.ask(s.who, time.Now()); wait {
		t.limit.release("", 0, false)
		return nil, fmt.Errorf("%w: they are not tried again before %s, or until they change", ErrRefused, until.UTC().Format(time.TimeOnly))
	}
	if !t.breaker.TryAcquirePermit() {
		t.limit.release("", 0, false)
		return nil, ErrOpen
	}
	return s, nil
}

// Release gives the slot back and tells how the call ended. took is how long it took, 0 where that
// does not say how fast the server is. Only the first Release counts.
func (s *Slot) Release(end Ending, took time.Duration) {
	s.once.Do(func() {
		switch {
		case end == Down, end == Abandoned && s.t.breaker.IsHalfOpen(): // its trial must have an outcome
			s.t.breaker.RecordFailure()
		case end == Abandoned:
		default:
			s.t.breaker.RecordSuccess()
		}
		if end == Down || end == Abandoned {
			took = 0
		}
		switch end {
		case Refused:
			s.t.refused.note(s.who, time.Now())
		case Answered:
			s.t.refused.forget(s.who)
		case Busy, Down, Abandoned:
		}
		s.t.limit.release(s.kind, took, end == Busy)
	})
}
