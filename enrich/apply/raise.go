package apply

import (
	"context"
	"errors"
	"slices"
	"strings"

	"forager/enrich"
	"forager/enrich/alert"
	"forager/hive"
)

// A route may want alerts for the analysts' queue, and no cases. Detections of an event, or of a rule and key, share an alert; the
// entry of their group lists its alerts with their spans, as that of a key lists cases. TheHive takes each name of an alert
// once, so that no creation is waited for. What is added later is added as to a case. Once an analyst made the alert a case,
// or part of one, later detections go there.

// raise finds the alert of the oldest plans, or opens it, and adds what is missing. It tells whose plans those were.
func (r *resolution) raise(ctx, held context.Context) (target, error) {
	if r.key.Owed() > 0 {
		r.key.Settled() // what may have been done under the key is found by its name
	}
	if err := r.takeSlot(held); err != nil {
		return target{}, err
	}
	for range maxLooks {
		t := assign(r.plans(), r.body.Raised)
		again, err := r.raiseFor(ctx, held, &t)
		if err != nil || !again {
			return t, err
		}
	}
	return target{}, enrich.ErrVanished
}

func (r *resolution) raiseFor(ctx, held context.Context, t *target) (again bool, err error) {
	switch t.fate {
	case fateOpen:
		return r.openAlert(ctx, held, t)
	case fateDeleted:
		r.out.fail(r.pick(*t), &enrich.DroppedError{Reason: reasonAlertDeleted})
		return false, nil
	default:
		return r.joinAlert(ctx, held, *t)
	}
}

// reasonAlertDeleted is why a detection is dropped whose alert an analyst deleted.
const reasonAlertDeleted = "alert deleted"

// openAlert creates the alert of the plans, with all that they bring.
func (r *resolution) openAlert(ctx, held context.Context, t *target) (again bool, err error) {
	if err := r.mayOpen(held, r.chosen(*t)[0]); err != nil {
		return false, err
	}
	n, a, made, err := r.createAlert(held, t)
	if err != nil || a.ID == "" {
		return false, err
	}
	r.referAlert(a)
	if !n.plans[0].ByEvent {
		r.body.Names++
	}
	if !made {
		return true, nil
	}
	r.body.count(hour(n.plans[0].At))
	r.a.happened(EventNewAlert, 0, a.Type+" "+a.Source+" "+a.SourceRef+" "+a.ID)
	degraded := n.degraded() || len(lostFields(heldBy(a), n.sent)) > 0
	if degraded {
		r.a.happened(EventDegraded, 0, "route "+n.plans[0].Route+": "+n.why(heldBy(a)))
	}
	return false, r.withCase(ctx, held, a.ID, func(cc *caseClaim) error {
		return r.addTo(ctx, cc, task{
			c: heldBy(a), plans: n.plans, charged: r.pick(*t), created: true, brought: n.items, degraded: degraded,
		})
	})
}

// addTo gives the key up, and adds to an alert what plans ask for.
func (r *resolution) addTo(ctx context.Context, cc *caseClaim, t task) error {
	cc.turn, cc.body.Alert = cc.inAlert(), true
	return r.handOver(ctx, cc, t)
}

// createAlert posts the alert; made is false where it was there. What TheHive refuses of it is left out as of a case; plans
// after the first wait, should that not do.
func (r *resolution) createAlert(held context.Context, t *target) (n *creation, a hive.Alert, made bool, err error) {
	calls, done := calling(held, r.key)
	defer done()
	n = r.newAlert(calls, *t)
	for lost := 0; n.err == nil && lost < maxCreates; {
		name := n.plans[0].AlertName(r.body.Names)
		a, err = r.hive.CreateAlert(calls, alert.Queued(name, n.sent, n.items.wire(r.a.options.Batch), n.plans[0].Link()))
		switch {
		case err == nil:
			r.chargeTexts(*t, n)
			return n, a, true, nil
		case saysExists(err):
			found := false
			if a, found, err = r.alertOf(calls, name); err != nil || found {
				return n, a, false, err
			}
			lost++ // deleted in between
		case scopeOf(err) == scopeRefused:
			n = r.lessOf(calls, n, t, err)
		case !hive.Uncertain(err):
			return n, a, false, err
		default:
			lost++
			r.a.happened(EventAmbiguous, 0, "create alert")
			if err := r.wait(held, lookPause(lost, r.a.options.Settle)); err != nil {
				return n, a, false, err
			}
		}
	}
	if n.err == nil || scopeOf(n.err) == scopeAll {
		return n, hive.Alert{}, false, errors.Join(n.err, enrich.ErrUnsettled, err)
	}
	r.out.charge(r.pick(*t), refusalOf("alert", n.plans[0].Title, n.err), n.err)
	return n, hive.Alert{}, false, nil
}

// lessOf is what is left of an alert that TheHive refuses: without items, without what the error names or each part in turn, the
// first plan alone; or nothing, and why.
func (r *resolution) lessOf(calls context.Context, n *creation, t *target, cause error) *creation {
	n.cause = cause
	switch {
	case !n.items.empty():
		n.items = brought{}
	case (len(n.plans) == 1 || n.named(cause)) && n.leaveOut(cause):
	case len(n.plans) > 1:
		t.plans = t.plans[:1]
		return r.newAlert(calls, *t)
	default:
		n.err = cause
	}
	return n
}

// newAlert is the alert of a target's plans on its way.
func (r *resolution) newAlert(calls context.Context, t target) *creation {
	n := r.newCreation(r.chosen(t), false)
	n.byAlert = true
	if n.err == nil {
		n.err = caught(func() error { n.items = r.itemsOf(n); return nil })
	}
	if n.err == nil {
		n.err = r.leaveOutLinks(calls, n)
	}
	return n
}

// joinAlert adds to the alert of the plans, or to the case that it became.
func (r *resolution) joinAlert(ctx, held context.Context, t target) (again bool, err error) {
	var promoted hive.Alert
	err = r.withCase(ctx, held, t.ref.ID, func(cc *caseClaim) error {
		calls, done := calling(held, r.key)
		defer done()
		a, err := r.hive.Alert(calls, t.ref.ID)
		switch {
		case isGone(err):
			r.alertGone(t.ref.ID)
			again = true
			return nil
		case err != nil:
			return err
		}
		r.referAlert(a)
		if a.CaseID != "" {
			promoted = a
			return nil
		}
		if again = r.moved(t); again {
			return nil
		}
		return r.addTo(ctx, cc, task{c: heldBy(a), plans: r.chosen(t), charged: r.pick(t), alert: a})
	})
	if err != nil || promoted.ID == "" {
		return again, err
	}
	return r.joinPromoted(ctx, held, t, promoted)
}

// joinPromoted adds to the case that an alert became, or became part of. Where that case is out of sight, and nothing said that
// it was deleted, the alert itself still takes what comes.
func (r *resolution) joinPromoted(ctx, held context.Context, t target, a hive.Alert) (again bool, err error) {
	gone := false
	err = r.withCase(ctx, held, a.CaseID, func(cc *caseClaim) error {
		calls, done := calling(held, r.key)
		defer done()
		c, err := r.hive.Case(calls, a.CaseID)
		if gone = isGone(err); gone {
			return nil
		}
		if err != nil {
			return err
		}
		r.ended(a.ID, c)
		if again = r.moved(t); again {
			return nil
		}
		w := task{c: c, plans: r.chosen(t), charged: r.pick(t)}
		if !slices.Contains(cc.body.From, a.ID) {
			w.alert, w.sources = a, []caseRef{{ID: a.ID}}
		}
		r.touch(a.ID, w.plans)
		return r.handOver(ctx, cc, w)
	})
	if err != nil || !gone {
		return again, err
	}
	m, _, err := loadMarks(held, r.a.options.Ledger, a.CaseID)
	if err != nil {
		return false, err
	}
	if m.Gone != 0 {
		r.out.fail(r.pick(t), &enrich.DroppedError{Reason: "case deleted"})
		return false, nil
	}
	return false, r.withCase(ctx, held, a.ID, func(cc *caseClaim) error {
		return r.addTo(ctx, cc, task{c: heldBy(a), plans: r.chosen(t), charged: r.pick(t), alert: a})
	})
}

// moved tells whether plans belong elsewhere by now.
func (r *resolution) moved(t target) bool {
	now := assign(r.plans(), r.body.Raised)
	return now.ref.ID != t.ref.ID || now.fate != t.fate || !slices.Equal(now.plans, t.plans)
}

// referAlert brings the reference of an alert up to what TheHive says.
func (r *resolution) referAlert(a hive.Alert) {
	ref := caseRef{ID: a.ID, Start: int64(a.Date), Last: int64(a.Date)}
	if a.Stage == stageClosed {
		ref.End = int64(a.ClosedDate)
	}
	i := slices.IndexFunc(r.body.Raised, func(x caseRef) bool { return x.ID == a.ID })
	if i < 0 {
		r.body.Raised = append(r.body.Raised, ref)
		return
	}
	ref.Last = max(ref.Last, r.body.Raised[i].Last)
	if a.CaseID != "" {
		ref.End = r.body.Raised[i].End // the case's
	}
	r.body.Raised[i] = ref
}

// ended notes the end of the case that an alert became.
func (r *resolution) ended(id string, c hive.Case) {
	for i := range r.body.Raised {
		if ref := &r.body.Raised[i]; ref.ID == id {
			if ref.End = 0; c.Stage == stageClosed {
				ref.End = int64(c.EndDate)
			}
		}
	}
}

// alertGone notes that an analyst deleted an alert: what falls into its span is dropped.
func (r *resolution) alertGone(id string) {
	for i := range r.body.Raised {
		if r.body.Raised[i].ID == id {
			r.body.Raised[i].Gone, r.body.Raised[i].Confirmed = true, true
		}
	}
}

// absorbAlert takes over the entry of an alert that became the case, or part of it: what Forager added to it, and what analysts
// removed of that, is so in the case. TheHive may copy it later, so that no list is believed for a while that lacks it;
// comments stay with the alert.
func (w *caseWork) absorbAlert(old caseBody) {
	for name, ref := range old.Comments {
		rule, _, _ := strings.Cut(name, "/")
		if ref.ID != inDescription || !strings.Contains(w.c.Description, rule) {
			delete(old.Comments, name)
		}
	}
	old.Digest = nil
	w.body.absorb(old)
	w.adopt(w.alert)
	w.posted(kindObservable)
	w.posted(kindProcedure)
	w.body.From = append(w.body.From, w.alert.ID)
	w.body.From = w.body.From[max(0, len(w.body.From)-maxRefs):]
}
