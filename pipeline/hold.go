package pipeline

import (
	"sync"
	"sync/atomic"
)

// hold knows the messages that this process has in hand, and says how many more it may take.
//
// Its bound follows the backlog: half of what is pending, so that replicas share it, but at
// least four for each call in flight, and never more than the limit.
type hold struct {
	least, most int // messages
	mostBytes   int
	pending     atomic.Uint64 // what the server said last

	mu    sync.Mutex
	held  map[uint64]*message
	bytes int
	freed chan struct{} // has one element when something was let go since it was last looked at
}

func newHold(o Options) *hold {
	return &hold{
		least: min(4*o.Concurrency, o.MaxInFlight), most: o.MaxInFlight, mostBytes: o.MaxBytesHeld,
		held: map[uint64]*message{}, freed: make(chan struct{}, 1),
	}
}

// limit is how many messages may be held at this moment.
func (h *hold) limit() int {
	half := min(h.pending.Load()/2, uint64(h.most)) //nolint:gosec // most is positive
	return min(max(int(half), h.least), h.most)     //nolint:gosec // half is at most most
}

// room is how many messages may be pulled now; 0 means wait for freed. To pull one by one
// whenever one is let go would cost a round trip each, so room opens in eighths.
func (h *hold) room(pullBytes int) int {
	limit := h.limit()
	h.mu.Lock()
	defer h.mu.Unlock()
	room := limit - len(h.held)
	if len(h.held) > 0 && (room < max(limit/8, 1) || h.bytes+pullBytes > h.mostBytes) {
		return 0
	}
	return max(room, 0)
}

// full tells that another pull of so many bytes would exceed the limit.
func (h *hold) full(pullBytes int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes+pullBytes > h.mostBytes
}

// take holds a message. When it is held already, the newer delivery replaces the older and
// take returns false: the message is worked once.
func (h *hold) take(m *message) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if here, ok := h.held[m.sequence]; ok {
		here.renew(m.msg)
		return false
	}
	h.held[m.sequence] = m
	h.bytes += m.bytes
	return true
}

// release lets a message go.
func (h *hold) release(m *message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[m.sequence] != m {
		return
	}
	delete(h.held, m.sequence)
	h.bytes -= m.bytes
	select {
	case h.freed <- struct{}{}:
	default:
	}
}

// count is how many messages and bytes are held.
func (h *hold) count() (messages, bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.held), h.bytes
}

// heartbeat tells the server of every held message that it is being worked on.
func (h *hold) heartbeat() {
	for _, m := range h.all() {
		m.heartbeat()
	}
}

func (h *hold) all() []*message {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*message, 0, len(h.held))
	for _, m := range h.held {
		all = append(all, m)
	}
	return all
}
