package pipeline

import "time"

// crowd is the queue that overflowed last. While one key is most of what comes, pulling as much
// as may be held would send most of it back, again and again: so the pull follows that queue's
// space, and only now and then looks past it for the messages of others.
type crowd struct {
	queue  string
	seen   time.Time // when it overflowed last
	beyond time.Time // when something was pulled although the queue had no space
}

const (
	crowdLasts = 5 * time.Second
	lookBeyond = 100 * time.Millisecond // between two pulls that look past a full queue
)

// allow is how much of the room may be pulled now; 0 is nothing before a batch begins, or for
// as long as lookBeyond.
func (g *group) allow(room int, now time.Time) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.crowd.queue == "" || now.Sub(g.crowd.seen) >= crowdLasts {
		return room
	}
	space := g.share
	if q := g.queues[g.crowd.queue]; q != nil {
		space -= len(q.waiting)
	}
	if space >= max(g.share/2, 1) {
		return min(room, space)
	}
	if now.Sub(g.crowd.beyond) < lookBeyond {
		return 0
	}
	g.crowd.beyond = now
	return min(room, max(g.share/2, 1))
}
