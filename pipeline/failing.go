package pipeline

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

// failing knows the keys of which nothing succeeds. A key that failed for long blocks the
// messages behind it; new ones of it are dead letters then, so that they do not fill what may be
// unacknowledged. Those that are being retried go on, and the first that succeeds clears the key. What
// another replica settled is not heard of here: only a message that itself comes back and fails for so
// long says that nothing of its key succeeds.
type failing struct {
	after time.Duration // how long a key must have failed

	mu   sync.Mutex
	keys *expirable.LRU[string, *failure] // that which failed longest ago makes room
}

// failure is one key's. Times are the gate's: they stand still while it is closed.
type failure struct {
	last     time.Duration
	messages []failedMessage // at most mostFailed; the one that failed last at the end
	several  bool            // more than one failed: it is the key, not the message
	lasting  bool            // one of them failed for long
}

// failedMessage is one, since its first failure.
type failedMessage struct {
	sequence uint64
	since    time.Duration
}

// mostFailed bounds what is remembered of a key.
const mostFailed = 16

func newFailing(after time.Duration, most int) *failing {
	return &failing{after: after, keys: expirable.NewLRU[string, *failure](max(most, 1), nil, 0)}
}

// failed notes that a message of the key failed.
func (f *failing) failed(key string, sequence uint64, now time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.keys.Get(key)
	if !ok {
		k = &failure{}
		f.keys.Add(key, k)
	}
	k.last = now
	m := failedMessage{sequence, now}
	i := slices.IndexFunc(k.messages, func(x failedMessage) bool { return x.sequence == sequence })
	switch {
	case i >= 0:
		m = k.messages[i]
		k.messages = slices.Delete(k.messages, i, i+1)
	case len(k.messages) == mostFailed:
		k.messages = slices.Delete(k.messages, 0, 1)
	}
	k.messages = append(k.messages, m)
	k.several = k.several || len(k.messages) > 1
	k.lasting = k.lasting || now-m.since >= f.after
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
	return k.several && k.lasting
}
