package enrich

import (
	"context"
	"errors"
	"slices"
	"time"

	"forager/hive"
)

// maxCreates bounds how often a round creates the same case after finding that an earlier try
// had no effect.
const maxCreates = 3

// open creates the case of the plans, and claims it.
func (r *round) open(ctx, held context.Context, t target) (w *work, again bool, err error) {
	plans := r.chosen(t)
	if err := r.mayOpen(held, plans[0]); err != nil {
		return nil, false, err
	}
	if err := r.room(held); err != nil {
		return nil, false, err
	}
	c, created, err := r.create(held, plans)
	if err != nil {
		return nil, false, r.refuseCase(t, err)
	}
	r.refer(c, false)
	r.body.count(hour(plans[0].At))
	if !created {
		return nil, true, nil // found after a lost answer: join it like any other
	}
	r.touch(c.ID, plans)
	r.unshown(c.ID)
	r.e.happened(EventNewCase, c.Number, plans[0].Key.String())
	w, err = r.grab(ctx, held, c.ID)
	if err != nil {
		return nil, false, err
	}
	w.c, w.plans, w.charged, w.created = c, plans, r.pick(t), true
	return w, false, nil
}

// refuseCase charges all plans with a case that TheHive refuses for good.
func (r *round) refuseCase(t target, err error) error {
	refusal, ok := refusalOf("case", r.all[r.pick(t)[0]].Title, err)
	if !ok {
		return err
	}
	r.out.fail(r.pick(t), &RejectedError{Items: []Refusal{refusal}})
	return nil
}

// unshown notes that the search may not show a case yet, so that the list alone knows of it.
func (r *round) unshown(id string) {
	for i := range r.body.Cases {
		if r.body.Cases[i].ID == id {
			r.body.Cases[i].Opened = time.Now().UnixMilli()
		}
	}
}

// room waits until the list has room for one more case that the search may not show yet.
func (r *round) room(held context.Context) error {
	for {
		n, soonest := 0, r.e.shown()
		for _, ref := range r.body.Cases {
			if now := time.Now(); ref.unshown(now, r.e.shown()) {
				n++
				soonest = min(soonest, r.e.shown()-now.Sub(time.UnixMilli(ref.Opened)))
			}
		}
		if n < maxUnshown {
			return nil
		}
		if err := r.seat.rest(held, max(soonest, time.Millisecond)); err != nil {
			return err
		}
	}
}

// create posts the case. An answer that says nothing certain is looked after by the tag.
func (r *round) create(held context.Context, plans []Plan) (c hive.Case, created bool, err error) {
	calls, done := r.key.calling(held)
	defer done()
	in := newCase(plans)
	if old, ok := r.follows(plans[0]); ok {
		in.Description = following(old) + in.Description
	}
	for range maxCreates {
		c, err = r.hive.CreateCase(calls, in)
		if err == nil {
			return c, true, nil
		}
		if less, shaped := plain(in); shaped && refusedForGood(err) {
			r.e.happened(EventDegraded, 0, "route "+plans[0].Route+": "+short(err.Error()))
			in = less
			continue
		}
		if !uncertain(err) {
			return c, false, err
		}
		r.unclear = true
		r.e.happened(EventAmbiguous, 0, "create case")
		found, lookErr := r.await(held, plans[0].At, err)
		if lookErr != nil {
			return c, false, lookErr
		}
		r.unclear = false
		if found.ID != "" {
			r.opened = found.ID
			return found, false, nil
		}
	}
	return c, false, errors.Join(ErrUnsettled, err)
}

// refusedForGood tells whether TheHive refused what a request holds.
func refusedForGood(err error) bool {
	_, ok := refusalOf("case", "", err)
	return ok
}

// uncertain tells whether an error leaves open if the write happened.
func uncertain(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && !e.Refused()
}

// await looks for a case of a start that a lost answer may have created: at once, and again with growing
// pauses. What is found ends the wait; only absence needs all of settle. An answer of TheHive
// itself that says it rolled back is believed after one look.
func (r *round) await(held context.Context, at time.Time, cause error) (hive.Case, error) {
	calls, done := r.key.calling(held)
	defer done()
	var found hive.Case
	err := r.lookUntilSettled(held, cause, func() (bool, error) {
		for c, err := range r.hive.FindCases(calls, hive.Query{Filter: hive.And(r.byTag(), hive.Eq("startDate", at))}) {
			if err != nil {
				return false, err
			}
			if !r.knows(c.ID) {
				found = c
				return true, nil
			}
		}
		return false, nil
	})
	return found, err
}

// lookUntilSettled repeats a look until it finds, or settle has passed since the lost call was
// given up. The pauses grow, and take no slot.
func (r *round) lookUntilSettled(held context.Context, cause error, found func() (bool, error)) error {
	deadline := time.Now().Add(r.e.options.Settle)
	for n := 0; ; n++ {
		ok, err := found()
		if err != nil || ok || rolledBack(cause) || !time.Now().Before(deadline) {
			return err
		}
		wait := min(lookPause(n, r.e.options.Settle), max(time.Until(deadline), time.Millisecond))
		if err := r.seat.rest(held, wait); err != nil {
			return err
		}
	}
}

func rolledBack(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && e.RolledBack()
}

func (r *round) knows(id string) bool {
	same := func(c caseRef) bool { return c.ID == id }
	return slices.ContainsFunc(r.body.Cases, same) || slices.ContainsFunc(r.vanished, same)
}

// newCase is the case that plans open, dated by the oldest, whose route gives it its shape.
func newCase(plans []Plan) hive.NewCase {
	first, all := plans[0], merge(plans)
	tags := []string{first.Tag()}
	for _, t := range all.tags {
		if len(tags) < maxTags {
			tags = append(tags, t.tag)
		}
	}
	c := hive.NewCase{
		Title: first.Title, Description: description(plans), Severity: &all.severity,
		TLP: &all.tlp, PAP: &all.pap, StartDate: hive.MillisOf(first.At), Tags: tags,
		CaseTemplate: first.shape.template, CustomFields: first.shape.fields, Pages: first.shape.pages,
	}
	if len(first.shape.tasks) > 0 {
		c.Tasks = first.shape.tasks
	}
	if first.shape.assignee != nobody {
		c.Assignee = first.shape.assignee
	}
	return c
}

// nobody is the assignee of a case that nobody is assigned to; TheHive's default is its creator.
const nobody = "none"

// plain leaves out of a refused case what came from the configuration: an assignee who is gone, a
// template that was renamed, a custom field that does not exist. It costs a tag, not the case.
func plain(c hive.NewCase) (hive.NewCase, bool) {
	shaped := c.Assignee != "" || c.CaseTemplate != "" || len(c.CustomFields)+len(c.Tasks)+len(c.Pages) > 0
	c.Assignee, c.CaseTemplate, c.CustomFields, c.Tasks, c.Pages = "", "", nil, nil, nil
	c.Tags = append(c.Tags, tagPrefix+"degraded")
	return c, shaped
}

// maxTags bounds the tags that Forager adds to one case.
const maxTags = 100
