package enrich

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// mayOpen counts a case against its route's limit before it is created.
func (r *round) mayOpen(ctx context.Context, p Plan) error {
	if p.NewCap == 0 {
		return nil
	}
	name := "rate." + shortHash(p.Organisation, p.Route, hour(p.At))
	for range 32 {
		body, revision, err := loadRate(ctx, r.e.options.Ledger, name)
		if err != nil {
			return err
		}
		if body.N >= p.NewCap {
			return &overflowError{p}
		}
		body.Hour, body.N = hour(p.At), body.N+1
		value, err := json.Marshal(body)
		if err != nil {
			return err
		}
		_, err = r.e.options.Ledger.Put(ctx, name, value, revision)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return fmt.Errorf("%w: count new cases: %w", ErrLedger, err)
		}
	}
	return fmt.Errorf("count new cases of route %s: %w", p.Route, ErrConflict)
}

func loadRate(ctx context.Context, l Ledger, name string) (rateBody, uint64, error) {
	var body rateBody
	value, revision, err := l.Get(ctx, name)
	if errors.Is(err, ErrNoEntry) {
		return body, 0, nil
	}
	if err != nil {
		return body, 0, fmt.Errorf("%w: count new cases: %w", ErrLedger, err)
	}
	return body, revision, json.Unmarshal(value, &body)
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
