package demo

import (
	"maps"
	"slices"
	"sync"

	"forager/enrich"
	"forager/pipeline"
)

// tally counts how messages were settled, each once, by its place in the stream.
type tally struct {
	mu      sync.Mutex
	ends    []ending     // by sequence; 0 is not settled
	dead    []deadLetter // the first dead letters
	reasons map[string]int
	counts  [lastEnding + 1]int
	unread  int           // dead letters that nobody could read
	moved   chan struct{} // gets a token when something was settled
}

// deadLetter is a message that became a dead letter, and why.
type deadLetter struct {
	sequence uint64
	err      error
}

// mostDeadLetters is how many dead letters are named one by one.
const mostDeadLetters = 20

// ending is how a message was settled for good.
type ending byte

const (
	unsettled ending = iota
	acked
	dropped
	dead
	lastEnding = dead
)

func newTally() *tally { return &tally{reasons: map[string]int{}, moved: make(chan struct{}, 1)} }

// Settled notes a verdict that ends a message.
func (t *tally) Settled(s pipeline.Settlement) {
	end, reason := endingOf(s)
	if end == unsettled {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for uint64(len(t.ends)) <= s.Sequence {
		t.ends = append(t.ends, make([]ending, max(1024, len(t.ends)))...)
	}
	if t.ends[s.Sequence] != unsettled {
		return // its ack was not confirmed the first time, and it came again
	}
	t.ends[s.Sequence] = end
	t.counts[end]++
	if reason != "" {
		t.reasons[reason]++
	}
	if end == dead && s.Class == enrich.Malformed {
		t.unread++
	}
	if end == dead && len(t.dead) < mostDeadLetters {
		t.dead = append(t.dead, deadLetter{s.Sequence, s.Err})
	}
	select {
	case t.moved <- struct{}{}:
	default:
	}
}

// endingOf tells how a settlement ends its message, and in which words.
func endingOf(s pipeline.Settlement) (ending, string) {
	switch {
	case s.Action == pipeline.ActionDeadLetter:
		return dead, "dead letter: " + s.Reason
	case s.Action != pipeline.ActionAck:
		return unsettled, ""
	case s.Class == enrich.Dropped:
		return dropped, "dropped: " + s.Reason
	default:
		return acked, ""
	}
}

// Gate is no concern of a count.
func (t *tally) Gate(bool, string) {}

// Noticed is no concern of a count.
func (t *tally) Noticed(string) {}

// count is how many messages ended so.
func (t *tally) count(e ending) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[e]
}

// unreadable is how many dead letters nobody could read.
func (t *tally) unreadable() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unread
}

// settled is how many messages ended at all.
func (t *tally) settled() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[acked] + t.counts[dropped] + t.counts[dead]
}

// ended tells how the message at a place of the stream ended.
func (t *tally) ended(sequence uint64) ending {
	t.mu.Lock()
	defer t.mu.Unlock()
	if sequence >= uint64(len(t.ends)) {
		return unsettled
	}
	return t.ends[sequence]
}

// deadLetters lists the first dead letters.
func (t *tally) deadLetters() []deadLetter {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.dead)
}

// reason is one reason for which messages did not become part of a case.
type reason struct {
	text  string
	count int
}

// why lists the reasons, in order.
func (t *tally) why() []reason {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []reason
	for _, text := range slices.Sorted(maps.Keys(t.reasons)) {
		all = append(all, reason{text, t.reasons[text]})
	}
	return all
}

var _ pipeline.Observer = (*tally)(nil)
