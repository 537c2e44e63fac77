package claim

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

// Contention remembers on which keys another replica was met, so that a hot key is shared: its
// holder leaves it alone for a while after each time. Safe for concurrent use.
type Contention struct {
	mu   sync.Mutex // of a change: what it reads must not move on before it writes
	keys *expirable.LRU[string, meeting]
}

type meeting struct {
	met  time.Time     // when another replica was last met on the key
	last time.Duration // how long we held the key the last time
}

// contentionMemory is how long another replica counts as interested in a key.
const contentionMemory = time.Minute

// NewContention knows of no key yet; it remembers the 4096 that were used last.
func NewContention() *Contention {
	return &Contention{keys: expirable.NewLRU[string, meeting](mostRemembered, nil, 0)}
}

// Yield waits a random time up to how long the key was held last, if it is shared, so that another
// replica gets at it; idle is called before the wait. Error: that of [Ended], when the context ends before.
func (c *Contention) Yield(ctx context.Context, key string, idle func()) error {
	c.mu.Lock()
	v, ok := c.keys.Get(key)
	if ok && time.Since(v.met) > contentionMemory {
		c.keys.Remove(key)
		ok = false
	}
	c.mu.Unlock()
	if !ok || v.last == 0 {
		return nil
	}
	idle()
	return Wait(ctx, between(0, v.last))
}

// Note says how the key was held: whether another replica was met on it ([Claim.Contended]), and for
// how long.
func (c *Contention) Note(key string, met bool, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, known := c.keys.Get(key)
	switch {
	case met:
		v.met = time.Now()
	case !known:
		return
	}
	v.last = took
	c.keys.Add(key, v)
}
