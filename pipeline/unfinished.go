package pipeline

import (
	"container/list"
	"maps"
	"sync"
	"time"
)

// unfinished knows, of messages that could not be settled, which parts have their result and how
// often an apply of the others failed. It lives as long as the process, and is bounded: what is
// forgotten is applied again, which changes nothing, and counts its failures anew.
type unfinished struct {
	most int

	mu      sync.Mutex
	records map[uint64]*list.Element
	order   *list.List // of *record, the most recently used first
}

// record is what is known of one message, by its stream sequence.
type record struct {
	sequence uint64
	stored   time.Time     // tells a reused sequence of a stream made anew
	tries    int           // failed applies that were the message's own matter
	failed   time.Time     // when an apply of it failed last
	since    time.Duration // on the gate's clock: when the first of them failed
	results  map[int]error // by the plan's index: final results, nil for done
}

func newUnfinished(most int) *unfinished {
	return &unfinished{most: max(most, 1), records: map[uint64]*list.Element{}, order: list.New()}
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
		r = &record{sequence: sequence, stored: stored, results: map[int]error{}}
		m.records[sequence] = m.order.PushFront(r)
		m.trim()
	}
	edit(r)
	return *r
}

// forget drops what is known of a message.
func (m *unfinished) forget(sequence uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.records[sequence]; ok {
		m.order.Remove(e)
		delete(m.records, sequence)
	}
}

func (m *unfinished) find(sequence uint64, stored time.Time) *record {
	e, ok := m.records[sequence]
	if !ok {
		return nil
	}
	r, _ := e.Value.(*record)
	if !r.stored.Equal(stored) {
		m.order.Remove(e)
		delete(m.records, sequence)
		return nil
	}
	m.order.MoveToFront(e)
	return r
}

func (m *unfinished) trim() {
	for m.order.Len() > m.most {
		last := m.order.Back()
		r, _ := m.order.Remove(last).(*record)
		delete(m.records, r.sequence)
	}
}
