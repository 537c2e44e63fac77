package enrich

import (
	"context"
	"slices"
)

// A route may open only so many cases in an hour, over all replicas; what comes above goes into
// one case of the route, which is alerted. The count lies in the ledger, as rate.<hash>.

// overflowError says that a route has opened its cases of this hour.
type overflowError struct{ plan Plan }

func (e *overflowError) Error() string {
	return "route " + e.plan.Route + " opened its cases of this hour"
}

// rateBody counts the cases that a route opened in an hour, by event time as all dates are: a
// replay of a week is held to what the week was held to.
type rateBody struct {
	Hour string `json:"hour"`
	N    int    `json:"n"`
}

// mayOpen counts a case against its route's limit before it is created. A count whose answer was
// lost is made again: the limit may be met one case early.
func (r *round) mayOpen(ctx context.Context, p Plan) error {
	if p.NewCap == 0 {
		return nil
	}
	key := "rate." + shortHash(p.Organisation, p.Route, hour(p.At))
	return changeRecord(ctx, r.e.options.Ledger, key, func(b *rateBody) (bool, error) {
		if b.N >= p.NewCap {
			return false, &overflowError{p}
		}
		b.Hour, b.N = hour(p.At), b.N+1
		return true, nil
	})
}

// overflow puts the plans that may not open a case into the route's overflow case.
func (e *Enricher) overflow(ctx context.Context, over *overflowError, plans []Plan, rest []int, out *outcomes) ([]int, error) {
	e.happened(EventOverflow, 0, over.plan.Route)
	key := Key{Kind: "key", Value: "forager overflow of route " + over.plan.Route}
	moved := slices.Clone(plans)
	for _, i := range rest {
		p := &moved[i]
		p.Key, p.Hash = key, key.Hash(p.Organisation)
		p.Title = "Too many new cases: route " + p.Route
		p.Tags = append(slices.Clone(p.Tags), tagPrefix+"overflow")
		p.NewCap, p.finds, p.shape = 0, false, shape{}
	}
	first := rest[:1] // the others may find a case of their own
	return e.round(ctx, moved[rest[0]].Hash, moved, first, out)
}
