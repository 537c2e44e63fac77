package hold

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"forager/enrich"
	"forager/enrich/claim"
	"forager/enrich/threshold"
)

// ErrFull says that one key of a threshold holds all that it may: what is more waits where it is.
var ErrFull = fmt.Errorf("as many detections wait for one threshold as may: %w", enrich.ErrHeld)

// KeyPrefix begins the keys of the ledger's entries.
const KeyPrefix = "hold."

// turnLasts is how long a replica alone carries what passed: so long it waits at most that a replica died.
const turnLasts = 15 * time.Second

// Keeper counts what waits, and holds it. Many may share one ledger and its copies. Safe for concurrent use.
type Keeper struct {
	ledger claim.Store
	copies Copies
	who    string // tells replicas apart
	now    func() time.Time

	mirror *mirror
	used   chan struct{} // closed when something was held, or found to be
	once   atomic.Bool

	mu   sync.Mutex
	owed Totals // counted and not written yet
	met  uint64 // thresholds that were met here
}

// NewKeeper makes one; who tells it from those of other replicas. It makes no call.
func NewKeeper(ledger claim.Store, copies Copies, who string) *Keeper {
	return &Keeper{ledger: ledger, copies: copies, who: who, now: time.Now, mirror: newMirror(), used: make(chan struct{})}
}

// Arrival is one detection that a threshold is to judge.
type Arrival struct {
	Message   *Message
	Part      int       // of the message
	At        time.Time // event time
	Threshold *enrich.Threshold
	Due       bool // it was held by this threshold for as long as it had to be
}

// Outcome is what becomes of an arrival.
type Outcome struct {
	Verdict threshold.Verdict // Held: its copy is kept, and its message may be acknowledged; Below: it is to be dropped; Full is an error
	Err     error
}

// Admit judges what arrived, those of one entry at once. What is held is held for good when Admit returns.
func (k *Keeper) Admit(ctx context.Context, arrived []Arrival) []Outcome {
	k.Use()
	outcomes := make([]Outcome, len(arrived))
	type group struct {
		hash string
		due  bool
		rule threshold.Rule
	}
	groups := map[group][]int{}
	var order []group
	for i, a := range arrived {
		g := group{a.Threshold.Hash, a.Due, a.Threshold.Rule}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], i)
	}
	for _, g := range order {
		of := make([]Arrival, len(groups[g]))
		for i, at := range groups[g] {
			of[i] = arrived[at]
		}
		verdicts, err := k.admit(ctx, of)
		for i, at := range groups[g] {
			outcomes[at] = outcomeOf(verdicts, i, err)
		}
	}
	return outcomes
}

func outcomeOf(verdicts []threshold.Verdict, i int, err error) Outcome {
	if err != nil {
		return Outcome{Err: err}
	}
	if verdicts[i] == threshold.Full {
		return Outcome{Verdict: threshold.Full, Err: fmt.Errorf("hold: %w", ErrFull)}
	}
	return Outcome{Verdict: verdicts[i]}
}

// admit judges arrivals of one entry. Copies are kept before the entry names them: else whoever finds no copy would take a
// detection for settled.
func (k *Keeper) admit(ctx context.Context, arrived []Arrival) (verdicts []threshold.Verdict, err error) {
	first, fired, held := arrived[0].Threshold, 0, 0
	err = k.change(ctx, first.Hash, func(s *threshold.State) (bool, error) {
		now := k.now()
		forgot := s.Forget(now)
		added := s.Add(first.Rule, now, arrived[0].Due, itemsOf(arrived, now)...)
		verdicts, fired, held = added.Verdicts, added.Fired, 0
		for _, parts := range s.Uncopied() {
			held += len(parts)
		}
		if err := k.keep(ctx, first.Hash, s, arrived); err != nil {
			return false, err
		}
		s.Route = first.Words
		if added.Released > 0 {
			s.Turn = threshold.Turn{By: k.who, Until: now.Add(turnLasts).UnixMilli()}
		}
		return forgot || added.Changed, nil
	}, func(s *threshold.State) { k.mirror.set(first.Hash, s, k.who) })
	if err == nil {
		k.count(held, countOf(verdicts, threshold.Below), fired)
	}
	return verdicts, err
}

// itemsOf are the arrivals as a state counts them.
func itemsOf(arrived []Arrival, now time.Time) []threshold.Item {
	items := make([]threshold.Item, len(arrived))
	for i, a := range arrived {
		items[i] = threshold.Item{
			Message: a.Message.Name(), Part: a.Part, ID: a.Threshold.ID, At: a.At.UnixMilli(),
			Until:  now.Add(a.Threshold.Rule.Window() + threshold.Late).UnixMilli(),
			Points: a.Threshold.Points, Values: a.Threshold.Values,
		}
		if items[i].ID == "" {
			items[i].ID = fmt.Sprint(items[i].Message, "/", a.Part)
		}
	}
	return items
}

// keep keeps copies of what is held newly.
func (k *Keeper) keep(ctx context.Context, hash string, s *threshold.State, arrived []Arrival) error {
	for message, parts := range s.Uncopied() {
		p := Place{Hash: hash, Message: message, Copy: copyOf(parts)}
		at := slices.IndexFunc(arrived, func(a Arrival) bool { return a.Message.Name() == message })
		if at < 0 {
			continue // an entry of a version that did not say
		}
		if err := k.copies.Put(ctx, p, arrived[at].Message, parts); err != nil {
			return err
		}
		s.Copied(message, p.Copy)
	}
	return nil
}

// mostTries bounds how often a change of an entry meets a faster one.
const mostTries = 64

// change changes an entry by compare-and-set; done is told of what was written, or found good.
func (k *Keeper) change(ctx context.Context, hash string, edit func(*threshold.State) (bool, error), done func(*threshold.State)) error {
	key := KeyPrefix + hash
	for try := range mostTries {
		value, revision, err := k.ledger.Get(ctx, key)
		if err != nil && !errors.Is(err, claim.ErrNoEntry) {
			return fmt.Errorf("hold: read %s: %w: %w", key, claim.ErrUnreachable, err)
		}
		s, err := threshold.Decode(value)
		if err != nil {
			return fmt.Errorf("hold: %s: %w: %w", key, claim.ErrUnreachable, err)
		}
		changed, err := edit(&s)
		if err != nil {
			return err
		}
		if changed {
			err = k.write(ctx, key, &s, revision)
		}
		switch {
		case err == nil:
			done(&s)
			return nil
		case !errors.Is(err, claim.ErrConflict):
			return fmt.Errorf("hold: write %s: %w: %w", key, claim.ErrUnreachable, err)
		}
		if err := claim.Wait(ctx, time.Duration(try)*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("hold: write %s: %w: %w", key, claim.ErrUnreachable, claim.ErrConflict)
}

func (k *Keeper) write(ctx context.Context, key string, s *threshold.State, revision uint64) error {
	if s.Empty() {
		if revision == 0 {
			return nil
		}
		return k.ledger.Purge(ctx, key, revision)
	}
	value, err := s.Encode()
	if err != nil {
		return err
	}
	_, err = k.ledger.Put(ctx, key, value, revision)
	return err
}

// countOf is how many verdicts are one.
func countOf(verdicts []threshold.Verdict, one threshold.Verdict) (n int) {
	for _, v := range verdicts {
		if v == one {
			n++
		}
	}
	return n
}

// Fired is how many thresholds this process saw being met.
func (k *Keeper) Fired() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.met
}

// Use notes that something is held, or was.
func (k *Keeper) Use() {
	if !k.once.Swap(true) {
		close(k.used)
	}
}

// Used is closed when something is to be held for the first time: until then there is nothing to take.
func (k *Keeper) Used() <-chan struct{} { return k.used }
