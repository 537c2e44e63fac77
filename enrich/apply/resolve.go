package apply

import (
	"context"
	"errors"
	"slices"
	"time"

	"forager/enrich"
	"forager/enrich/claim"
	"forager/hive"
)

// round is one turn of an apply: under the claim of the key it finds or opens the case of the
// oldest plans, claims that case, releases the key, and adds what is missing.
type round struct {
	e    *Applier
	hive Hive // in the organisation
	all  []enrich.Plan
	rest []int // indices of the plans still to do, oldest first
	out  *outcomes
	slot slot

	organisation string // of all plans: their queue names it

	key      *claim.Claim
	grabbed  *work // the case claimed last: given back by run, if nobody did before
	body     keyBody
	full     bool                     // the entry listed as many cases as it holds: there may be older ones
	searched bool                     // what TheHive shows of the first plan's time is among the references
	many     bool                     // the key has more cases than one look brings
	horizon  int64                    // of many cases: plans after it wait for the next round; 0 is none
	vanished []caseRef                // listed, but TheHive answers 404
	old      map[string]caseBody      // of the vanished: what the ledger knows of it
	became   map[string]string        // of the vanished: the case that it was merged into, as audit documents said
	owed     map[string]time.Duration // of the vanished: how long it must stay away to count as gone
	told     map[string]bool          // of the vanished: an audit document said that it was deleted
	opened   string                   // id of the case that a creation of ours with a lost answer brought about
	read     bool                     // the body is what the entry says, and what was found since
	unclear  bool                     // an effect under the key's claim is unknown: leave it dirty
	heirs    map[string][]caseRef     // of a case found anew: the listed ones that it may have come of by merging
}

// enter waits for what a round needs before it claims anything: the key's lock in this process and
// an apply slot. Most of what a worker holds waits here, so it is called where stacks are shallow:
// two thousand of them were 18 MB when it stood two calls below.
func (r *round) enter(ctx context.Context, queue string) error {
	if err := r.e.contention.Yield(ctx, queue); err != nil {
		return err
	}
	if err := r.e.locks.Lock(ctx, keyName(queue), r.slot.leave); err != nil {
		return err
	}
	if err := r.slot.take(ctx); err != nil { // nothing is claimed that would only wait for a slot
		r.e.locks.Unlock(keyName(queue))
		return err
	}
	return nil
}

// run does one round that has been entered, and tells which plans it did. Whatever ends it, the
// case's claim is given back; dirty, if that was a panic.
func (r *round) run(ctx context.Context, queue string) (done []int, err error) {
	defer r.slot.leave()
	sound := false
	defer func() {
		if w := r.grabbed; w != nil {
			w.unclear = w.unclear || !sound
			w.leave(ctx)
		}
	}()
	t, w, err := r.claimed(ctx, keyName(queue))
	if w != nil {
		if err == nil {
			err = w.run(ctx)
		}
		w.leave(ctx)
		r.e.contention.Note(queue, r.key.Contended() || w.claim.Contended(), time.Since(w.began))
	}
	sound = true
	return r.pick(t), err
}

// keyName names the entry of the queue's key, and its lock.
func keyName(queue string) string { return "key." + queue }

// claimed resolves the plans under the claim of their key, which is given up again; so is its lock.
func (r *round) claimed(ctx context.Context, name string) (t target, w *work, err error) {
	defer r.e.locks.Unlock(name)
	key, err := r.e.claims.Acquire(ctx, name, r.slot.leave)
	if err != nil {
		return target{}, nil, err
	}
	r.key = key
	sound := false
	defer func() {
		r.unclear = r.unclear || !sound
		if lost := r.releaseKey(ctx, err); err == nil {
			err = lost
		}
	}()
	held, free := key.Bind(ctx)
	defer free()
	r.meet(key)
	t, w, err = r.resolve(ctx, held)
	sound = true
	return t, w, err
}

// meet tells of what the claim met.
func (r *round) meet(c *claim.Claim) {
	if c.Contended() {
		r.e.happened(EventWaited, 0, c.Name())
	}
	if c.TakenOver() {
		r.e.happened(EventTakenOver, 0, c.Name())
	}
}

func (e *Applier) happened(kind EventKind, number int, detail string) {
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

// plans gives the plans still to do, up to the horizon.
func (r *round) plans() []enrich.Plan {
	plans := make([]enrich.Plan, 0, len(r.rest))
	for _, i := range r.rest {
		if r.horizon != 0 && r.all[i].At.UnixMilli() > r.horizon && len(plans) > 0 {
			break
		}
		plans = append(plans, r.all[i])
	}
	return plans
}

// releaseKey writes the key's list and gives it up; what the list says is what TheHive answered.
func (r *round) releaseKey(ctx context.Context, cause error) error {
	r.body.trim(time.Now(), r.e.shown())
	var body any = r.body
	if !r.read {
		body = nil
	}
	err := r.key.Release(ctx, body, r.unclear)
	if errors.Is(err, enrich.ErrLostClaim) && cause == nil {
		return err
	}
	if err != nil {
		r.e.happened(EventUnreleased, 0, r.key.Name())
	}
	return nil
}

// resolve finds the case of the oldest plans, or opens it, and claims it. No work and no error
// means that nothing is to be done for the plans of the target.
func (r *round) resolve(ctx, held context.Context) (target, *work, error) {
	if err := r.key.Read(&r.body); err != nil {
		return target{}, nil, err
	}
	r.body.belong(r.organisation)
	r.read, r.full, r.many = true, len(r.body.Cases) >= maxRefs, len(r.body.Cases) >= maxFound
	if err := r.settleKey(held); err != nil {
		return target{}, nil, err
	}
	for range maxLooks {
		t, err := r.assigned(held)
		if err != nil {
			return target{}, nil, err
		}
		w, again, err := r.follow(ctx, held, &t)
		if err != nil || !again {
			return t, w, err
		}
	}
	return target{}, nil, enrich.ErrVanished
}

// maxLooks bounds how often a round looks again because a case changed under its hands. What is
// merely unknown is no change.
const maxLooks = 24

// assigned says where the plans belong, once all is known that this hangs on. Each look makes a
// case known or takes it off, so that there are no more looks than cases.
func (r *round) assigned(held context.Context) (t target, err error) {
	for err == nil {
		t = assign(r.plans(), r.body.Cases)
		joins := t.fate == fateJoin || t.fate == fateReopen
		switch {
		case t.fate == fateUnknown, joins && t.ref.guess: // what is joined moves on: then nobody would look any more
			err = r.newest(held, t.ref)
		case t.fate == fateUnseen, t.fate == fateTombed && !t.ref.looked:
			err = r.lookAgain(held, t.ref)
		case !r.searched && (t.fate == fateOpen || r.full && !r.surely(t)):
			err = r.search(held)
		default:
			return t, nil
		}
	}
	return t, err
}

// surely tells whether no case that the entry had no room for can be a better one: those it lists
// are the newest.
func (r *round) surely(t target) bool {
	at := r.all[r.rest[0]].At.UnixMilli()
	return t.fate == fateJoin && t.ref.Start <= at && (t.ref.End == 0 || at <= t.ref.End)
}

// settleKey waits what a dirty entry is owed, outside the slots, and then looks at TheHive.
func (r *round) settleKey(held context.Context) error {
	if r.key.Owed() == 0 {
		return r.slot.take(held)
	}
	if err := r.slot.rest(held, r.key.Owed()); err != nil {
		return err
	}
	if err := r.searchLatest(held); err != nil {
		return err
	}
	r.key.Settled()
	return nil
}

// follow acts on a target: again means that the references changed and the plans must be
// assigned anew.
func (r *round) follow(ctx, held context.Context, t *target) (w *work, again bool, err error) {
	if t.tied {
		r.e.happened(EventDoubled, t.ref.Number, r.key.Name())
	}
	switch t.fate {
	case fateOpen:
		return r.open(ctx, held, t)
	case fateTombed:
		r.out.fail(r.pick(*t), &enrich.DroppedError{Reason: "case deleted"})
		return nil, false, nil
	default:
		return r.join(ctx, held, *t)
	}
}

// drop forgets a reference.
func (r *round) drop(id string) {
	r.body.Cases = slices.DeleteFunc(r.body.Cases, func(x caseRef) bool { return x.ID == id })
}

// join claims a case that is said to hold the plans, and looks at it.
func (r *round) join(ctx, held context.Context, t target) (w *work, again bool, err error) {
	w, err = r.grab(ctx, held, t.ref.ID)
	if err != nil {
		return nil, false, err
	}
	calls, done := calling(held, r.key)
	defer done()
	c, err := r.hive.Case(calls, t.ref.ID)
	if isGone(err) {
		w.leave(ctx)
		return nil, true, r.lost(held, t.ref)
	}
	if err != nil {
		return w, false, err
	}
	r.refer(c, false)
	if now := assign(r.plans(), r.body.Cases); now.ref.ID != c.ID || now.fate != t.fate || !slices.Equal(now.plans, t.plans) {
		w.leave(ctx) // closed, reopened or moved in time since: look for another
		if !r.searched {
			return nil, true, r.search(held) // as others may have been: at once, and not each by a look
		}
		return nil, true, nil
	}
	w.c, w.plans, w.charged, w.reopen = c, r.chosen(t), r.pick(t), t.fate == fateReopen
	r.touch(c.ID, w.plans)
	if w.fresh && c.ID == r.opened {
		w.body.Tags, w.body.High = c.Tags, high{Severity: c.Severity, TLP: c.TLP, PAP: c.PAP}
	}
	return w, false, nil
}

// grab waits for the claim on a case, outside the slots.
func (r *round) grab(ctx, held context.Context, id string) (*work, error) {
	w, err := r.claimCase(held, id)
	if err != nil {
		return nil, err
	}
	r.grabbed = w
	r.meet(w.claim)
	if err := errors.Join(r.key.Check(), r.slot.take(held)); err != nil {
		w.leave(ctx)
		return nil, err
	}
	return w, nil
}

// isGone tells whether TheHive itself says that there is no such thing, to the eye of this account;
// a 404 of what stands before it says nothing.
func isGone(err error) bool { return verdictOf(err) == hive.NotFound }

// chosen gives the plans of a target.
func (r *round) chosen(t target) []enrich.Plan {
	plans := make([]enrich.Plan, 0, len(t.plans))
	for _, i := range r.pick(t) {
		plans = append(plans, r.all[i])
	}
	return plans
}

// touch moves a case's newest event on.
func (r *round) touch(id string, plans []enrich.Plan) {
	for i := range r.body.Cases {
		if r.body.Cases[i].ID == id {
			r.body.Cases[i].Last = max(r.body.Cases[i].Last, plans[len(plans)-1].At.UnixMilli())
		}
	}
}

// unlessGone drops a found case that is not there any more; another error stays.
func (r *round) unlessGone(err error, ref caseRef) error {
	if !isGone(err) {
		return err
	}
	r.drop(ref.ID)
	return nil
}

// lookPauses are how long an ambiguous answer is looked after before the next look; they grow
// until settle has passed.
func lookPause(look int, settle time.Duration) time.Duration {
	return min(50*time.Millisecond<<min(look, 10), settle/4+time.Millisecond)
}
