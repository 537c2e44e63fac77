package pipeline

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

// ledgerOfEnds observes settlements and lets tests wait for them.
type ledgerOfEnds struct {
	mu      sync.Mutex
	all     []Settlement
	gates   []string
	noticed map[string]int
	changed chan struct{}
}

func newEnds() *ledgerOfEnds {
	return &ledgerOfEnds{noticed: map[string]int{}, changed: make(chan struct{})}
}

func (l *ledgerOfEnds) note(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *ledgerOfEnds) Settled(s Settlement) { l.note(func() { l.all = append(l.all, s) }) }
func (l *ledgerOfEnds) Noticed(what string)  { l.note(func() { l.noticed[what]++ }) }
func (l *ledgerOfEnds) Gate(open bool, reason string) {
	l.note(func() {
		if open {
			reason = "open"
		}
		l.gates = append(l.gates, reason)
	})
}

// count counts settlements that match.
func (l *ledgerOfEnds) count(match func(Settlement) bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, s := range l.all {
		if match(s) {
			n++
		}
	}
	return n
}

// until waits until the condition holds, looking after each event.
func (l *ledgerOfEnds) until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if condition() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Fatalf("waited in vain for %s; settled %d, gates %v, noticed %v", what, len(l.all), l.gates, l.noticed)
		}
	}
}

// final tells whether a settlement was the message's last.
func final(s Settlement) bool { return s.Action != ActionNak }

// heard is how often something was noticed.
func (l *ledgerOfEnds) heard(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.noticed[what]
}

// gateLines is what the gate told: reasons, and "open".
func (l *ledgerOfEnds) gateLines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.gates)
}
