package pipeline

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"forager/retry"
)

// inFlight knows the messages that this process has in hand, and says how many more it may take.
//
// Its bound follows the backlog: a share of what is pending for each replica, but at least four messages
// for each call in flight, and never more than the limit. Who is alone takes all, so that what belongs to
// one key is applied at once, and not once for each half. Where messages are of many keys the limit is up to four
// times as high: else a key had hardly more than one among them, and each would cost an apply.
type inFlight struct {
	least, most int        // messages
	queues      func() int // how many have something waiting
	mostBytes   int
	pending     atomic.Uint64 // what the server said last
	returning   returning     // what went back with a delay
	replicas    func() (n int, known bool)
	now         func() time.Time

	mu      sync.Mutex
	held    map[identity]*message
	bytes   int
	filling time.Time     // when the first message came of a backlog of which nothing was begun; zero is none
	fills   time.Time     // until when more of it is waited for
	moved   time.Time     // when something was settled, or let past what is stuck, last
	freed   chan struct{} // has one element when something was let go since it was last looked at
}

func newInFlight(o Options, queues func() int, now func() time.Time) *inFlight {
	return &inFlight{
		queues: queues,
		least:  min(4*o.Concurrency, o.MaxInFlight), most: o.MaxInFlight, mostBytes: o.MaxBytesHeld,
		replicas: o.Replicas, now: now, held: map[identity]*message{}, freed: make(chan struct{}, 1),
	}
}

// limit is how many messages may be held at this moment, given how many are.
func (h *inFlight) limit(held int) int {
	most := min(max(h.most, perQueue*h.queues()), spreadOver*h.most)
	backlog := h.pending.Load() + uint64(h.returning.count(h.now())+held)
	sharers := h.sharers()
	share := min((backlog+sharers-1)/sharers, uint64(most))
	return min(max(int(share), h.least), most)
}

// Where messages are of many keys, so many are held for each, and at most so many times the limit.
const (
	perQueue   = 8
	spreadOver = 4
)

// unknownReplicas is how many share a backlog while nobody can tell.
const unknownReplicas = 2

// sharers is how many replicas share the backlog.
func (h *inFlight) sharers() uint64 {
	if h.replicas == nil {
		return unknownReplicas
	}
	n, known := h.replicas()
	if !known {
		return unknownReplicas
	}
	return uint64(max(n, 1))
}

// room is how many messages may be pulled now; 0 means wait. To pull one by one whenever one is
// let go would cost a round trip each, so room opens in eighths. When nothing moves, because few
// keys that cannot go on hold it all, there is room beyond the limit, up to the bound.
func (h *inFlight) room(pullBytes int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := len(h.held)
	limit := h.limit(held)
	room := limit - held
	if held == 0 {
		return min(max(room, 0), h.most)
	}
	if h.bytes+pullBytes > h.mostBytes {
		return 0
	}
	if room >= max(limit/8, 1) {
		return min(room, h.most)
	}
	if h.now().Sub(h.moved) < stuckAfter {
		return 0
	}
	h.moved = h.now()
	return min(h.least, max(h.most, limit)-held)
}

// A backlog is waited for before anything of it begins: a key that is begun with the first of its detections is
// applied once more for the others.
const (
	fillPause = 25 * time.Millisecond  // without a message, until what is there begins; as when a queue has perQueue
	fillMost  = 500 * time.Millisecond // until it begins, whatever comes
)

// fill notes that a message was taken; mu is held.
func (h *inFlight) fill() {
	now, held := h.now(), len(h.held)
	if held == 1 {
		h.filling = now
	}
	if h.filling.IsZero() {
		return
	}
	h.fills = now.Add(fillPause)
	enough := held >= min(h.limit(held), max(h.least, perQueue*h.queues()))
	if enough || h.pending.Load() < uint64(h.least) || now.Sub(h.filling) >= fillMost {
		h.filling, h.fills = time.Time{}, time.Time{}
	}
}

// filled waits until no backlog is arriving of which nothing was begun; false is that the context ended.
func (h *inFlight) filled(ctx context.Context) bool {
	for {
		rest := h.stillFills()
		if rest <= 0 {
			return true
		}
		if !retry.Wait(ctx, rest) {
			return false
		}
	}
}

// stillFills is how long to wait for what is arriving; when that is over, it is until nothing is held again.
func (h *inFlight) stillFills() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	rest := h.fills.Sub(h.now())
	if rest <= 0 {
		h.filling = time.Time{}
	}
	return rest
}

// stuckAfter is how long nothing must have moved before others are let past what is stuck.
const stuckAfter = 500 * time.Millisecond

// full tells that another pull of so many bytes would exceed the limit.
func (h *inFlight) full(pullBytes int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes+pullBytes > h.mostBytes
}

// take holds a message. When it is held already, the newer delivery of the stream replaces the older and
// take returns false: the message is worked once.
func (h *inFlight) take(m *message) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if here, ok := h.held[m.identity()]; ok {
		if m.carried == nil {
			here.renew(m.msg)
		}
		return false
	}
	if len(h.held) == 0 {
		h.moved = h.now()
	}
	h.held[m.identity()] = m
	h.bytes += m.bytes
	h.fill()
	return true
}

// release lets a message go.
func (h *inFlight) release(m *message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[m.identity()] != m {
		return
	}
	delete(h.held, m.identity())
	h.bytes -= m.bytes
	h.poke()
}

// progress notes that something was settled; what only went back is no progress.
func (h *inFlight) progress() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moved = h.now()
}

// poke wakes who waits for room.
func (h *inFlight) poke() {
	select {
	case h.freed <- struct{}{}:
	default:
	}
}

// count is how many messages and bytes are held.
func (h *inFlight) count() (messages, bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.held), h.bytes
}

// heartbeat tells the server of every held message that it is being worked on.
func (h *inFlight) heartbeat() {
	for _, m := range h.all() {
		m.heartbeat()
	}
}

func (h *inFlight) all() []*message {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*message, 0, len(h.held))
	for _, m := range h.held {
		all = append(all, m)
	}
	return all
}

// returning counts the messages that went back with a delay and will come again: the server
// does not count them as pending, and yet they are backlog. Counts are kept by the time of
// return, so that they vanish by themselves, whoever receives the messages.
type returning struct {
	width time.Duration // of a bucket; 0 is returningBucket

	mu      sync.Mutex
	buckets [returningBuckets]int
	first   int64 // the bucket of now: all before it are zero
}

// Buckets of a quarter of a second cover half a minute, of a second two minutes; later returns
// count at the end of it.
const (
	returningBuckets = 128
	returningBucket  = 250 * time.Millisecond
)

// add counts a message that returns after a delay.
func (r *returning) add(now time.Time, delay time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	bucket := min(int64(delay/r.wide()), returningBuckets-1)
	r.buckets[(r.first+bucket)%returningBuckets]++
}

// count is how many have still to return.
func (r *returning) count(now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	n := 0
	for _, b := range r.buckets {
		n += b
	}
	return n
}

func (r *returning) advance(now time.Time) {
	current := now.UnixNano() / int64(r.wide())
	for range min(current-r.first, returningBuckets) {
		r.buckets[r.first%returningBuckets] = 0
		r.first++
	}
	r.first = current
}

func (r *returning) wide() time.Duration { return cmp.Or(r.width, returningBucket) }
