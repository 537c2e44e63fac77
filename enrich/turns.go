package enrich

import (
	"context"
	"sync"
)

// turns gives out one turn a name at a time, first in, first out, within this process.
type turns struct {
	mu    sync.Mutex
	lines map[string][]chan struct{} // present: taken; the channels wait, oldest first
}

func newTurns() *turns { return &turns{lines: make(map[string][]chan struct{})} }

// take waits for the turn, or the end of the context; idle is called before a wait.
func (t *turns) take(ctx context.Context, name string, idle func()) error {
	t.mu.Lock()
	line, taken := t.lines[name]
	if !taken {
		t.lines[name] = nil
		t.mu.Unlock()
		return nil
	}
	mine := make(chan struct{}, 1)
	t.lines[name] = append(line, mine)
	t.mu.Unlock()
	idle()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
		t.leave(name, mine)
		return stopped(ctx)
	}
}

// give passes the turn on.
func (t *turns) give(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := t.lines[name]
	if len(line) == 0 {
		delete(t.lines, name)
		return
	}
	line[0] <- struct{}{}
	t.lines[name] = line[1:]
}

// leave takes a waiting channel out of the line; a turn that was given meanwhile is passed on.
func (t *turns) leave(name string, mine chan struct{}) {
	t.mu.Lock()
	for i, c := range t.lines[name] {
		if c == mine {
			t.lines[name] = append(t.lines[name][:i], t.lines[name][i+1:]...)
			t.mu.Unlock()
			return
		}
	}
	t.mu.Unlock()
	t.give(name)
}

// slots bounds how many applies work at TheHive at a time.
type slots chan struct{}

func (s slots) take(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return stopped(ctx)
	}
}

func (s slots) give() { <-s }
