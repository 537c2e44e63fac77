package pipeline

import (
	"maps"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

// unfinished knows, of messages that could not be settled, which parts have their result and how
// often an apply of the others failed. It lives as long as the process, and is bounded: what is
// forgotten is applied again, which changes nothing, and counts its failures anew.
type unfinished struct {
	mu      sync.Mutex
	records *expirable.LRU[uint64, *record] // by stream sequence
}

// record is what is known of one message.
type record struct {
	stored  time.Time     // tells a reused sequence of a stream made anew
	tries   int           // failed applies that were the message's own matter
	failed  time.Time     // when an apply of it failed last
	since   time.Duration // on the gate's clock: when the first of them failed
	results map[int]error // by the plan's index: final results, nil for done
}

func newUnfinished(most int) *unfinished {
	return &unfinished{records: expirable.NewLRU[uint64, *record](max(most, 1), nil, 0)}
}

// recall returns what is known of a message; a zero record when nothing is.
func (m *unfinished) recall(sequence uint64, stored time.Time) record {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.find(sequence, stored)
	if r == nil {
		return record{}
	}
	known := *r
	known.results = maps.Clone(r.results)
	return known
}

// change lets the caller edit what is known of a message, making a record where there is none.
// It returns the record as it is then; its results must not be kept.
func (m *unfinished) change(sequence uint64, stored time.Time, edit func(*record)) record {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.find(sequence, stored)
	if r == nil {
		r = &record{stored: stored, results: map[int]error{}}
		m.records.Add(sequence, r)
	}
	edit(r)
	return *r
}

// forget drops what is known of a message.
func (m *unfinished) forget(sequence uint64) { m.records.Remove(sequence) }

// find is what is known of a message; nil for nothing. The lock is held.
func (m *unfinished) find(sequence uint64, stored time.Time) *record {
	r, ok := m.records.Get(sequence)
	if !ok || !r.stored.Equal(stored) {
		m.records.Remove(sequence)
		return nil
	}
	return r
}
