package enrich

import (
	"context"
	"errors"
	"slices"

	"forager/hive"
)

// statusReopened is the status of a case that a detection reopens.
const statusReopened = "InProgress"

// raiseFields adds the tags that the case lacks, and raises severity, TLP and PAP, each only when
// a detection exceeds both the present value and the highest that Forager itself wrote.
func (w *work) raiseFields(held context.Context) error {
	u, tags, needed := w.difference()
	if !needed {
		return nil
	}
	return w.patch(held, u, tags, 0)
}

// difference is the update that the case needs.
func (w *work) difference() (u hive.CaseUpdate, tags []wantedTag, needed bool) {
	for _, t := range w.want.tags {
		if !slices.Contains(w.c.Tags, t.tag) && !slices.Contains(w.body.Tags, t.tag) && len(w.body.Tags)+len(tags) < maxTags {
			tags = append(tags, t)
			u.AddTags = append(u.AddTags, t.tag)
		}
	}
	raise := func(to, present, wrote int) *int {
		if to > present && to > wrote {
			needed = true
			return &to
		}
		return nil
	}
	u.Severity = raise(w.want.severity, w.c.Severity, w.body.High.Severity)
	u.TLP = raise(w.want.tlp, w.c.TLP, w.body.High.TLP)
	u.PAP = raise(w.want.pap, w.c.PAP, w.body.High.PAP)
	if w.created && w.plans[0].shape.assignee == nobody && w.c.Assignee != "" {
		u.Clear, needed = append(u.Clear, hive.ClearAssignee), true
	}
	if w.reopen && w.c.Stage == stageClosed {
		status := statusReopened
		u.Status, needed = &status, true
	}
	return u, tags, needed || len(tags) > 0
}

// patch updates the case. All of it is idempotent, but it is looked before it is sent again.
func (w *work) patch(held context.Context, u hive.CaseUpdate, tags []wantedTag, tries int) error {
	calls, done := w.claim.calling(held)
	defer done()
	err := w.hive.UpdateCase(calls, w.c.ID, u)
	if err == nil {
		w.noteFields(u)
		return nil
	}
	if uncertain(err) {
		return w.patchAgain(held, u, tries, err)
	}
	if isGone(err) {
		return ErrVanished
	}
	refusal, ok := refusalOf("case update", w.c.ID, err)
	if !ok {
		return err
	}
	for _, t := range tags {
		w.refuseItem(t.owners, refusal)
	}
	if len(tags) == 0 {
		return err
	}
	return nil
}

// patchAgain looks at the case after an ambiguous answer, notes what of it arrived, and sends what
// the case still lacks.
func (w *work) patchAgain(held context.Context, sent hive.CaseUpdate, tries int, cause error) error {
	w.e.happened(EventAmbiguous, w.c.Number, "update case")
	if tries == maxResends {
		return errors.Join(ErrUnsettled, cause)
	}
	if err := w.seat.rest(held, lookPause(tries, w.e.options.Settle)); err != nil {
		return err
	}
	calls, done := w.claim.calling(held)
	defer done()
	c, err := w.hive.Case(calls, w.c.ID)
	if isGone(err) {
		return ErrVanished
	}
	if err != nil {
		return err
	}
	w.c = c
	w.noteFields(arrived(sent, c))
	u, tags, needed := w.difference()
	if !needed {
		return nil
	}
	return w.patch(held, u, tags, tries+1)
}

// arrived is the part of an update that a case shows.
func arrived(sent hive.CaseUpdate, c hive.Case) (u hive.CaseUpdate) {
	same := func(to *int, is int) *int {
		if to != nil && *to == is {
			return to
		}
		return nil
	}
	u.Severity, u.TLP, u.PAP = same(sent.Severity, c.Severity), same(sent.TLP, c.TLP), same(sent.PAP, c.PAP)
	for _, tag := range sent.AddTags {
		if slices.Contains(c.Tags, tag) {
			u.AddTags = append(u.AddTags, tag)
		}
	}
	return u
}

// noteFields remembers what Forager wrote.
func (w *work) noteFields(u hive.CaseUpdate) {
	w.body.Tags = append(w.body.Tags, u.AddTags...)
	for _, f := range []struct {
		wrote *int
		high  *int
	}{{u.Severity, &w.body.High.Severity}, {u.TLP, &w.body.High.TLP}, {u.PAP, &w.body.High.PAP}} {
		if f.wrote != nil {
			*f.high = max(*f.high, *f.wrote)
		}
	}
}
