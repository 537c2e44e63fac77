package claim

import (
	"context"
	"sync"
)

// KeyedLock lets one caller a name go on at a time, first in, first out, within this process: what waits here sends
// no request to the store. Safe for concurrent use.
type KeyedLock struct {
	mu    sync.Mutex
	lines map[string][]chan struct{} // present: taken; the channels wait, oldest first
}

// NewKeyedLock is a lock of which every name is free.
func NewKeyedLock() *KeyedLock { return &KeyedLock{lines: make(map[string][]chan struct{})} }

// Lock waits until the name is free, or the context ends; idle is called before a wait. Whoever has
// locked a name unlocks it. Error: that of [Ended].
func (k *KeyedLock) Lock(ctx context.Context, name string, idle func()) error {
	k.mu.Lock()
	line, taken := k.lines[name]
	if !taken {
		k.lines[name] = nil
		k.mu.Unlock()
		return nil
	}
	mine := make(chan struct{}, 1)
	k.lines[name] = append(line, mine)
	k.mu.Unlock()
	idle()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
		k.leave(name, mine)
		return Ended(ctx)
	}
}

// Unlock passes the name on to who has waited longest.
func (k *KeyedLock) Unlock(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	line := k.lines[name]
	if len(line) == 0 {
		delete(k.lines, name)
		return
	}
	line[0] <- struct{}{}
	k.lines[name] = line[1:]
}

// leave takes a waiting channel out of the line; a lock that was passed on meanwhile goes to the next.
func (k *KeyedLock) leave(name string, mine chan struct{}) {
	k.mu.Lock()
	for i, c := range k.lines[name] {
		if c == mine {
			k.lines[name] = append(k.lines[name][:i], k.lines[name][i+1:]...)
			k.mu.Unlock()
			return
		}
	}
	k.mu.Unlock()
	k.Unlock(name)
}
