package main

import (
	"sync"

	"forager/pipeline"
)

// ends counts the messages that a worker in the test's process is done with.
type ends struct {
	mu   sync.Mutex
	seen map[uint64]bool // by sequence: one whose ack is lost comes again
}

// Settled notes what ended, and not what is tried again.
func (e *ends) Settled(s pipeline.Settlement) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.Action != pipeline.ActionNak {
		if e.seen == nil {
			e.seen = map[uint64]bool{}
		}
		e.seen[s.Sequence] = true
	}
}

// Gate hears nothing.
func (e *ends) Gate(bool, string) {}

// Noticed hears nothing.
func (e *ends) Noticed(string) {}

// count is how many there are.
func (e *ends) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.seen)
}
