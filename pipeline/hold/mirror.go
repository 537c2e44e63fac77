package hold

import (
	"context"
	"strings"
	"sync"
	"time"

	"forager/enrich/claim"
	"forager/enrich/threshold"
)

// mirror knows of every entry when there is something to do with it, a few dozen bytes each.
type mirror struct {
	mu      sync.Mutex
	entries map[string]todo
	changed chan struct{} // has an element when something was told since it was last looked at
}

// todo is what there is to do with an entry.
type todo struct {
	next  int64 // when, ms; 0 is at once
	other int64 // until when another replica does it, ms
}

func newMirror() *mirror {
	return &mirror{entries: map[string]todo{}, changed: make(chan struct{}, 1)}
}

// set takes in a state, as this replica (who) wrote or saw it.
func (m *mirror) set(hash string, s *threshold.State, who string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s == nil || s.Empty() {
		delete(m.entries, hash)
		return
	}
	t := todo{next: s.Next()}
	if s.Turn.By != who {
		t.other = s.Turn.Until
	}
	m.entries[hash] = t
	if t.next == 0 {
		select {
		case m.changed <- struct{}{}:
		default:
		}
	}
}

// Follow keeps up with what all replicas write, until the context ends or the ledger cannot be watched.
func (k *Keeper) Follow(ctx context.Context, w claim.Watcher) error {
	return w.Watch(ctx, KeyPrefix, func(key string, value []byte, _ uint64) {
		hash := strings.TrimPrefix(key, KeyPrefix)
		if value == nil {
			k.mirror.set(hash, nil, k.who)
			return
		}
		if s, err := threshold.Decode(value); err == nil {
			k.mirror.set(hash, &s, k.who)
		}
	})
}

// Changed has an element when something passed since it was last looked at.
func (k *Keeper) Changed() <-chan struct{} { return k.mirror.changed }

// Next are the entries of which something is to be taken now, where all that was stored until worked is settled; late tells
// that a later worked would bring more.
func (k *Keeper) Next(worked time.Time) (hashes []string, late bool) {
	now := k.now().UnixMilli()
	k.mirror.mu.Lock()
	defer k.mirror.mu.Unlock()
	for hash, t := range k.mirror.entries {
		switch {
		case t.next >= now || t.other > now:
		case t.next > 0 && t.next >= worked.UnixMilli():
			late = true
		default:
			hashes = append(hashes, hash)
		}
	}
	return hashes, late
}

// Waiting is how many keys of thresholds hold something, or held it lately.
func (k *Keeper) Waiting() int {
	k.mirror.mu.Lock()
	defer k.mirror.mu.Unlock()
	return len(k.mirror.entries)
}
