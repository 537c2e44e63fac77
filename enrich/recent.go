package enrich

import "sync"

// recent remembers the latest values of a bounded number of ledger entries, oldest written out
// first. It saves reads; nothing is ever decided by it.
type recent struct {
	mu    sync.Mutex
	max   int
	items map[string]recentItem
	order []string // keys in order of writing; may name keys that were dropped or moved
}

type recentItem struct {
	entry    entry
	revision uint64
}

func newRecent(most int) *recent {
	return &recent{max: most, items: make(map[string]recentItem)}
}

func (r *recent) get(key string) (entry, uint64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	it, ok := r.items[key]
	return it.entry, it.revision, ok
}

func (r *recent) set(key string, e entry, revision uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.items[key]; !known {
		r.order = append(r.order, key)
	}
	r.items[key] = recentItem{entry: e, revision: revision}
	for len(r.order) > r.max {
		delete(r.items, r.order[0])
		r.order = r.order[1:]
	}
}

// drop forgets an entry and tells whether it was remembered.
func (r *recent) drop(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.items[key]
	delete(r.items, key)
	return ok
}
