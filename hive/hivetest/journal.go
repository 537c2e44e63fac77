package hivetest

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Call is one request to the server, as the journal and the hooks see it.
type Call struct {
	Seq          int64     // in the order of arrival, from 1
	At           time.Time // arrival, by the machine's clock
	Route        string    // "POST /api/v1/case/{id}/observable"; empty: no such endpoint
	Method       string
	Path         string // as sent, without the query
	Query        string
	Organisation string // the organisation that the call acts in; empty before it is known
	User         string // login; empty before it is known
	Body         []byte // at most 64 KiB of it; do not change
	Status       int    // of the answer; 0: not answered yet, or cut
}

const (
	keptBody   = 64 << 10
	keptBodies = 32 << 20
)

// journal remembers the newest calls, and counts all.
type journal struct {
	mu     sync.Mutex
	limit  int
	seq    int64
	calls  []Call // a ring once it is full
	oldest int
	bytes  int
	counts map[string]int
	total  int
}

func (j *journal) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls, j.oldest, j.bytes, j.counts, j.total = nil, 0, 0, map[string]int{}, 0
}

func (j *journal) number() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	return j.seq
}

func (j *journal) add(c Call) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.total++
	j.counts[or(c.Route, c.Method+" ?")]++
	if len(j.calls) < j.limit {
		j.calls = append(j.calls, c)
	} else {
		j.bytes -= len(j.calls[j.oldest].Body)
		j.calls[j.oldest] = c
		j.oldest = (j.oldest + 1) % j.limit
	}
	j.bytes += len(c.Body)
	for i := 0; j.bytes > keptBodies && i < len(j.calls); i++ {
		old := &j.calls[(j.oldest+i)%len(j.calls)]
		j.bytes -= len(old.Body)
		old.Body = nil
	}
}

// Calls returns the newest calls (Options.Journal of them) in the order of their answers.
func (h *Hive) Calls() []Call {
	j := &h.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	return append(slices.Clone(j.calls[j.oldest:]), j.calls[:j.oldest]...)
}

func (j *journal) tally() (map[string]int, int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.counts), j.total
}
