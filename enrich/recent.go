package enrich

import "sync"

// recent remembers the latest values of a bounded number of ledger entries. It saves reads; nothing
// is ever decided by it.
type recent struct {
	mu    sync.Mutex
	items *latest[recentItem]
}

type recentItem struct {
	entry    entry
	revision uint64
}

func newRecent(most int) *recent { return &recent{items: newLatest[recentItem](most)} }

func (r *recent) get(key string) (entry, uint64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	it, ok := r.items.get(key)
	return it.entry, it.revision, ok
}

func (r *recent) set(key string, e entry, revision uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items.set(key, recentItem{entry: e, revision: revision})
}

// drop forgets an entry and tells whether it was remembered.
func (r *recent) drop(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.items.drop(key)
}
