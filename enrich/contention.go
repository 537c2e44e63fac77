package enrich

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

// contention remembers on which keys another replica was met, so that a hot key is shared: its
// holder leaves it alone for a while after each apply.
type contention struct {
	mu   sync.Mutex // of a change: what it reads must not move on before it writes
	keys *expirable.LRU[string, contended]
}

type contended struct {
	met  time.Time     // when another replica was last met on the key
	last time.Duration // how long our last apply of the key took
}

// contentionMemory is how long another replica counts as interested in a key.
const contentionMemory = time.Minute

func newContention() *contention {
	return &contention{keys: expirable.NewLRU[string, contended](maxRecent, nil, 0)}
}

// yield waits a random time up to the last apply, if the key is shared.
func (r *contention) yield(ctx context.Context, key string) error {
	r.mu.Lock()
	v, ok := r.keys.Get(key)
	if ok && time.Since(v.met) > contentionMemory {
		r.keys.Remove(key)
		ok = false
	}
	r.mu.Unlock()
	if !ok || v.last == 0 {
		return nil
	}
	return pause(ctx, between(0, v.last))
}

// note says how an apply went: whether another replica was met, and how long it took.
func (r *contention) note(key string, met bool, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, known := r.keys.Get(key)
	switch {
	case met:
		v.met = time.Now()
	case !known:
		return
	}
	v.last = took
	r.keys.Add(key, v)
}
