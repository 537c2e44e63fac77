package hivetest

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Hive is the server. It is an http.Handler, safe for concurrent use.
type Hive struct {
	options Options
	dice    dice
	fault   atomic.Pointer[Misbehaviour]
	gate    throttle
	journal journal
	hooks   hooks
	outage  outage
	hooked  webhooks

	mu     sync.RWMutex // guards all below; never held while a call waits, is read or is answered
	store  *store
	audits []audit
}

var _ http.Handler = (*Hive)(nil)

// New makes a server that behaves.
func New(o Options) *Hive {
	h := &Hive{options: o.withDefaults()}
	h.dice.rand = rand.New(rand.NewPCG(o.Seed, 0))
	h.fault.Store(&Misbehaviour{})
	h.journal.limit = h.options.Journal
	h.hooked.open(h.options.Webhooks)
	h.Reset()
	return h
}

// Reset forgets every entity, the journal and the counts, as if the server were new. Misbehaviour and hooks stay.
func (h *Hive) Reset() {
	s := h.found()
	h.mu.Lock()
	h.store, h.audits = s, nil
	h.mu.Unlock()
	h.journal.reset()
}

// Set replaces the misbehaviour, for calls that begin from now on.
func (h *Hive) Set(m Misbehaviour) {
	h.fault.Store(&m)
	h.outage.set(m.Outage)
}

// Misbehaviour returns what was last set.
func (h *Hive) Misbehaviour() Misbehaviour { return *h.fault.Load() }

func (h *Hive) now() int64 { return h.options.Clock().UnixMilli() }

func (h *Hive) stamp(login string) stamp {
	return stamp{by: login, ms: h.now(), wall: time.Now(), lag: h.fault.Load().Lag}
}

// dice are random numbers that a seed repeats.
type dice struct {
	mu   sync.Mutex
	rand *rand.Rand
}

// roll is true with the given probability.
func (d *dice) roll(p float64) bool {
	if p <= 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.Float64() < p
}

// below returns a duration in [0, limit).
func (d *dice) below(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.rand.Int64N(int64(limit)))
}
