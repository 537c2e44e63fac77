package apply

import (
	"context"
	"time"

	"forager/enrich"
	"forager/enrich/claim"
)

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

// slots bounds how many applies work at TheHive at a time.
type slots chan struct{}

func (s slots) take(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return claim.Ended(ctx)
	}
}

func (s slots) give() { <-s }

// slot is an apply slot that can be left while waiting.
type slot struct {
	slots slots
	taken bool
}

func (s *slot) take(ctx context.Context) error {
	if s.taken {
		return nil
	}
	err := s.slots.take(ctx)
	s.taken = err == nil
	return err
}

func (s *slot) leave() {
	if s.taken {
		s.slots.give()
		s.taken = false
	}
}

// rest waits without the slot, and takes one again.
func (s *slot) rest(ctx context.Context, d time.Duration) error {
	s.leave()
	if err := claim.Wait(ctx, d); err != nil {
		return err
	}
	return s.take(ctx)
}
