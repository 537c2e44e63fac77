// Package due keeps cases of which something is still to be done, each from its time on, in bounded memory.
//
// What finds no room is not kept, and nobody is told: whoever keeps it elsewhere, too, finds it there. Nothing here fails.
package due

import (
	"sync"
	"time"
)

// Most is how many cases a queue holds; what finds no room is found in the ledger by a later sweep.
const Most = 4096

// Queue holds cases, each by its id. Safe for concurrent use.
type Queue[C any] struct {
	id func(C) string

	mu    sync.Mutex
	cases map[string]waiting[C]
}

type waiting[C any] struct {
	c  C
	at time.Time // not before
}

// New makes an empty queue of cases that have such ids.
func New[C any](id func(C) string) *Queue[C] {
	return &Queue[C]{id: id, cases: map[string]waiting[C]{}}
}

// Later lets a case be taken from a time on.
func (q *Queue[C]) Later(c C, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.put(c, at)
}

// Sooner is Later, but where an earlier time is known that stays.
func (q *Queue[C]) Sooner(c C, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if known, there := q.cases[q.id(c)]; !there || known.at.After(at) {
		q.put(c, at)
	}
}

func (q *Queue[C]) put(c C, at time.Time) {
	id := q.id(c)
	if _, known := q.cases[id]; known || len(q.cases) < Most {
		q.cases[id] = waiting[C]{c, at}
	}
}

// Take takes one case whose time has come; false: there is none.
func (q *Queue[C]) Take(now time.Time) (c C, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, w := range q.cases {
		if !w.at.After(now) {
			delete(q.cases, id)
			return w.c, true
		}
	}
	return c, false
}
