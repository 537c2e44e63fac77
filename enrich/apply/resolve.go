package apply

import (
	"context"
	"errors"
	"slices"
	"time"

	"forager/enrich"
	"forager/enrich/claim"
)

// A resolution finds or opens, under the claim of a key, the case of the oldest plans, and claims that
// case. Then it gives the key up, and what is missing is added under the claim of the case alone.
type resolution struct {
	*turn
	looks

	key      *claim.Claim
	unlock   func()  // gives the key's lock up; may be called again
	body     keyBody // what the entry says, and what was found since
	read     bool    // the body is that
	lost     lostCases
	opened   string // id of the case that a creation of ours with a lost answer brought about
	unclear  bool   // an effect under the key's claim is unknown: leave it dirty
	released bool
}

// looks is what a resolution has looked at.
type looks struct {
	searched bool  // what TheHive shows of the first plan's time is among the references
	full     bool  // the entry listed as many cases as it holds: there may be older ones
	many     bool  // the key has more cases than one look brings
	horizon  int64 // of many cases: plans after it wait for the next turn; 0 is none
}

// keyName names the entry of the queue's key, and its lock.
func keyName(queue string) string { return "key." + queue }

// resolve claims the key, does the plans of one case, and tells which. Whatever ends it, the key is given
// up, with its lock; dirty, if that was a panic.
func (t *turn) resolve(ctx context.Context, unlock func()) (done []int, err error) {
	key, err := t.a.claims.Acquire(ctx, keyName(t.queue), nil, t.slot.Leave)
	if err != nil {
		return nil, err
	}
	r := &resolution{turn: t, key: key, unlock: unlock}
	sound := false
	defer func() {
		r.unclear = r.unclear || !sound
		if lost := r.release(ctx, err); err == nil {
			err = lost
		}
	}()
	held, free := key.Bind(ctx)
	defer free()
	t.meet(key)
	if key.Contended() {
		t.addMore()
	}
	found, err := r.run(ctx, held)
	sound = true
	return t.pick(found), err
}

// plans gives the plans still to do, up to the horizon.
func (r *resolution) plans() []enrich.Plan {
	plans := make([]enrich.Plan, 0, len(r.rest))
	for _, i := range r.rest {
		if r.horizon != 0 && r.all[i].At.UnixMilli() > r.horizon && len(plans) > 0 {
			break
		}
		plans = append(plans, r.all[i])
	}
	return plans
}

// run finds the case of the oldest plans, or opens it, and adds what is missing. It tells whose plans
// those were.
func (r *resolution) run(ctx, held context.Context) (target, error) {
	if err := r.key.Read(&r.body); err != nil {
		return target{}, err
	}
	r.body.belong(r.organisation)
	if r.all[r.rest[0]].AsAlert {
		r.read = true
		return r.raise(ctx, held)
	}
	r.read, r.full, r.many = true, len(r.body.Cases) >= maxRefs, len(r.body.Cases) >= maxFound
	if err := r.settleKey(held); err != nil {
		return target{}, err
	}
	for range maxLooks {
		t, err := r.assigned(held)
		if err != nil {
			return target{}, err
		}
		again, err := r.follow(ctx, held, &t)
		if err != nil || !again {
			return t, err
		}
	}
	return target{}, enrich.ErrVanished
}

// release writes the key's list and gives the key up, once; what the list says is what TheHive answered.
// Cause is the error with which the resolution ends; a claim that was lost before is one where there is none.
func (r *resolution) release(ctx context.Context, cause error) error {
	if r.released {
		return nil
	}
	r.released = true
	defer r.unlock()
	r.body.trim(time.Now(), r.a.shown())
	var body any = r.body
	if !r.read {
		body = nil
	}
	err := r.key.Release(ctx, body, r.unclear)
	if errors.Is(err, enrich.ErrLostClaim) && cause == nil {
		return err
	}
	if err != nil {
		r.a.happened(EventUnreleased, 0, r.key.Name())
	}
	return nil
}

// maxLooks bounds how often a turn looks again because a case changed under its hands. What is
// merely unknown is no change.
const maxLooks = 24

// assigned says where the plans belong, once all is known that this hangs on. Each look makes a
// case known or takes it off, so that there are no more looks than cases.
func (r *resolution) assigned(held context.Context) (t target, err error) {
	for err == nil {
		t = assign(r.plans(), r.body.Cases)
		joins := t.fate == fateJoin || t.fate == fateReopen
		switch {
		case t.fate == fateUnknown, joins && t.ref.guess: // what is joined moves on: then nobody would look any more
			err = r.newest(held, t.ref)
		case t.fate == fateUnseen, t.fate == fateDeleted && !t.ref.looked:
			err = r.lookAgain(held, t.ref)
		case !r.searched && (t.fate == fateOpen && !r.isFirst(held) || r.full && !r.surely(t)):
			err = r.search(held)
		default:
			return t, nil
		}
	}
	return t, err
}

// surely tells whether no case that the entry had no room for can be a better one: those it lists
// are the newest.
func (r *resolution) surely(t target) bool {
	at := r.all[r.rest[0]].At.UnixMilli()
	return t.fate == fateJoin && t.ref.Start <= at && (t.ref.End == 0 || at <= t.ref.End)
}

// settleKey waits what a dirty entry is owed, outside the slots, and then looks at TheHive.
func (r *resolution) settleKey(held context.Context) error {
	if r.key.Owed() == 0 {
		return r.takeSlot(held)
	}
	if !r.byAlert(held, r.all[r.rest[0]]) { // whose cases are found by their alerts' names
		if err := r.wait(held, r.key.Owed()); err != nil {
			return err
		}
	}
	if err := r.searchLatest(held); err != nil {
		return err
	}
	r.key.Settled()
	return nil
}

// follow acts on a target: again means that the references changed and the plans must be
// assigned anew.
func (r *resolution) follow(ctx, held context.Context, t *target) (again bool, err error) {
	if t.tied {
		r.a.happened(EventDoubled, t.ref.Number, r.key.Name())
	}
	switch t.fate {
	case fateOpen:
		return r.open(ctx, held, t)
	case fateDeleted:
		r.out.fail(r.pick(*t), &enrich.DroppedError{Reason: "case deleted"})
		return false, nil
	default:
		return r.join(ctx, held, *t)
	}
}

// drop forgets a reference.
func (r *resolution) drop(id string) {
	r.body.Cases = slices.DeleteFunc(r.body.Cases, func(x caseRef) bool { return x.ID == id })
}

// join claims a case that is said to hold the plans, looks at it, and adds to it.
func (r *resolution) join(ctx, held context.Context, t target) (again bool, err error) {
	gone := false
	err = r.withCase(ctx, held, t.ref.ID, func(cc *caseClaim) error {
		calls, done := calling(held, r.key)
		defer done()
		c, err := r.hive.Case(calls, t.ref.ID)
		if gone = isGone(err); gone {
			again = true
			return nil
		}
		if err != nil {
			return err
		}
		r.refer(c, false)
		if now := assign(r.plans(), r.body.Cases); now.ref.ID != c.ID || now.fate != t.fate || !slices.Equal(now.plans, t.plans) {
			again = true
			return nil
		}
		if cc.fresh && c.ID == r.opened {
			cc.body.Tags, cc.body.High = c.Tags, high{Severity: c.Severity, TLP: c.TLP, PAP: c.PAP}
		}
		return r.handOver(ctx, cc, task{
			c: c, plans: r.chosen(t), charged: r.pick(t), reopen: t.fate == fateReopen, sources: r.lost.sources[c.ID], before: r.before(c.Number),
		})
	})
	switch {
	case err != nil || !again:
		return false, err
	case gone:
		return true, r.findLost(held, t.ref)
	case !r.searched: // closed, reopened or moved in time since, as others may have been: look at once, and not at each
		return true, r.search(held)
	default:
		return true, nil
	}
}

// withCase claims a case, outside the slots, and does something under the claims of the key and the case.
func (r *resolution) withCase(ctx, held context.Context, id string, do func(*caseClaim) error) error {
	var began time.Time // when the case was ours: waits for others are not our apply
	contended := false
	err := r.turn.withCase(ctx, held, id, func(cc *caseClaim) error {
		began, contended = time.Now(), r.key.Contended() || cc.claim.Contended()
		r.meet(cc.claim)
		if err := errors.Join(r.key.Check(), r.takeSlot(held)); err != nil {
			return err
		}
		return do(cc)
	})
	if r.released {
		r.a.contention.Note(r.queue, contended, time.Since(began))
	}
	return err
}

// handOver gives the key up, and adds to the case what plans ask for.
func (r *resolution) handOver(ctx context.Context, cc *caseClaim, t task) error {
	r.touch(t.c.ID, t.plans)
	cc.number = t.c.Number
	r.land(t.charged, t.c.ID, t.c.Number)
	if err := r.release(ctx, nil); err != nil {
		return err
	}
	return newCaseWork(cc, t).run(ctx)
}

// touch moves a case's newest event on.
func (r *resolution) touch(id string, plans []enrich.Plan) {
	for _, refs := range [][]caseRef{r.body.Cases, r.body.Raised} {
		for i := range refs {
			if refs[i].ID == id {
				refs[i].Last = max(refs[i].Last, plans[len(plans)-1].At.UnixMilli())
			}
		}
	}
}

// unlessGone drops a found case that is not there any more; another error stays.
func (r *resolution) unlessGone(err error, ref caseRef) error {
	if !isGone(err) {
		return err
	}
	r.drop(ref.ID)
	return nil
}
