package pipeline

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

// failing knows the keys of which nothing succeeds. A key that failed for long blocks the
// messages behind it; new ones of it are dead letters then, so that they do not fill what may be
// unacknowledged. Those that are being retried go on, and the first that succeeds clears the key.
type failing struct {
	after time.Duration // how long a key must have failed

	mu   sync.Mutex
	keys *expirable.LRU[string, *failure] // that which failed longest ago makes room
}

// failure is one key's. Times are the gate's: they stand still while it is closed.
type failure struct {
	since, last time.Duration
	sequence    uint64 // the first message that failed
	several     bool   // another failed too: it is the key, not the message
}

func newFailing(after time.Duration, most int) *failing {
	return &failing{after: after, keys: expirable.NewLRU[string, *failure](max(most, 1), nil, 0)}
}

// failed notes that a message of the key failed.
func (f *failing) failed(key string, sequence uint64, now time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.keys.Get(key)
	if !ok {
		k = &failure{since: now, sequence: sequence}
		f.keys.Add(key, k)
	}
	k.last = now
	k.several = k.several || k.sequence != sequence
}

// succeeded clears the key.
func (f *failing) succeeded(key string) { f.keys.Remove(key) }

// blocked tells whether a new message of the key need not be tried. A key that nobody tried for
// as long again is tried once more.
func (f *failing) blocked(key string, now time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.keys.Peek(key)
	if !ok {
		return false
	}
	if now-k.last >= f.after {
		f.keys.Remove(key)
		return false
	}
	return k.several && now-k.since >= f.after
}
