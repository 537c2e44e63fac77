package enrich

import "container/list"

// latest holds the values of a bounded number of keys: the one set longest ago makes room. Every
// operation takes the same time, however many there are. Not safe for concurrent use.
type latest[V any] struct {
	most  int
	items map[string]*list.Element
	order *list.List // of *named[V], set longest ago first
}

type named[V any] struct {
	key   string
	value V
}

func newLatest[V any](most int) *latest[V] {
	return &latest[V]{most: most, items: make(map[string]*list.Element), order: list.New()}
}

func (l *latest[V]) get(key string) (value V, ok bool) {
	at, ok := l.items[key]
	if !ok {
		return value, false
	}
	n, ok := at.Value.(*named[V])
	return n.value, ok
}

func (l *latest[V]) set(key string, value V) {
	l.drop(key)
	l.items[key] = l.order.PushBack(&named[V]{key, value})
	for l.order.Len() > l.most {
		if n, ok := l.order.Front().Value.(*named[V]); ok {
			l.drop(n.key)
		}
	}
}

// drop forgets a key and tells whether it was there.
func (l *latest[V]) drop(key string) bool {
	at, ok := l.items[key]
	if ok {
		l.order.Remove(at)
		delete(l.items, key)
	}
	return ok
}
