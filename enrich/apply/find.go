package apply

import (
	"context"
	"errors"
	"slices"
	"time"

	"forager/enrich"
	"forager/hive"
)

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
