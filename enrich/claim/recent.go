package claim

import "github.com/hashicorp/golang-lru/v2/expirable"

// recent remembers the latest values of a bounded number of ledger entries. It saves reads; nothing
// is ever decided by it.
type recent struct {
	items *expirable.LRU[string, recentItem]
}

type recentItem struct {
	entry    Entry
	revision uint64
}

func newRecent(most int) *recent {
	return &recent{items: expirable.NewLRU[string, recentItem](most, nil, 0)}
}

func (r *recent) get(key string) (Entry, uint64, bool) {
	it, ok := r.items.Get(key)
	return it.entry, it.revision, ok
}

func (r *recent) set(key string, e Entry, revision uint64) {
	r.items.Add(key, recentItem{entry: e, revision: revision})
}

// drop forgets an entry and tells whether it was remembered.
func (r *recent) drop(key string) bool { return r.items.Remove(key) }
