package throttle

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// How the limit moves.
const (
	cutThrottled  = 0.7                    // factor after a 429
	tryLess       = 0.95                   // factor by which it is tried whether fewer calls are faster
	cutSlow       = 0.8                    // factor while they are
	helped        = 0.5                    // how much of a cut must come back as speed
	slow          = 2.0                    // a window this many times slower than usual is slow
	drift         = 0.02                   // how much of a window the idea of "usual" takes over
	leastPause    = 500 * time.Millisecond // between two cuts for 429: one burst is one sign
	window        = time.Second            // of the measurements
	windowAnswers = 20                     // that a window needs to mean anything
)

// limit bounds the calls in flight. It starts at its bound, falls when the server says 429, and
// climbs back, one at a time for each full window, while the limit is what holds calls back.
//
// Slow answers have two causes, and only one calls for fewer calls: of a server that is overloaded
// calls wait for each other, and fewer are faster; of a server that is slow fewer calls are only
// less work done. So a slow window first takes a twentieth off; where the answers become faster by it
// the limit falls on, and where they do not it returns, and the server's pace is the usual one.
// A 503 says nothing about how many calls are right, and moves nothing. Callers wait in order.
type limit struct {
	most, least float64

	mu      sync.Mutex
	now     float64
	flying  int
	waiting list.List // of chan struct{}
	cutAt   time.Time // when the last 429 cut

	begin  time.Time // of the window
	count  int
	full   bool             // a call had to wait in this window
	paces  map[string]*pace // by kind of call: the program's own few words
	step   step
	before float64 // the limit before calls were taken away
	ratio  float64 // and how slow they were
}

// step is where the limit is in finding out whether fewer calls are faster.
type step int

const (
	steady  step = iota // calls are as fast as usual
	slowed              // they are not: this window says how slow they are under this limit
	turning             // calls were taken away: this window's began before and after
	trying              // this window says whether that helped
)

// pace is how long calls of one kind take.
type pace struct {
	usual time.Duration // in quiet windows
	sum   time.Duration // of this window
	count int
}

func newLimit(most int) *limit {
	return &limit{most: float64(most), least: float64(max(1, most/16)), now: float64(most), paces: map[string]*pace{}}
}

// acquire waits for a slot. Its error is the context's.
func (l *limit) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
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

// release gives a slot back. took is how long the answer took, 0 when that means nothing.
func (l *limit) release(kind string, took time.Duration, throttled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying--
	switch now := time.Now(); {
	case throttled && now.Sub(l.cutAt) >= leastPause:
		l.cutAt, l.step = now, steady
		l.set(l.now * cutThrottled)
	case !throttled && took > 0:
		l.measure(now, kind, took)
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
func (l *limit) measure(now time.Time, kind string, took time.Duration) {
	if l.begin.IsZero() {
		l.begin = now
	}
	p := l.paces[kind]
	if p == nil {
		p = &pace{}
		l.paces[kind] = p
	}
	p.sum, p.count, l.count = p.sum+took, p.count+1, l.count+1
	if now.Sub(l.begin) < window || l.count < windowAnswers {
		return
	}
	ratio, full := l.slowness(), l.full
	l.begin, l.count, l.full = now, 0, false
	l.move(ratio, full)
	for _, p := range l.paces {
		p.settle(l.step == steady)
	}
}

// slowness is how many times longer than usual the calls of the window took, kind by kind: a window
// of uploads is no slower than one of look-ups.
func (l *limit) slowness() float64 {
	sum := 0.0
	for _, p := range l.paces {
		if p.count > 0 {
			sum += p.ratio() * float64(p.count)
		}
	}
	return sum / float64(l.count)
}

// ratio is how many times longer than usual this window's calls took.
func (p *pace) ratio() float64 {
	if p.usual == 0 {
		return 1
	}
	return float64(p.sum) / float64(p.count) / float64(p.usual)
}

// settle ends the window. What is usual stays while it is what is compared with.
func (p *pace) settle(learns bool) {
	if p.count == 0 {
		return
	}
	mean := p.sum / time.Duration(p.count)
	if p.usual == 0 || mean < p.usual {
		p.usual = mean
	} else if learns { // what stays slow is slow: get used to it
		p.usual += time.Duration(float64(mean-p.usual) * drift)
	}
	p.sum, p.count = 0, 0
}

// move decides at the end of a window.
func (l *limit) move(ratio float64, full bool) {
	switch l.step {
	case steady:
		if ratio > slow && full && l.now > l.least {
			l.step = slowed
		} else if full {
			l.set(l.now + 1)
		}
	case slowed:
		l.step = steady
		if ratio > slow {
			l.less(ratio, min(l.now*tryLess, float64(int(l.now)-1)))
		}
	case turning:
		l.step = trying
	case trying:
		l.tried(ratio)
	}
}

// less takes calls away to see whether the others become faster.
func (l *limit) less(ratio, to float64) {
	l.before, l.ratio, l.step = l.now, ratio, turning
	l.set(to)
}

// tried looks whether fewer calls were faster ones.
func (l *limit) tried(ratio float64) {
	cut := 1 - l.now/l.before
	l.step = steady
	switch faster := ratio <= l.ratio*(1-helped*cut); {
	case faster && ratio > slow && l.now > l.least:
		l.less(ratio, l.now*cutSlow)
	case faster:
	default:
		l.set(l.before)
		for _, p := range l.paces { // the server is slow, and no call of ours the cause
			p.usual = time.Duration(float64(p.usual) * ratio)
		}
	}
}

// current is the limit as it stands.
func (l *limit) current() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.now)
}

// underWay is how many calls hold a place.
func (l *limit) underWay() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flying
}
