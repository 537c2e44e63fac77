package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/sourcegraph/conc/panics"
	"go.uber.org/zap"

	"forager/enrich"
)

// errGateClosed is what becomes of plans that meet a closed gate. It is Blocked: nothing can be
// done for any message, and the cause has been told once already.
var errGateClosed = fmt.Errorf("gate is closed: %w", enrich.ErrHeld)

// errResults says that an applier broke its contract.
var errResults = errors.New("applier returned another number of results than plans")

// dispatch begins an apply for one ready queue after the other, as slots come free. So what goes along with an
// apply is all that came until then, and no more wait than are needed.
func (w *Worker) dispatch(ctx context.Context) {
	for w.group.await(ctx) && w.inflight.filled(ctx) {
		slot := w.options.Slots.Slot()
		if slot.Take(ctx) != nil {
			return
		}
		w.runners.Go("apply", func() { w.runs(ctx, slot) })
	}
}

// runs applies batch after batch, as long as a queue is ready and nobody waits for the slot.
func (w *Worker) runs(ctx context.Context, slot *enrich.Slot) {
	defer slot.Leave()
	for slot.Free() {
		q, batch := w.group.begin()
		if q == nil {
			return
		}
		func() {
			defer w.group.end(q)
			w.run(ctx, slot, q, batch)
		}()
		slot.Leave() // who waits for one is first
	}
}

// run applies a batch of one queue, unless something is closed to it.
func (w *Worker) run(ctx context.Context, slot *enrich.Slot, q *queue, batch []*part) {
	w.inflight.poke() // the queue has space again
	if ctx.Err() != nil {
		w.giveBack(batch, fmt.Errorf("apply: %w", enrich.ErrStopping))
		return
	}
	open, _, epoch, _ := w.gate.state()
	probe := isProbe(batch)
	if !open && !probe {
		w.giveBack(batch, errGateClosed)
		return
	}
	if batch = w.again(batch); len(batch) == 0 {
		return
	}
	if batch = w.admit(ctx, q, batch); len(batch) == 0 {
		return
	}
	organisation := batch[0].plan.Organisation // of all: the queue's name is made of it
	pass, ok := w.organisations.enter(organisation, probe)
	if !ok {
		w.giveBack(batch, closedTo(organisation))
		return
	}
	w.applySafely(ctx, &applying{queue: q, slot: slot, parts: batch, epoch: epoch, pass: pass})
}

// isProbe tells whether a batch holds the message that is to prove the gate.
func isProbe(batch []*part) bool {
	for _, p := range batch {
		if p.of.probe != nil {
			return true
		}
	}
	return false
}

// giveBack gives all parts one error without an apply.
func (w *Worker) giveBack(batch []*part, err error) {
	for _, p := range batch {
		w.finishPart(p, err, 0)
	}
}

// applying is one apply: of a queue's batch, and of what joins it while it waits for another replica.
type applying struct {
	queue *queue
	slot  *enrich.Slot
	parts []*part
	epoch uint64 // of the gate
	pass  pass
}

// batch is what the applier is asked for.
func (a *applying) batch(w *Worker) enrich.Batch {
	return enrich.Batch{Queue: a.queue.name, Slot: a.slot, Plans: plansOf(a.parts), More: func() []enrich.Plan {
		joining := w.again(w.group.joining(a.queue, a.parts))
		a.parts = append(a.parts, joining...)
		return plansOf(joining)
	}, Landed: func(plan int, in enrich.Landing) { a.parts[plan].in = in }}
}

// plansOf are the plans of some parts, of which an apply is made.
func plansOf(parts []*part) []enrich.Plan {
	plans := make([]enrich.Plan, len(parts))
	for i, part := range parts {
		plans[i] = *part.plan
		part.of.met.Store(true)
	}
	return plans
}

// applySafely turns a panic beside the apply, in an observer or a tracer, into the error of the batch's
// messages; without that they would be held, and kept from coming again, for ever.
func (w *Worker) applySafely(ctx context.Context, a *applying) {
	var caught panics.Catcher
	caught.Try(func() { w.applyBatch(ctx, a) })
	if r := caught.Recovered(); r != nil {
		err := fmt.Errorf("apply: %w", r.AsError())
		w.options.Log.Error("a panic beside an apply", zap.Error(err))
		w.giveBack(a.parts, err)
	}
}

// applyBatch is one apply, and what its results mean for messages, key and gates.
func (w *Worker) applyBatch(ctx context.Context, a *applying) {
	began := w.now()
	traced, span := w.tracing.apply(ctx, a.queue.name, a.parts)
	results := w.apply(traced, a)
	endApply(span, results)
	took := w.now().Sub(began)
	w.group.went(a.queue, len(a.parts), took)
	w.judge(ctx, a.queue.name, a.parts, results, a.epoch, a.pass)
	for i, part := range a.parts {
		w.finishPart(part, results[i], took)
	}
}

// apply calls the applier, whose panics become the error of every plan of the batch: the message
// at fault is found by going alone.
func (w *Worker) apply(ctx context.Context, a *applying) []error {
	var results []error
	var caught panics.Catcher
	caught.Try(func() { results = w.applier.Apply(ctx, a.batch(w)) })
	if r := caught.Recovered(); r != nil {
		w.options.Observer.Noticed(NoticePanic)
		return repeat(fmt.Errorf("apply: %w", r.AsError()), len(a.parts))
	}
	if len(results) != len(a.parts) {
		return repeat(fmt.Errorf("apply: %w: %d for %d", errResults, len(results), len(a.parts)), len(a.parts))
	}
	return results
}

func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// judge tells key and gates how an apply went.
func (w *Worker) judge(ctx context.Context, queue string, batch []*part, results []error, epoch uint64, p pass) {
	best, good := best(results)
	refusal := w.refusal(ctx, best, epoch, p)
	w.organisations.leave(p, results, refusal)
	if refusal != nil {
		w.gate.applied(epoch, queue, nil) // TheHive answers, and knows us: that is all the worker's gate asks
		return
	}
	if good {
		w.failing.succeeded(queue)
	} else if enrich.ClassOf(best) == enrich.Transient {
		now := w.gate.clock()
		for i, p := range batch {
			if _, own := errors.AsType[*enrich.UnsettledError](results[i]); own {
				continue // an item of it failed: that says nothing against its key
			}
			w.failing.failed(queue, p.of.sequence, now)
		}
	}
	if w.gate.applied(epoch, queue, best) {
		w.suspect(ctx)
	}
}

// best is the result that says most in favour of TheHive: one success outweighs all failures,
// but a Blocked one speaks for all.
func best(results []error) (err error, good bool) { //nolint:revive // the error is the subject, not the failure, of this function
	var worst error
	for _, r := range results {
		switch enrich.ClassOf(r) {
		case enrich.None, enrich.Rejected, enrich.Dropped:
			good = true
		case enrich.Blocked:
			return r, false
		default:
			if rank(r) > rank(worst) {
				worst = r
			}
		}
	}
	if good {
		return nil, true
	}
	return worst, false
}

// refusal is what the gate of an organisation is closed for: TheHive refuses the worker there, and
// not everywhere. Refused credentials are asked about, one for all, since TheHive may mean either.
func (w *Worker) refusal(ctx context.Context, err error, epoch uint64, p pass) error {
	e, ok := errors.AsType[*enrich.OrganisationError](err)
	if !ok || p.breaker == nil {
		return nil
	}
	if !e.Credentials {
		return err
	}
	w.asking.Lock()
	defer w.asking.Unlock()
	if !w.gate.current(epoch) {
		return nil // somebody asked meanwhile, or it was closed before
	}
	if !p.breaker.gate.current(p.epoch) {
		return err
	}
	if w.options.Check == nil {
		return nil
	}
	if everywhere := w.check(ctx); everywhere != nil {
		if ctx.Err() == nil {
			w.gate.close(reasonFor(everywhere), everywhere)
		}
		return nil
	}
	return err
}

// suspect asks TheHive, after failures in a row, whether it answers at all. One asks for all.
func (w *Worker) suspect(ctx context.Context) {
	if !w.asking.TryLock() {
		return
	}
	defer w.asking.Unlock()
	if err := w.check(ctx); err != nil && ctx.Err() == nil {
		w.gate.close(reasonFor(err), err)
	}
}

// check asks TheHive whether it is well.
func (w *Worker) check(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, w.options.Settle)
	defer cancel()
	if err := w.options.Check(bounded); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	w.gate.isWell()
	return nil
}
