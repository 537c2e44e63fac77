package enrich

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"forager/hive"
)

// join claims a case that is said to hold the plans, and looks at it.
func (r *round) join(ctx, held context.Context, t target) (w *work, again bool, err error) {
	w, err = r.grab(ctx, held, t.ref.ID)
	if err != nil {
		return nil, false, err
	}
	calls, done := r.key.calling(held)
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
	if err := r.e.turns.take(held, id, r.seat.leave); err != nil {
		return nil, err
	}
	w, err := r.hold(held, id)
	if err != nil {
		r.e.turns.give(id)
		return nil, err
	}
	r.meet(w.claim)
	if err := errors.Join(r.key.check(), r.seat.take(held)); err != nil {
		w.leave(ctx)
		return nil, err
	}
	return w, nil
}

func isGone(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && e.Status == http.StatusNotFound
}

// chosen gives the plans of a target.
func (r *round) chosen(t target) []Plan {
	plans := make([]Plan, 0, len(t.plans))
	for _, i := range r.pick(t) {
		plans = append(plans, r.all[i])
	}
	return plans
}

// touch moves a case's newest event on.
func (r *round) touch(id string, plans []Plan) {
	for i := range r.body.Cases {
		if r.body.Cases[i].ID == id {
			r.body.Cases[i].Last = max(r.body.Cases[i].Last, plans[len(plans)-1].At.UnixMilli())
		}
	}
}

// lost deals with a case that is listed, but that TheHive does not have: merged into another,
// which carries its tag, or deleted. Where audit documents said which, they spare the search, or
// the wait.
func (r *round) lost(held context.Context, ref caseRef) error {
	if err := r.seek(held, ref); err != nil {
		return err
	}
	return r.dateHeirs(held)
}

// seek looks for what became of the listed cases that are not there.
func (r *round) seek(held context.Context, ref caseRef) error {
	if err := r.gather(held, ref); err != nil {
		return err
	}
	before := len(r.heirs)
	wait, err := r.recall(held)
	if err != nil || len(r.heirs) > before {
		return err
	}
	if err := r.search(held); err != nil || len(r.heirs) > before {
		return err
	}
	if wait > 0 {
		// Only what stays away for as long as a lost call may take is gone.
		if err := r.seat.rest(held, wait); err != nil {
			return err
		}
		if err := r.search(held); err != nil || len(r.heirs) > before {
			return err
		}
	}
	return r.bury(held)
}

// recall asks the marks of the vanished cases what audit documents said of them, follows those
// that were merged, and tells how long the others must stay away to count as gone.
func (r *round) recall(held context.Context) (wait time.Duration, err error) {
	r.told, r.became = map[string]bool{}, map[string]string{}
	for _, v := range r.vanished {
		m, _, err := loadMarks(held, r.e.options.Ledger, v.ID)
		if err != nil {
			return 0, err
		}
		if m.Moved != "" {
			if err := r.followMoved(held, v, m.Moved); err != nil {
				return 0, err
			}
		}
		r.told[v.ID] = m.Gone != 0
		wait = max(wait, m.owed(time.Now(), r.e.options.Settle))
	}
	return wait, nil
}

// owed is how long a case must stay away to count as gone: settle, less what has passed since a
// document said that it was deleted. A merge deletes its sources too, and the search may show
// late what they became. The two clocks may belong to two workers; what they differ by shortens
// or prolongs this wait, never beyond settle.
func (m marksBody) owed(now time.Time, settle time.Duration) time.Duration {
	if m.Gone == 0 {
		return settle
	}
	return min(max(settle-now.Sub(time.UnixMilli(m.Gone)), 0), settle)
}

// followMoved refers to the case that a vanished one was merged into, perhaps by several merges.
func (r *round) followMoved(held context.Context, v caseRef, id string) error {
	calls, done := r.key.calling(held)
	defer done()
	for range maxMoves {
		c, err := r.hive.Case(calls, id)
		if err == nil {
			r.became[v.ID] = c.ID
			r.refer(c, true)
			return nil
		}
		if !isGone(err) {
			return err
		}
		m, _, err := loadMarks(held, r.e.options.Ledger, id)
		if err != nil || m.Moved == "" || m.Moved == v.ID {
			return err // the search knows better
		}
		id = m.Moved
	}
	return nil
}

// maxMoves bounds how many merges in a row are followed without a search.
const maxMoves = 8

// gather takes all listed cases that answer 404 off the list: they may have been merged together.
func (r *round) gather(held context.Context, ref caseRef) error {
	calls, done := r.key.calling(held)
	defer done()
	for _, c := range slices.Clone(r.body.Cases) {
		if c.Gone {
			continue
		}
		if c.ID != ref.ID {
			found, err := r.hive.Case(calls, c.ID)
			if err == nil {
				r.refer(found, false)
				continue
			}
			if !isGone(err) {
				return err
			}
		}
		r.drop(c.ID)
		r.vanished = append(r.vanished, c)
	}
	return nil
}

// bury leaves a tombstone for each case that stayed away: detections in its span are dropped.
func (r *round) bury(held context.Context) error {
	calls, done := r.key.calling(held)
	defer done()
	for _, v := range r.vanished {
		c, err := r.hive.Case(calls, v.ID)
		switch {
		case err == nil:
			r.refer(c, false)
		case !isGone(err):
			return err
		default:
			v.Gone = true
			r.body.Cases = append(r.body.Cases, v)
			if !r.told[v.ID] {
				r.e.happened(EventDeleted, v.Number, r.key.name)
			}
		}
	}
	r.vanished = nil
	return nil
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
