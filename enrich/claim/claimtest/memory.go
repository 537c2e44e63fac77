// Package claimtest holds the in-memory ledger, for unit tests alone, and the conformance suite
// that it and the ledger on JetStream KV pass alike.
//
//	l := claimtest.New()
//	l.SetAfter(func(op claimtest.Op) error { return errLost }) // the answer is lost, the effect is not
package claimtest

import (
	"context"
	"sync"

	"forager/enrich/claim"
)

// Op is one request to the ledger, as the hooks see it.
type Op struct {
	Name     string // "get", "put", "purge"
	Key      string
	Value    []byte // what a put writes, or a get found
	Expected uint64
}

// Memory is a ledger in memory. The zero value is not usable; see New. Hooks run without the lock,
// so that they may block.
type Memory struct {
	mu       sync.Mutex
	hooks    [2]func(Op) error // before the effect and after it
	entries  map[string]item
	revision uint64
	young    bool
	watches  []*watch
}

type item struct {
	value    []byte
	revision uint64
}

var (
	_ claim.Store   = (*Memory)(nil)
	_ claim.Watcher = (*Memory)(nil)
)

// New makes an empty ledger that is trusted, as one that was born before anything was consumed.
func New() *Memory { return &Memory{entries: make(map[string]item)} }

// SetBefore sets what runs before every later effect; its error is the answer, and nothing happens.
// nil is nothing.
func (m *Memory) SetBefore(hook func(Op) error) { m.set(0, hook) }

// SetAfter sets what runs after every later effect; its error is the answer all the same. nil is
// nothing.
func (m *Memory) SetAfter(hook func(Op) error) { m.set(1, hook) }

func (m *Memory) set(which int, hook func(Op) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hooks[which] = hook
}

// Lose empties the ledger, as when a bucket is made anew, and makes it untrusted until Trust.
func (m *Memory) Lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.entries)
	m.young = true
}

// Forget undoes the last writes, as a store does that loses its disks: revisions that were given out are
// given out again.
func (m *Memory) Forget(writes uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revision -= writes
	for key, it := range m.entries {
		if it.revision > m.revision {
			delete(m.entries, key)
		}
	}
}

// Trust says that the ledger is old enough for the absence of an entry to mean something.
func (m *Memory) Trust() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.young = false
}

// Keys lists the keys, in no order.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := make([]string, 0, len(m.entries))
	for k := range m.entries {
		keys = append(keys, k)
	}
	return keys
}

// Get reads an entry.
func (m *Memory) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	op := Op{Name: "get", Key: key}
	if err := m.before(ctx, op); err != nil {
		return nil, 0, err
	}
	m.mu.Lock()
	it, ok := m.entries[key]
	m.mu.Unlock()
	op.Value = it.value
	if err := m.after(ctx, op); err != nil {
		return nil, 0, err
	}
	if !ok {
		return nil, 0, claim.ErrNoEntry
	}
	return append([]byte(nil), it.value...), it.revision, nil
}

// Put writes an entry at an expected revision.
func (m *Memory) Put(ctx context.Context, key string, value []byte, expected uint64) (uint64, error) {
	op := Op{Name: "put", Key: key, Value: value, Expected: expected}
	if err := m.before(ctx, op); err != nil {
		return 0, err
	}
	revision, err := m.put(key, value, expected)
	if lost := m.after(ctx, op); lost != nil {
		return 0, lost
	}
	return revision, err
}

func (m *Memory) put(key string, value []byte, expected uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries[key].revision != expected {
		return 0, claim.ErrConflict
	}
	m.revision++
	m.entries[key] = item{value: append([]byte(nil), value...), revision: m.revision}
	m.tell(key)
	return m.revision, nil
}

// Purge removes an entry at an expected revision.
func (m *Memory) Purge(ctx context.Context, key string, expected uint64) error {
	op := Op{Name: "purge", Key: key, Expected: expected}
	if err := m.before(ctx, op); err != nil {
		return err
	}
	err := m.purge(key, expected)
	if lost := m.after(ctx, op); lost != nil {
		return lost
	}
	return err
}

func (m *Memory) purge(key string, expected uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries[key].revision != expected || expected == 0 {
		return claim.ErrConflict
	}
	m.revision++
	delete(m.entries, key)
	m.tell(key)
	return nil
}

// Trusted tells whether absence means anything.
func (m *Memory) Trusted(ctx context.Context) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.young, ctx.Err()
}

func (m *Memory) before(ctx context.Context, op Op) error { return m.run(ctx, 0, op) }

func (m *Memory) after(ctx context.Context, op Op) error { return m.run(ctx, 1, op) }

func (m *Memory) run(ctx context.Context, which int, op Op) error {
	m.mu.Lock()
	hook := m.hooks[which]
	m.mu.Unlock()
	if hook != nil {
		if err := hook(op); err != nil {
			return err
		}
	}
	return ctx.Err()
}
