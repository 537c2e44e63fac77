package apply

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"forager/enrich"
	"forager/enrich/claim"
	"forager/enrich/rules"
	"forager/hive"
)

// maxCreates bounds how often a turn creates the same case after finding that an earlier try
// had no effect.
const maxCreates = 3

// open creates the case of the plans, claims it and adds to it.
func (r *resolution) open(ctx, held context.Context, t *target) (again bool, err error) {
	if err := r.mayOpen(held, r.chosen(*t)[0]); err != nil {
		return false, err
	}
	if err := r.waitForRoom(held); err != nil {
		return false, err
	}
	n, c, created, err := r.createOf(held, t)
	if err != nil || c.ID == "" {
		return false, err
	}
	plans := r.chosen(*t)
	r.refer(c, false)
	r.body.count(hour(plans[0].At))
	if !created {
		return true, nil // found after a lost answer: join it like any other
	}
	r.touch(c.ID, plans)
	r.unshown(c.ID)
	r.a.happened(EventNewCase, c.Number, plans[0].Key.String())
	return false, r.withCase(ctx, held, c.ID, func(cc *caseClaim) error {
		return r.handOver(ctx, cc, task{
			c: c, plans: plans, charged: r.pick(*t), sources: r.lost.sources[c.ID], created: true,
			degraded: n.degraded() || len(lostFields(c, n.sent)) > 0, page: n.digest, promoted: n.alert.ID != "", brought: n.items,
		})
	})
}

// createOf opens the case of the target's plans. When TheHive does not take it for what it holds, it
// is opened by half of them, and what is left of the target is what was done: the others come next.
// A plan that alone cannot open the case is charged, and there is no case.
func (r *resolution) createOf(held context.Context, t *target) (n *creation, c hive.Case, created bool, err error) {
	place, sure := r.a.digests(held, r.organisation, r.hive)
	for {
		plans := r.chosen(*t)
		n = r.newCreation(plans, sure && place == DigestPage)
		if n.err == nil {
			c, created, n.err = r.create(held, n)
		}
		switch {
		case n.err == nil:
			r.chargeTexts(*t, n)
			n.digest = n.page(place, sure)
			return n, c, created, nil
		case scopeOf(n.err) == scopeAll, isUnseen(n.err), errors.Is(n.err, enrich.ErrUnsettled) && len(plans) == 1 && r.out.opensFailed >= maxFailedOpens:
			return n, c, false, n.err
		case len(plans) == 1:
			if scopeOf(n.err) == scopeFailed {
				r.out.opensFailed++
			}
			r.out.charge(r.pick(*t), refusalOf("case", plans[0].Title, n.err), n.err)
			return n, hive.Case{}, false, nil
		}
		t.plans = t.plans[:(len(t.plans)+1)/2]
	}
}

// chargeTexts charges a detection with what of its own words the case was opened without. Tags are
// tried again, one by one.
func (r *resolution) chargeTexts(t target, n *creation) {
	for _, p := range n.left {
		if !p.config && p.name != "tags" {
			r.out.charge(r.pick(t), refusalOf("case", p.name, n.cause), n.cause)
		}
	}
}

// unshown notes that the search may not show a case yet, so that the list alone knows of it.
func (r *resolution) unshown(id string) {
	for i := range r.body.Cases {
		if r.body.Cases[i].ID == id {
			r.body.Cases[i].Opened = time.Now().UnixMilli()
		}
	}
}

// waitForRoom waits until the list has room for one more case that the search may not show yet.
func (r *resolution) waitForRoom(held context.Context) error {
	for {
		n, soonest := 0, r.a.shown()
		for _, ref := range r.body.Cases {
			if now := time.Now(); ref.unshown(now, r.a.shown()) {
				n++
				soonest = min(soonest, r.a.shown()-now.Sub(time.UnixMilli(ref.Opened)))
			}
		}
		if n < maxUnshown {
			return nil
		}
		if err := r.wait(held, max(soonest, time.Millisecond)); err != nil {
			return err
		}
	}
}

// maxFailedOpens bounds how many plans of an apply in vain try to open a case without a verdict.
const maxFailedOpens = 2

// creation is a case on its way: what is sent, and what may be left out of it.
type creation struct {
	plans []enrich.Plan
	base  hive.NewCase // without what an error named
	sent  hive.NewCase
	out   []optional // what errors named
	left  []optional // what is left out of this trial
	trial int
	tries int
	cause error // the first refusal
	err   error

	digest  pageState
	byAlert bool
	alert   hive.Alert // that it made, to become the case
	items   brought    // what that holds
	try     int        // of its name
}

func (r *resolution) newCreation(plans []enrich.Plan, paged bool) *creation {
	n := &creation{plans: plans}
	n.err = caught(func() error {
		n.base = newCase(plans, r.a.options.Limits.Tags)
		if paged {
			n.base.Pages = firstPages(plans, n.base.Pages)
		}
		return nil
	})
	if old, ok := r.follows(plans[0]); ok {
		n.base.Description = following(old) + n.base.Description
	}
	n.sent = n.base
	return n
}

// page tells whether what is sent has the page of detections, and where it has not, what takes its place.
func (n *creation) page(place DigestPlace, sure bool) pageState {
	switch {
	case slices.ContainsFunc(n.sent.Pages, isDigest):
		return pageMade
	case place == DigestNone:
		return pageNone
	case sure:
		return pageComment
	default:
		return pageLater
	}
}

// create posts the case. An answer that says nothing certain is looked after by the tag. A refusal
// that may be due to the configuration costs the value that is at fault, and no other.
func (r *resolution) create(held context.Context, n *creation) (c hive.Case, created bool, err error) {
	calls, done := calling(held, r.key)
	defer done()
	if err := r.addTemplateTags(calls, n); err != nil {
		return hive.Case{}, false, err
	}
	if err := r.leaveOutLinks(calls, n); err != nil {
		return c, false, err
	}
	n.byAlert = r.byAlert(calls, n.plans[0])
	n.items = r.itemsOf(n)
	for lost := 0; lost < maxCreates; {
		c, created, err = r.post(held, calls, n)
		switch {
		case err == nil && !created:
			r.opened = c.ID
			return c, false, nil
		case err == nil:
			if n.degraded() || len(lostFields(c, n.sent)) > 0 {
				r.a.happened(EventDegraded, c.Number, "route "+n.plans[0].Route+": "+n.why(c))
			}
			return c, true, nil
		case n.byAlert && r.goesDirect(n, err):
			continue
		case scopeOf(err) == scopeRefused:
			n.cause = cmp.Or(n.cause, err)
			if len(n.plans) > 1 && !n.named(err) || !n.leaveOut(err) {
				return c, false, err
			}
			continue
		case !hive.Uncertain(err):
			return c, false, err
		}
		lost++
		r.a.happened(EventAmbiguous, 0, "create case")
		found, lookErr := r.afterLost(held, n, lost, err)
		if lookErr != nil || found.ID != "" {
			return found, false, lookErr
		}
	}
	return c, false, errors.Join(enrich.ErrUnsettled, err)
}

// post creates the case, or the alert that becomes it; false where it was there already.
func (r *resolution) post(held, calls context.Context, n *creation) (c hive.Case, created bool, err error) {
	if n.byAlert {
		return r.promote(calls, n)
	}
	if err := r.key.Intend(held, kindCase); err != nil {
		return c, false, err
	}
	c, err = r.hive.CreateCase(calls, n.sent)
	return c, err == nil, err
}

// afterLost looks for a case whose creation had no certain answer. By alert nothing is to be waited for: what was done
// is found under the alert's name.
func (r *resolution) afterLost(held context.Context, n *creation, lost int, cause error) (hive.Case, error) {
	if n.byAlert {
		return hive.Case{}, r.wait(held, lookPause(lost, r.a.options.Settle))
	}
	r.unclear = true
	found, err := r.await(held, n.plans[0].At, cause)
	if err != nil {
		return hive.Case{}, err
	}
	r.unclear = false
	r.opened = cmp.Or(found.ID, r.opened)
	return found, nil
}

// await looks for a case of a start that a lost answer may have created: at once, and again with growing
// pauses. What is found ends the wait; only absence needs all of settle. An answer of TheHive
// itself that says it rolled back is believed after one look.
func (r *resolution) await(held context.Context, at time.Time, cause error) (hive.Case, error) {
	calls, done := calling(held, r.key)
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
	return found, unseen(err)
}

func (r *resolution) knows(id string) bool {
	same := func(c caseRef) bool { return c.ID == id }
	return slices.ContainsFunc(r.body.Cases, same) || r.lost.has(id)
}

// newCase is the case that plans open, dated by the oldest, whose route gives it its shape, with no more tags than are allowed.
func newCase(plans []enrich.Plan, mostTags int) hive.NewCase {
	first, all := plans[0], merge(plans)
	tags := []string{first.Tag()}
	fitting, _ := all.fitTags(tags, mostTags)
	for _, t := range fitting {
		tags = append(tags, t.tag)
	}
	c := hive.NewCase{
		Title: first.Title, Description: description(plans), Severity: &all.severity,
		TLP: &all.tlp, PAP: &all.pap, StartDate: hive.MillisOf(first.At), Tags: tags,
		CaseTemplate: first.Shape.Template, CustomFields: first.Shape.Fields, Pages: first.Shape.Pages,
	}
	if len(first.Shape.Tasks) > 0 {
		c.Tasks = first.Shape.Tasks
	}
	if !noAssignee(first.Shape) {
		c.Assignee = first.Shape.Assignee
	}
	return c
}

// noAssignee tells whether nobody is to have the case: TheHive gives it to the account that creates it.
func noAssignee(s rules.Shape) bool { return s.Assignee == "" || s.Assignee == rules.Nobody }

// A route and a key may open only so many cases in an hour, over all replicas; what comes above
// goes into one case of the route, or of the key, which is alerted. The count of a route lies in the
// ledger, as rate.<hash>, that of a key in its own entry.

// overflowError says that a route, or a key, has opened its cases of this hour.
type overflowError struct {
	plan enrich.Plan
	key  bool // it was the key
}

// who names what opened too many.
func (e *overflowError) who() string {
	if e.key {
		return e.plan.Key.String()
	}
	return "route " + e.plan.Route
}

func (e *overflowError) Error() string { return e.who() + " opened its cases of this hour" }

// rateBody counts the cases that a route opened in an hour, by event time as all dates are: a
// replay of a week is held to what the week was held to.
type rateBody struct {
	Hour string `json:"hour"`
	N    int    `json:"n"`
}

// mayOpen counts a case against its route's limit before it is created. A count whose answer was
// lost is made again: the limit may be met one case early.
func (r *resolution) mayOpen(ctx context.Context, p enrich.Plan) error {
	if p.KeyCap > 0 && r.body.opened(hour(p.At)) >= p.KeyCap {
		return &overflowError{plan: p, key: true}
	}
	if p.NewCap == 0 {
		return nil
	}
	key := "rate." + enrich.ShortHash(p.Organisation, p.Route, hour(p.At))
	return claim.ChangeRecord(ctx, r.a.options.Ledger, key, func(b *rateBody) (bool, error) {
		if b.N >= p.NewCap {
			return false, &overflowError{plan: p}
		}
		b.Hour, b.N = hour(p.At), b.N+1
		return true, nil
	})
}

// overflow puts the plans that may not open a case into the overflow case of the route, or of the
// key. It takes what comes, also after it was closed: else it would be opened as often as the others.
func (a *Applier) overflow(ctx context.Context, j *job, over *overflowError) ([]int, error) {
	kind, detail := EventOverflow, over.plan.Route
	if over.key {
		kind, detail = EventCrowded, over.plan.Key.String()
	}
	a.happened(kind, 0, detail)
	key := enrich.Key{Kind: "key", Value: "forager overflow of " + over.who()}
	if over.plan.AsAlert {
		key.Value = "forager overflow of alerts of " + over.who()
	}
	moved := slices.Clone(j.all)
	for _, i := range j.rest {
		p := &moved[i]
		p.Key, p.Hash = key, key.Hash(p.Organisation)
		p.Title = "Too many new cases: " + over.who()
		if p.AsAlert {
			p.Title, p.ByEvent = "Too many new alerts: "+over.who(), false
		}
		p.Tags = append(slices.Clone(p.Tags), enrich.TagPrefix+"overflow")
		p.NewCap, p.KeyCap, p.Find, p.Shape = 0, 0, nil, rules.Shape{}
		p.Closed = rules.ClosedComment
		if p.Window != 0 {
			p.Window = max(p.Window, enrich.DefaultWindow)
		}
	}
	first := slices.Clone(j.rest[:1]) // the others may find a case of their own
	return a.turn(ctx, &job{queue: moved[first[0]].Hash, all: moved, rest: first, out: j.out, slot: j.slot})
}

// hour names the hour of a limit.
func hour(at time.Time) string { return at.UTC().Format("2006010215") }
