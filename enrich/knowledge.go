package enrich

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"forager/hive"
	"forager/mitre"
)

// PatternLister tells which ATT&CK patterns a TheHive server holds. *hive.Client satisfies it.
type PatternLister interface {
	// Patterns lists all patterns, in no order. Errors are *hive.Error.
	Patterns(ctx context.Context) ([]hive.Pattern, error)
}

// Knowledge is what the TheHive server is known to hold. Asked at start, hourly, and at once
// after the server refused a technique. Safe for concurrent use.
type Knowledge struct {
	lister    PatternLister
	catalogue *mitre.Catalogue
	target    atomic.Pointer[mitre.Target]

	mu    sync.Mutex
	asked time.Time
}

// refreshPause is how long an answer is good enough for those who ask because of a refusal.
const refreshPause = 10 * time.Second

// NewKnowledge makes a knowledge that assumes the newest releases until Refresh was called.
func NewKnowledge(l PatternLister, c *mitre.Catalogue) *Knowledge {
	k := &Knowledge{lister: l, catalogue: c}
	k.target.Store(c.For(mitre.KnownRelease("")))
	return k
}

// Target is the mapping to what the server was last known to hold.
func (k *Knowledge) Target() *mitre.Target { return k.target.Load() }

// Refresh asks the server, at most once in ten seconds, and gives the mapping to what it holds.
// On an error the last answer stays. A server without any pattern is an error: its catalogue was
// not imported yet, and every technique would be lost to a tag.
func (k *Knowledge) Refresh(ctx context.Context) (*mitre.Target, error) {
	if !k.due() {
		return k.Target(), nil
	}
	held, err := k.lister.Patterns(ctx)
	if err != nil {
		return k.Target(), fmt.Errorf("list ATT&CK patterns: %w", err)
	}
	if len(held) == 0 {
		return k.Target(), ErrNoPatterns
	}
	k.target.Store(k.catalogue.For(mitre.KnownPatterns(patternsOf(held))))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = time.Now()
	return k.Target(), nil
}

// patternsOf tells the catalogue what the server holds, with the tactics that it accepts.
func patternsOf(held []hive.Pattern) []mitre.Pattern {
	all := make([]mitre.Pattern, 0, len(held))
	for _, p := range held {
		all = append(all, mitre.Pattern{ID: p.PatternID, Name: p.Name, Tactics: p.Tactics})
	}
	return all
}

func (k *Knowledge) due() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Since(k.asked) >= refreshPause
}
