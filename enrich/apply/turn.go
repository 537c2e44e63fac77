package apply

import (
	"context"
	"slices"
	"sync"
	"time"

	"forager/enrich"
	"forager/enrich/claim"
)

// turn is one turn of an apply: it does the plans of one case. Its phases are types of their own:
// a resolution finds or opens the case under the claim of the key, a caseClaim has the case, and caseWork
// learns what is there and adds what is missing.
type turn struct {
	*job

	a            *Applier
	hive         Hive   // in the organisation
	organisation string // of all plans: their queue names it
}

// job is what an apply has to do, from turn to turn.
type job struct {
	queue string
	all   []enrich.Plan
	rest  []int // indices of the plans still to do, oldest first
	out   *outcomes
	slot  *enrich.Slot         // left while the apply only waits
	more  func() []enrich.Plan // what came meanwhile; nil is nothing

	landed func(plan int, in enrich.Landing) // told where plans end; nil is nobody
}

// land tells in which case plans end.
func (j *job) land(plans []int, id string, number int) {
	if j.landed == nil {
		return
	}
	for _, i := range plans {
		j.landed(i, enrich.Landing{ID: id, Number: number})
	}
}

// add adds plans to what is to be done.
func (j *job) add(plans []enrich.Plan) {
	for i := range plans {
		j.rest = append(j.rest, len(j.all)+i)
	}
	j.all = append(j.all, plans...)
	j.out.add(len(plans))
	slices.SortStableFunc(j.rest, func(a, b int) int { return j.all[a].At.Compare(j.all[b].At) })
}

// addMore adds what came while the apply waited for another replica: it would wait for that once more.
func (j *job) addMore() {
	if j.more != nil {
		j.add(j.more())
	}
}

// turn does the plans of one case, and tells which. It waits for what it needs before it claims anything:
// until other replicas had the key, the key's lock in this process, and the slot.
func (a *Applier) turn(ctx context.Context, j *job) ([]int, error) {
	if err := a.contention.Yield(ctx, j.queue, j.slot.Leave); err != nil {
		return nil, err
	}
	organisation := j.all[j.rest[0]].Organisation
	t := &turn{job: j, a: a, hive: a.options.Hive(organisation), organisation: organisation}
	if err := a.locks.Lock(ctx, keyName(j.queue), j.slot.Leave); err != nil {
		return nil, err
	}
	unlock := sync.OnceFunc(func() { a.locks.Unlock(keyName(j.queue)) })
	defer unlock()
	if err := t.takeSlot(ctx); err != nil { // nothing is claimed that would only wait for a slot
		return nil, err
	}
	done, err := t.resolve(ctx, unlock)
	return done, inOrganisation(organisation, err)
}

// turnWithoutPlans is one that no detection asks for; whoever makes it leaves its slot.
func (a *Applier) turnWithoutPlans(organisation string) *turn {
	return &turn{job: &job{out: newOutcomes(0), slot: a.options.Slots.Slot()}, a: a, organisation: organisation, hive: a.options.Hive(organisation)}
}

// meet tells of what the claim met.
func (t *turn) meet(c *claim.Claim) {
	if c.Contended() {
		t.a.happened(EventWaited, 0, c.Name())
	}
	if c.TakenOver() {
		t.a.happened(EventTakenOver, 0, c.Name())
	}
}

func (a *Applier) happened(kind EventKind, number int, detail string) {
	a.options.Events.Happened(Event{Kind: kind, Case: number, Detail: detail})
}

// pick gives the indices of a target's plans among all.
func (t *turn) pick(of target) []int {
	done := make([]int, 0, len(of.plans))
	for _, i := range of.plans {
		done = append(done, t.rest[i])
	}
	return done
}

// chosen gives the plans of a target.
func (t *turn) chosen(of target) []enrich.Plan {
	plans := make([]enrich.Plan, 0, len(of.plans))
	for _, i := range t.pick(of) {
		plans = append(plans, t.all[i])
	}
	return plans
}

// takeSlot takes the slot, unless the turn has it.
func (t *turn) takeSlot(ctx context.Context) error {
	if t.slot.Take(ctx) != nil {
		return claim.Ended(ctx)
	}
	return nil
}

// wait waits without the slot, and takes it again.
func (t *turn) wait(ctx context.Context, d time.Duration) error {
	t.slot.Leave()
	if err := claim.Wait(ctx, d); err != nil {
		return err
	}
	return t.takeSlot(ctx)
}

// lookUntilSettled repeats a look until it finds, or settle has passed since the lost call was
// given up. The pauses grow, and take no slot.
func (t *turn) lookUntilSettled(held context.Context, cause error, found func() (bool, error)) error {
	deadline := time.Now().Add(t.a.options.Settle)
	for n := 0; ; n++ {
		ok, err := found()
		if err != nil || ok || rolledBack(cause) || !time.Now().Before(deadline) {
			return err
		}
		wait := min(lookPause(n, t.a.options.Settle), max(time.Until(deadline), time.Millisecond))
		if err := t.wait(held, wait); err != nil {
			return err
		}
	}
}

// lookPause is how long to wait after so many looks for the effect of a lost call; it grows up to a quarter
// of settle.
func lookPause(look int, settle time.Duration) time.Duration {
	return min(50*time.Millisecond<<min(look, 10), settle/4+time.Millisecond)
}

// outcomes collects what became of each plan of an apply.
type outcomes struct {
	errs      []error
	refusals  [][]enrich.Refusal
	unsettled []*enrich.UnsettledError

	opensFailed int // plans that could not open a case, without a verdict
}

func newOutcomes(n int) *outcomes {
	return &outcomes{errs: make([]error, n), refusals: make([][]enrich.Refusal, n), unsettled: make([]*enrich.UnsettledError, n)}
}

// add makes room for so many plans more.
func (o *outcomes) add(n int) {
	o.errs = append(o.errs, make([]error, n)...)
	o.refusals = append(o.refusals, make([][]enrich.Refusal, n)...)
	o.unsettled = append(o.unsettled, make([]*enrich.UnsettledError, n)...)
}

// fail gives plans an error, unless they have one.
func (o *outcomes) fail(plans []int, err error) {
	for _, i := range plans {
		if o.errs[i] == nil {
			o.errs[i] = err
		}
	}
}

// refuse charges plans with an item that TheHive refused for good.
func (o *outcomes) refuse(plans []int, r enrich.Refusal) {
	for _, i := range plans {
		o.refusals[i] = append(o.refusals[i], r)
	}
}

// unsettle charges plans with an item that failed, and that TheHive may take the next time.
func (o *outcomes) unsettle(plans []int, r enrich.Refusal, err error) {
	for _, i := range plans {
		if o.unsettled[i] == nil {
			o.unsettled[i] = &enrich.UnsettledError{Err: err}
		}
		o.unsettled[i].Items = append(o.unsettled[i].Items, r)
	}
}

// charge charges plans with an item, by what its error says.
func (o *outcomes) charge(plans []int, r enrich.Refusal, err error) {
	if scopeOf(err) == scopeRefused {
		o.refuse(plans, r)
		return
	}
	o.unsettle(plans, r, err)
}

// all gives the verdict on each plan: an error of the whole apply, else what may pass the next
// time, else its refusals, else nil.
func (o *outcomes) all() []error {
	for i := range o.errs {
		switch {
		case o.errs[i] != nil:
		case o.unsettled[i] != nil:
			o.errs[i] = o.unsettled[i]
		case len(o.refusals[i]) > 0:
			o.errs[i] = &enrich.RejectedError{Items: o.refusals[i]}
		}
	}
	return o.errs
}
