package pipeline

import (
	"context"
	"sync"
	"time"

	"forager/retry"
)

// group is where plans wait: those of one queue behind the apply that runs for it, and when
// that returns they all go together. Idle, a plan waits for nothing; in a storm a key's
// detections cost the calls of one.
//
// A queue that has something waiting and no apply is ready. Queues go first in, first out, as applies end: a
// hot key stands behind every other after each of its batches. What a batch holds is decided when it begins.
type group struct {
	share, shareBytes int // what may wait of one queue: a quarter of what may be held
	keep              int // plans of what waits

	mu      sync.Mutex
	queues  map[string]*queue
	kept    int           // plans of what waits
	ready   []*queue      // the longest first
	became  chan struct{} // has one element when a queue became ready since it was last looked at
	stopped bool
	full    fullQueue
}

type queue struct {
	name    string
	going   bool // an apply of it runs, or it is ready
	waiting []*part
	bytes   int       // of the waiting messages' bodies
	rate    float64   // parts a second that full batches would have, hopeful until one went
	turn    time.Time // when the next part that had to go back should return
}

// hopeful is how many full batches a second are expected of a queue that has shown none.
const hopeful = 10

// eager is by how much what went back returns faster than the queue goes: a queue that runs
// empty costs more than a message that goes back twice.
const eager = 1.2

// batchParts bounds one apply whatever its messages inflight.
const batchParts = 4000

func newGroup(o Options) *group {
	return &group{
		share: max(o.MaxInFlight/4, 1), shareBytes: max(o.MaxBytesHeld/4, 1),
		keep:   o.MaxInFlight,
		queues: map[string]*queue{}, became: make(chan struct{}, 1),
	}
}

// overflow tells whether a message may not wait because one of its queues holds its share, and
// when it should come back: paced by the rate at which the queue went lately, so that what went
// back is not delivered again and again only to find the queue full.
func (g *group) overflow(m *message, now time.Time) (time.Duration, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range m.parts {
		q := g.queues[m.parts[i].queue]
		if q == nil || len(q.waiting) == 0 {
			continue
		}
		if len(q.waiting) >= g.share || q.bytes+m.bytes > g.shareBytes {
			g.full.queue, g.full.seen = q.name, now
			return q.back(now, m.deliveries), true
		}
	}
	return 0, false
}

// back hands out the next turn to return. A message that found the queue full often stays away
// longer: the server delivers what returns before what is new.
func (q *queue) back(now time.Time, deliveries int) time.Duration {
	const soonest, longer, latest = 250 * time.Millisecond, 8 * time.Second, 30 * time.Second
	often := retry.Backoff{First: soonest / 2, Last: longer}.After(deliveries, 0.5)
	if q.turn.Before(now.Add(soonest)) {
		q.turn = now.Add(soonest)
	}
	q.turn = q.turn.Add(time.Duration(float64(time.Second) / (eager * q.rate)))
	return min(max(q.turn.Sub(now), often), latest)
}

// waitingBack is about how many messages went back for the queue and have not returned.
func (g *group) waitingBack(name string, now time.Time) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.queues[name]
	if q == nil || !q.turn.After(now) {
		return 0
	}
	return int(q.turn.Sub(now).Seconds() * eager * q.rate)
}

// count is how many queues have something waiting or an apply.
func (g *group) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queues)
}

// add lets the parts of a message wait. After stop it takes nothing and returns false.
func (g *group) add(m *message) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return false
	}
	share := m.bytes / max(len(m.parts), 1)
	for i := range m.parts {
		p := &m.parts[i]
		name := p.queue
		q := g.queues[name]
		if q == nil {
			q = &queue{name: name, rate: hopeful * float64(g.share)}
			g.queues[name] = q
		}
		q.waiting = append(q.waiting, p)
		q.bytes += share
		if g.kept++; g.kept > g.keep {
			g.kept, p.plan = g.keep, nil
		}
		g.isReady(q)
	}
	return true
}

// isReady lets a queue stand in line, unless it does, or an apply of it runs.
func (g *group) isReady(q *queue) {
	if q.going {
		return
	}
	q.going = true
	g.ready = append(g.ready, q)
	select {
	case g.became <- struct{}{}:
	default:
	}
}

// await waits until a queue is ready; false is that the context ended before.
func (g *group) await(ctx context.Context) bool {
	for {
		g.mu.Lock()
		n := len(g.ready)
		g.mu.Unlock()
		if n > 0 {
			return ctx.Err() == nil
		}
		select {
		case <-g.became:
		case <-ctx.Done():
			return false
		}
	}
}

// begin takes the queue that has been ready longest, with what goes in its apply; nil is none. Whoever takes it
// calls end.
func (g *group) begin() (*queue, []*part) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.ready) == 0 {
		return nil, nil
	}
	q := g.ready[0]
	g.ready = g.ready[1:]
	return q, g.next(q)
}

// end lets a queue whose apply ended stand in line again, or forgets it if nothing waits in it.
func (g *group) end(q *queue) {
	g.mu.Lock()
	defer g.mu.Unlock()
	q.going = false
	if len(q.waiting) == 0 {
		delete(g.queues, q.name)
		return
	}
	g.isReady(q)
}

// next takes what goes in the queue's next apply: all that waits, but a message that must go alone does.
func (g *group) next(q *queue) []*part {
	batch, rest := split(q.waiting)
	q.waiting = rest
	g.begun(q, batch)
	return batch
}

// joining takes what may join a batch of the queue that has begun: what came since, but for messages that must go
// alone; nothing where the batch is such a message, or is to prove the gate.
func (g *group) joining(q *queue, batch []*part) (joins []*part) {
	if batch[0].of.alone || isProbe(batch) {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var rest []*part
	for _, p := range q.waiting {
		if p.of.alone || p.of.probe != nil || p.waits || len(batch)+len(joins) >= batchParts {
			rest = append(rest, p)
		} else {
			joins = append(joins, p)
		}
	}
	q.waiting = rest
	g.begun(q, joins)
	return joins
}

// begun notes that parts of a queue do not wait any more.
func (g *group) begun(q *queue, parts []*part) {
	for _, p := range parts {
		q.bytes -= p.of.bytes / max(len(p.of.parts), 1)
		if p.plan != nil {
			g.kept--
		}
	}
}

// split divides what waits into the next batch and the rest, keeping the order. The first part
// always goes: with its own message alone, or with all others that need not go alone.
func split(waiting []*part) (batch, rest []*part) {
	first := waiting[0].of
	for _, p := range waiting {
		joins := !first.alone && !p.of.alone && len(batch) < batchParts
		if joins || p.of == first {
			batch = append(batch, p)
		} else {
			rest = append(rest, p)
		}
	}
	return batch, rest
}

// went notes how long a batch of the queue took: a full one takes hardly longer.
func (g *group) went(q *queue, parts int, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	q.rate = float64(max(parts, g.share)) / max(took, time.Millisecond).Seconds()
}

// stop takes nothing more and returns all that waits; what is being applied goes on.
func (g *group) stop() []*part {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	var waiting []*part
	for _, q := range g.queues {
		waiting = append(waiting, q.waiting...)
		q.waiting, q.bytes = nil, 0
	}
	for _, q := range g.ready {
		delete(g.queues, q.name)
	}
	g.ready = nil
	return waiting
}

// fullQueue is the queue that overflowed last. While one key is most of what comes, pulling as much
// as may be held would send most of it back, again and again: so the pull follows that queue's
// space, and only now and then looks past it for the messages of others.
type fullQueue struct {
	queue  string
	seen   time.Time // when it overflowed last
	beyond time.Time // when something was pulled although the queue had no space
}

const (
	fullLasts  = 5 * time.Second
	lookBeyond = 100 * time.Millisecond // between two pulls that look past a full queue
)

// allow is how much of the room may be pulled now; 0 is nothing before a batch begins, or for
// as long as lookBeyond.
func (g *group) allow(room int, now time.Time) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.full.queue == "" || now.Sub(g.full.seen) >= fullLasts {
		return room
	}
	space := g.share
	if q := g.queues[g.full.queue]; q != nil {
		space -= len(q.waiting)
	}
	if space >= max(g.share/2, 1) {
		return min(room, space)
	}
	if now.Sub(g.full.beyond) < lookBeyond {
		return 0
	}
	g.full.beyond = now
	return min(room, max(g.share/2, 1))
}
