package feedback

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"forager/retry"
)

// mostNoted bounds the cases that wait; what is noted beyond is found by the next look for changed cases.
const mostNoted = 1 << 16

// queue holds the cases that are to be looked at, each once, and when.
type queue struct {
	pauses retry.Backoff
	wake   chan struct{} // one at a time: something is due sooner than it was

	mu  sync.Mutex
	due map[string]due
}

type due struct {
	at    time.Time
	tries int // that failed
}

func newQueue(pauses retry.Backoff) *queue {
	return &queue{pauses: pauses, wake: make(chan struct{}, 1), due: map[string]due{}}
}

// note makes a case due now. It never blocks.
func (q *queue) note(id string) { q.add(id, due{at: time.Now()}) }

// failed makes a case due again after a pause that grows with its failures.
func (q *queue) failed(id string, before int) {
	q.add(id, due{at: time.Now().Add(q.pauses.After(before+1, rand.Float64())), tries: before + 1})
}

func (q *queue) add(id string, d due) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if known, ok := q.due[id]; ok && !d.at.Before(known.at) || !ok && len(q.due) >= mostNoted {
		return
	}
	q.due[id] = d
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// waiting is how many cases wait.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.due)
}

// take takes what is due, by id with the failures so far, and says how long nothing else is; longest where nothing waits.
func (q *queue) take(longest time.Duration) (now map[string]int, pause time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now, pause = map[string]int{}, longest
	for id, d := range q.due {
		if left := time.Until(d.at); left > 0 {
			pause = min(pause, left)
			continue
		}
		now[id] = d.tries
		delete(q.due, id)
	}
	return now, pause
}

// next waits until something is due, and takes it; nil when ctx ends.
func (q *queue) next(ctx context.Context) map[string]int {
	for ctx.Err() == nil {
		now, pause := q.take(time.Hour)
		if len(now) > 0 {
			return now
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}
