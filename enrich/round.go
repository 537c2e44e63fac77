package enrich

import (
	"context"
	"errors"
	"slices"
	"time"

	"forager/hive"
)

// round is one turn of an apply: under the claim of the key it finds or opens the case of the
// oldest plans, claims that case, releases the key, and adds what is missing.
type round struct {
	e    *Enricher
	hive Hive // in the organisation
	all  []Plan
	rest []int // indices of the plans still to do, oldest first
	out  *outcomes
	seat seat

	organisation string // of all plans: their queue names it

	key      *claim
	body     keyBody
	searched bool                 // all cases with the tag are among the references
	vanished []caseRef            // listed, but TheHive answers 404
	became   map[string]string    // of the vanished: the case that it was merged into, as audit documents said
	told     map[string]bool      // of the vanished: an audit document said that it was deleted
	opened   string               // id of the case that a creation of ours with a lost answer brought about
	unclear  bool                 // an effect under the key's claim is unknown: leave it dirty
	heirs    map[string][]caseRef // of a case found anew: the listed ones that it may have come of by merging
}

// seat is an apply slot that can be left while waiting.
type seat struct {
	slots slots
	taken bool
}

func (s *seat) take(ctx context.Context) error {
	if s.taken {
		return nil
	}
	err := s.slots.take(ctx)
	s.taken = err == nil
	return err
}

func (s *seat) leave() {
	if s.taken {
		s.slots.give()
		s.taken = false
	}
}

// rest waits without the slot, and takes one again.
func (s *seat) rest(ctx context.Context, d time.Duration) error {
	s.leave()
	if err := pause(ctx, d); err != nil {
		return err
	}
	return s.take(ctx)
}

// enter waits for what a round needs before it claims anything: the key's turn in this process and
// an apply slot. Most of what a worker holds waits here, so it is called where stacks are shallow:
// two thousand of them were 18 MB when it stood two calls below.
func (r *round) enter(ctx context.Context, queue string) error {
	if err := r.e.rivals.yield(ctx, queue); err != nil {
		return err
	}
	if err := r.e.turns.take(ctx, keyName(queue), r.seat.leave); err != nil {
		return err
	}
	if err := r.seat.take(ctx); err != nil { // nothing is claimed that would only wait for a slot
		r.e.turns.give(keyName(queue))
		return err
	}
	return nil
}

// run does one round that has been entered, and tells which plans it did.
func (r *round) run(ctx context.Context, queue string) (done []int, err error) {
	defer r.seat.leave()
	t, w, err := r.claimed(ctx, keyName(queue))
	if w != nil {
		if err == nil {
			err = w.run(ctx)
		}
		w.leave(ctx)
		r.e.rivals.note(queue, r.key.met || w.claim.met, time.Since(w.began))
	}
	return r.pick(t), err
}

// keyName names the entry of the queue's key, and its turn.
func keyName(queue string) string { return "key." + queue }

// claimed resolves the plans under the claim of their key, which is given up again; so is its turn.
func (r *round) claimed(ctx context.Context, name string) (target, *work, error) {
	defer r.e.turns.give(name)
	key, err := r.e.claims.acquire(ctx, name, r.seat.leave)
	if err != nil {
		return target{}, nil, err
	}
	held, free := key.bind(ctx)
	defer free()
	r.key = key
	r.meet(key)
	t, w, err := r.resolve(ctx, held)
	if lost := r.releaseKey(ctx, err); err == nil {
		err = lost
	}
	return t, w, err
}

// meet tells of what the claim met.
func (r *round) meet(c *claim) {
	if c.met {
		r.e.happened(EventWaited, 0, c.name)
	}
	if c.over {
		r.e.happened(EventTakenOver, 0, c.name)
	}
}

func (e *Enricher) happened(kind EventKind, number int, detail string) {
	e.options.Events.Happened(Event{Kind: kind, Case: number, Detail: detail})
}

// pick gives the indices of a target's plans among all.
func (r *round) pick(t target) []int {
	done := make([]int, 0, len(t.plans))
	for _, i := range t.plans {
		done = append(done, r.rest[i])
	}
	return done
}

// plans gives the plans still to do.
func (r *round) plans() []Plan {
	plans := make([]Plan, 0, len(r.rest))
	for _, i := range r.rest {
		plans = append(plans, r.all[i])
	}
	return plans
}

// releaseKey writes the key's list and gives it up; what the list says is what TheHive answered.
func (r *round) releaseKey(ctx context.Context, cause error) error {
	slices.SortFunc(r.body.Cases, func(a, b caseRef) int {
		return int(min(max(b.Start-a.Start, -1), 1))
	})
	r.body.Cases = r.body.Cases[:min(len(r.body.Cases), maxRefs)]
	err := r.key.end(ctx, r.body, r.unclear)
	if errors.Is(err, ErrLostClaim) && cause == nil {
		return err
	}
	if err != nil {
		r.e.happened(EventUnreleased, 0, r.key.name)
	}
	return nil
}

// resolve finds the case of the oldest plans, or opens it, and claims it. No work and no error
// means that nothing is to be done for the plans of the target.
func (r *round) resolve(ctx, held context.Context) (target, *work, error) {
	if err := r.key.entry.read(&r.body); err != nil {
		return target{}, nil, err
	}
	r.body.belong(r.organisation)
	if err := r.settleKey(held); err != nil {
		return target{}, nil, err
	}
	for range maxLooks {
		t := assign(r.plans(), r.body.Cases)
		w, again, err := r.follow(ctx, held, t)
		if err != nil || !again {
			return t, w, err
		}
	}
	return target{}, nil, ErrVanished
}

// maxLooks bounds how often a round looks again because a case changed under its hands.
const maxLooks = 24

// settleKey waits what a dirty entry is owed, outside the slots, and then looks at TheHive.
func (r *round) settleKey(held context.Context) error {
	if r.key.waits == 0 {
		return r.seat.take(held)
	}
	if err := r.seat.rest(held, r.key.waits); err != nil {
		return err
	}
	if err := r.search(held); err != nil {
		return err
	}
	r.key.settled()
	return nil
}

// follow acts on a target: again means that the references changed and the plans must be
// assigned anew.
func (r *round) follow(ctx, held context.Context, t target) (w *work, again bool, err error) {
	if t.tied {
		r.e.happened(EventDoubled, t.ref.Number, r.key.name)
	}
	switch t.fate {
	case fateUnknown:
		return nil, true, r.newest(held, t.ref)
	case fateOpen:
		if !r.searched {
			return nil, true, r.search(held)
		}
		return r.open(ctx, held, t)
	case fateTombed:
		r.out.fail(r.pick(t), &DroppedError{Reason: "case deleted"})
		return nil, false, nil
	default:
		if t.ref.guess { // what is joined moves on: then nobody would look any more
			return nil, true, r.newest(held, t.ref)
		}
		return r.join(ctx, held, t)
	}
}

// search adds all cases with the key's tag to the references.
func (r *round) search(held context.Context) error {
	calls, done := r.key.calling(held)
	defer done()
	for c, err := range r.hive.FindCases(calls, r.byTag()) {
		if err != nil {
			return err
		}
		if slices.ContainsFunc(r.vanished, func(v caseRef) bool { return v.ID == c.ID }) {
			continue // the index still shows what GET no longer does
		}
		r.refer(c, true)
	}
	r.searched = true
	return nil
}

// byTag asks for all cases with the key's tag, or of the route's own filter, in any stage.
func (r *round) byTag() hive.Query {
	p := r.all[r.rest[0]]
	f := hive.Eq("tags", p.Tag())
	if p.finds {
		f = hive.Or(f, p.find)
	}
	return hive.Query{Filter: f}
}

// refer brings the reference of a case up to what TheHive says.
func (r *round) refer(c hive.Case, found bool) {
	fresh := caseRef{ID: c.ID, Number: c.Number, Start: int64(c.StartDate), Last: int64(c.StartDate), guess: found}
	if c.Stage == stageClosed {
		fresh.End = int64(c.EndDate)
	}
	i := slices.IndexFunc(r.body.Cases, func(x caseRef) bool { return x.ID == c.ID })
	if i < 0 {
		r.body.Cases = append(r.body.Cases, fresh)
		r.inherit(fresh)
		return
	}
	known := r.body.Cases[i]
	fresh.Last, fresh.guess = known.Last, known.guess
	r.body.Cases[i] = fresh
}

// inherit notes that a case found anew may be what listed ones were merged into.
// Merging makes a new case, so that its number is higher; a lower one is a case that the entry of
// the key had no room for.
func (r *round) inherit(heir caseRef) {
	for _, v := range r.vanished {
		if v.Number > heir.Number {
			continue
		}
		if r.heirs == nil {
			r.heirs = map[string][]caseRef{}
		}
		r.heirs[heir.ID] = append(r.heirs[heir.ID], v)
	}
}

// stageClosed is TheHive's stage of closed cases, whatever their status is called.
const stageClosed = "Closed"

// drop forgets a reference.
func (r *round) drop(id string) {
	r.body.Cases = slices.DeleteFunc(r.body.Cases, func(x caseRef) bool { return x.ID == id })
}
