package enrich

import "context"

// Slots bound how many applies are at work at TheHive at a time, first in, first out. An apply that only
// waits, for a claim or until a lost call shows, leaves its slot to another. Safe for concurrent use.
type Slots struct{ taken chan struct{} }

// NewSlots makes so many slots; at least one.
func NewSlots(n int) *Slots { return &Slots{taken: make(chan struct{}, max(n, 1))} }

// Slot is a slot that is not taken yet. Nil bounds nothing, and its slots are nil.
func (s *Slots) Slot() *Slot {
	if s == nil {
		return nil
	}
	return &Slot{of: s}
}

// Slot is one of [Slots]. One goroutine uses it at a time. Nil is a slot that need not be waited for.
type Slot struct {
	of   *Slots
	held bool
}

// Take takes the slot, unless it is held; it waits where all are taken. Error: why the context ended.
func (s *Slot) Take(ctx context.Context) error {
	if s == nil || s.held {
		return nil
	}
	select {
	case s.of.taken <- struct{}{}:
		s.held = true
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Free takes the slot if that needs no wait, and tells whether it is held.
func (s *Slot) Free() bool {
	if s == nil || s.held {
		return true
	}
	select {
	case s.of.taken <- struct{}{}:
		s.held = true
	default:
	}
	return s.held
}

// Leave gives the slot to others, if it is held.
func (s *Slot) Leave() {
	if s != nil && s.held {
		s.held = false
		<-s.of.taken
	}
}

// Batch is what one apply is asked for: plans of one queue.
type Batch struct {
	Queue string // of all plans, see [Plan.Queue]
	Plans []Plan
	Slot  *Slot // taken; the apply leaves it while it only waits, and may have left it when it returns
	// More gives what came for the queue meanwhile. It is asked where an apply had to wait for another replica, and
	// what it gave is part of the batch, behind Plans. Nil is nothing.
	More func() []Plan
	// Landed is told to which case a plan belongs, by the plan's place in the batch, before anything is added there
	// for it. It is called by the goroutine of the apply. Nil is nobody.
	Landed func(plan int, in Landing)
}

// Landing is a case of TheHive in which a plan ends.
type Landing struct {
	ID     string // "~4128"
	Number int    // as people call it
}

// BatchOf is the batch of some plans of one queue, at least one, without a slot.
func BatchOf(plans ...Plan) Batch { return Batch{Queue: plans[0].Queue(), Plans: plans} }
