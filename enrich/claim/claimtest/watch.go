package claimtest

import (
	"context"
	"slices"
	"strings"
)

// watch is one call of Watch.
type watch struct {
	prefix string
	queue  []change
	more   chan struct{} // holds a token while there is something in the queue
}

type change struct {
	key  string
	item item
}

func (w *watch) add(key string, it item) {
	if !strings.HasPrefix(key, w.prefix) {
		return
	}
	w.queue = append(w.queue, change{key, it})
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// tell tells the watches what a key holds now; the lock is held.
func (m *Memory) tell(key string) {
	for _, w := range m.watches {
		w.add(key, m.entries[key])
	}
}

// Watch tells of the entries whose keys begin with a prefix, and of every later change, until the
// context ends. Lose is not told, as where a bucket is made anew.
func (m *Memory) Watch(ctx context.Context, prefix string, each func(key string, value []byte, revision uint64)) error {
	w := &watch{prefix: prefix, more: make(chan struct{}, 1)}
	m.mu.Lock()
	for key, it := range m.entries {
		w.add(key, it)
	}
	m.watches = append(m.watches, w)
	m.mu.Unlock()
	defer m.unwatch(w)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.more:
		}
		m.mu.Lock()
		queue := w.queue
		w.queue = nil
		m.mu.Unlock()
		for _, c := range queue {
			each(c.key, c.item.value, c.item.revision)
		}
	}
}

func (m *Memory) unwatch(w *watch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watches = slices.DeleteFunc(m.watches, func(other *watch) bool { return other == w })
}
