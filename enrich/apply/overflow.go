package apply

import (
	"context"
	"slices"
	"time"

	"forager/enrich"
	"forager/enrich/claim"
	"forager/enrich/rules"
)

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
func (a *Applier) overflow(ctx context.Context, slot *enrich.Slot, over *overflowError, plans []enrich.Plan, rest []int, out *outcomes) ([]int, error) {
	kind, detail := EventOverflow, over.plan.Route
	if over.key {
		kind, detail = EventCrowded, over.plan.Key.String()
	}
	a.happened(kind, 0, detail)
	key := enrich.Key{Kind: "key", Value: "forager overflow of " + over.who()}
	moved := slices.Clone(plans)
	for _, i := range rest {
		p := &moved[i]
		p.Key, p.Hash = key, key.Hash(p.Organisation)
		p.Title = "Too many new cases: " + over.who()
		p.Tags = append(slices.Clone(p.Tags), enrich.TagPrefix+"overflow")
		p.NewCap, p.KeyCap, p.Find, p.Shape = 0, 0, nil, rules.Shape{}
		p.Closed = rules.ClosedComment
		if p.Window != 0 {
			p.Window = max(p.Window, enrich.DefaultWindow)
		}
	}
	first := rest[:1] // the others may find a case of their own
	return a.turn(ctx, slot, moved[rest[0]].Hash, moved, first, out)
}

// hour names the hour of a limit.
func hour(at time.Time) string { return at.UTC().Format("2006010215") }
