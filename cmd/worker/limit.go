package main

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// How the limit moves.
const (
	cutThrottled  = 0.7                    // factor after a 429
	cutSlow       = 0.9                    // factor after a slow window
	slow          = 2.0                    // a window this many times slower than usual is slow
	drift         = 0.02                   // how much of a window the idea of "usual" takes over
	leastPause    = 500 * time.Millisecond // between two cuts for 429: one burst is one sign
	window        = time.Second            // of the measurements
	windowAnswers = 20                     // that a window needs to mean anything
)

// limit bounds the calls in flight. It starts at its bound, falls when the server says 429 or
// answers slower than it used to, and climbs back, one at a time for each full window, while the
// limit is what holds calls back. A 503 says nothing about how many calls are right, and moves
// nothing. Callers wait in the order in which they came.
type limit struct {
	most, least float64

	mu      sync.Mutex
	now     float64
	flying  int
	waiting list.List // of chan struct{}
	cutAt   time.Time // when the last 429 cut

	begin time.Time // of the window
	sum   time.Duration
	count int
	full  bool          // a call had to wait in this window
	usual time.Duration // what an answer took in quiet windows
}

func newLimit(most int) *limit {
	return &limit{most: float64(most), least: float64(max(1, most/16)), now: float64(most)}
}

// acquire waits for a place. Its error is the context's.
func (l *limit) acquire(ctx context.Context) error {
	l.mu.Lock()
	if l.waiting.Len() == 0 && l.flying < int(l.now) {
		l.flying++
		l.mu.Unlock()
		return nil
	}
	l.full = true
	turn := make(chan struct{})
	place := l.waiting.PushBack(turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		l.leave(place, turn)
		return ctx.Err()
	}
}

// leave gives up a turn, which may have come in the meantime.
func (l *limit) leave(place *list.Element, turn chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-turn:
		l.flying--
	default:
		l.waiting.Remove(place)
	}
	l.admit()
}

// release gives a place back. took is how long the answer took, 0 when there was none.
func (l *limit) release(took time.Duration, throttled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying--
	switch now := time.Now(); {
	case throttled && now.Sub(l.cutAt) >= leastPause:
		l.cutAt = now
		l.set(l.now * cutThrottled)
	case !throttled && took > 0:
		l.measure(now, took)
	}
	l.admit()
}

// admit lets in who waits, as far as there is room.
func (l *limit) admit() {
	for l.waiting.Len() > 0 && l.flying < int(l.now) {
		turn, ok := l.waiting.Remove(l.waiting.Front()).(chan struct{})
		if ok {
			l.flying++
			close(turn)
		}
	}
}

func (l *limit) set(n float64) { l.now = min(max(n, l.least), l.most) }

// measure takes an answer into the window, and moves the limit when the window is over.
func (l *limit) measure(now time.Time, took time.Duration) {
	if l.begin.IsZero() {
		l.begin = now
	}
	l.sum += took
	l.count++
	if now.Sub(l.begin) < window || l.count < windowAnswers {
		return
	}
	mean, full := l.sum/time.Duration(l.count), l.full
	l.begin, l.sum, l.count, l.full = now, 0, 0, false
	switch {
	case l.usual == 0 || mean < l.usual:
		l.usual = mean
	default: // a server that stays slow is a slow server: get used to it
		l.usual += time.Duration(float64(mean-l.usual) * drift)
	}
	switch {
	case float64(mean) > slow*float64(l.usual):
		l.set(l.now * cutSlow)
	case full:
		l.set(l.now + 1)
	}
}

// current is the limit as it stands.
func (l *limit) current() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.now)
}
