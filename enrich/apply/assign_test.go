package apply_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/rules"
)

func TestSpansDecideWhichCaseAnEventBelongsTo(t *testing.T) {
	t.Parallel()
	const h = int64(time.Hour / time.Millisecond)
	base := day(0).UnixMilli()
	at := func(hours ...int64) []enrich.Plan {
		var plans []enrich.Plan
		for _, n := range hours {
			plans = append(plans, enrich.Plan{At: time.UnixMilli(base + n*h), Window: 24 * time.Hour})
		}
		return plans
	}
	with := func(plans []enrich.Plan, change func(*enrich.Plan)) []enrich.Plan {
		for i := range plans {
			change(&plans[i])
		}
		return plans
	}
	policy := func(p rules.ClosedPolicy) func(*enrich.Plan) { return func(plan *enrich.Plan) { plan.Closed = p } }
	ref := func(id string, number int, start, last, end int64) apply.Ref {
		r := apply.Ref{ID: id, Number: number, Start: base + start*h, Last: base + last*h}
		if end != 0 {
			r.End = base + end*h
		}
		return r
	}
	lost := func(r apply.Ref) apply.Ref { r.Lost = true; return r }
	opens := apply.Placed{Fate: "open", Plans: []int{0}}
	joins := func(id string) apply.Placed { return apply.Placed{Fate: "join", ID: id, Plans: []int{0}} }
	gone := func(r apply.Ref) apply.Ref { r.Gone = true; return r }
	for name, c := range map[string]struct {
		plans []enrich.Plan
		refs  []apply.Ref
		want  apply.Placed
	}{
		"no case opens one, and near events join it":    {at(0, 5, 24), nil, apply.Placed{Fate: "open", Plans: []int{0, 1, 2}}},
		"an event a window after the last opens anew":   {at(0, 25), nil, apply.Placed{Fate: "open", Plans: []int{0}}},
		"a chain of events stretches the span":          {at(0, 20, 40, 60), nil, apply.Placed{Fate: "open", Plans: []int{0, 1, 2, 3}}},
		"within the window of the last event it joins":  {at(30), []apply.Ref{ref("~1", 1, 0, 10, 0)}, apply.Placed{Fate: "join", ID: "~1", Plans: []int{0}}},
		"an earlier event joins, up to a window before": {at(-24), []apply.Ref{ref("~1", 1, 0, 10, 0)}, apply.Placed{Fate: "join", ID: "~1", Plans: []int{0}}},
		"further before it opens its own":               {at(-25), []apply.Ref{ref("~1", 1, 0, 10, 0)}, apply.Placed{Fate: "open", Plans: []int{0}}},
		"the latest start not after the event wins": {
			at(12), []apply.Ref{ref("~1", 1, 0, 11, 0), ref("~2", 2, 10, 10, 0), ref("~3", 3, 20, 20, 0)},
			apply.Placed{Fate: "join", ID: "~2", Plans: []int{0}},
		},
		"else the earliest start": {
			at(0), []apply.Ref{ref("~1", 1, 10, 11, 0), ref("~2", 2, 5, 10, 0)},
			apply.Placed{Fate: "join", ID: "~2", Plans: []int{0}},
		},
		"a tie goes to the lowest number and is told": {
			at(1), []apply.Ref{ref("~2", 2, 0, 0, 0), ref("~1", 1, 0, 0, 0)},
			apply.Placed{Fate: "join", ID: "~1", Plans: []int{0}, Tied: true},
		},
		"within a closed case's span it is added":    {at(5), []apply.Ref{ref("~1", 1, 0, 10, 8)}, apply.Placed{Fate: "join", ID: "~1", Plans: []int{0}}},
		"after the end the default opens a new case": {at(9), []apply.Ref{ref("~1", 1, 0, 8, 8)}, apply.Placed{Fate: "open", Plans: []int{0}}},
		"after the end reopen reopens":               {with(at(9), policy(rules.ClosedReopen)), []apply.Ref{ref("~1", 1, 0, 8, 8)}, apply.Placed{Fate: "reopen", ID: "~1", Plans: []int{0}}},
		"after the end comment adds":                 {with(at(9), policy(rules.ClosedComment)), []apply.Ref{ref("~1", 1, 0, 8, 8)}, apply.Placed{Fate: "join", ID: "~1", Plans: []int{0}}},
		"beyond the window reopen opens a new case":  {with(at(33), policy(rules.ClosedReopen)), []apply.Ref{ref("~1", 1, 0, 8, 8)}, apply.Placed{Fate: "open", Plans: []int{0}}},
		"what falls into a deleted case is dropped":  {at(5), []apply.Ref{gone(ref("~1", 1, 0, 10, 0))}, apply.Placed{Fate: "deleted", ID: "~1", Plans: []int{0}}},
		"but a living case holds it":                 {at(5), []apply.Ref{gone(ref("~1", 1, 0, 10, 0)), ref("~2", 2, 6, 6, 0)}, apply.Placed{Fate: "join", ID: "~2", Plans: []int{0}}},
		"outside a deleted case's span it is not":    {at(50), []apply.Ref{gone(ref("~1", 1, 0, 10, 0))}, apply.Placed{Fate: "open", Plans: []int{0}}},
		"an unknown newest event must be looked up":  {at(30), []apply.Ref{ref("~1", 1, 0, 0, 0).Guess()}, apply.Placed{Fate: "unknown", ID: "~1"}},
		"of a closed case too, where it may be reopened": {
			with(at(30), policy(rules.ClosedReopen)), []apply.Ref{ref("~1", 1, 0, 0, 8).Guess()}, apply.Placed{Fate: "unknown", ID: "~1"},
		},
		"unless the start alone decides":                    {at(20), []apply.Ref{ref("~1", 1, 0, 0, 0).Guess()}, apply.Placed{Fate: "join", ID: "~1", Plans: []int{0}}},
		"without a limit every open case holds":             {with(at(999), func(p *enrich.Plan) { p.Window = 0 }), []apply.Ref{ref("~1", 1, 0, 0, 0)}, apply.Placed{Fate: "join", ID: "~1", Plans: []int{0}}},
		"only the plans of the oldest one's case":           {at(0, 1, 100), []apply.Ref{ref("~1", 1, 0, 0, 0), ref("~2", 2, 99, 99, 0)}, apply.Placed{Fate: "join", ID: "~1", Plans: []int{0, 1}}},
		"a later plan after the end is another turn":        {with(at(7, 9), policy(rules.ClosedReopen)), []apply.Ref{ref("~1", 1, 0, 8, 8)}, apply.Placed{Fate: "join", ID: "~1", Plans: []int{0}}},
		"the last moment of the span is in it":              {at(34), []apply.Ref{ref("~1", 1, 0, 10, 0)}, joins("~1")},
		"the end itself is in a closed case's span":         {at(8), []apply.Ref{ref("~1", 1, 0, 8, 8)}, joins("~1")},
		"the start itself is not after the event":           {at(0), []apply.Ref{ref("~2", 2, 5, 5, 0), ref("~1", 1, 0, 0, 0)}, joins("~1")},
		"a span lasts a window from its start at least":     {at(20), []apply.Ref{ref("~1", 1, 5, 0, 0)}, joins("~1")},
		"without a limit an earlier event is in it, too":    {with(at(-999), func(p *enrich.Plan) { p.Window = 0 }), []apply.Ref{ref("~1", 1, 0, 0, 0)}, joins("~1")},
		"a case out of sight is looked at first":            {at(5), []apply.Ref{lost(ref("~1", 1, 0, 10, 0))}, apply.Placed{Fate: "unseen", ID: "~1"}},
		"what is still out of sight holds nothing":          {at(5), []apply.Ref{ref("~1", 1, 0, 10, 0).Absent()}, opens},
		"a closed case out of sight is looked at first":     {with(at(9), policy(rules.ClosedReopen)), []apply.Ref{lost(ref("~1", 1, 0, 8, 8))}, apply.Placed{Fate: "unseen", ID: "~1"}},
		"what is still out of sight is not reopened":        {with(at(9), policy(rules.ClosedReopen)), []apply.Ref{ref("~1", 1, 0, 8, 8).Absent()}, opens},
		"a deleted case is not reopened":                    {with(at(9), policy(rules.ClosedReopen)), []apply.Ref{gone(ref("~1", 1, 0, 8, 8))}, opens},
		"of closed cases the latest is reopened":            {with(at(9), policy(rules.ClosedReopen)), []apply.Ref{ref("~2", 2, 4, 8, 8), ref("~1", 1, 0, 8, 8)}, apply.Placed{Fate: "reopen", ID: "~2", Plans: []int{0}}},
		"a deleted case's newest event is as it was listed": {at(30), []apply.Ref{gone(ref("~1", 1, 0, 0, 0).Guess())}, opens},
		"a deleted case is no second one":                   {at(1), []apply.Ref{ref("~1", 1, 0, 0, 0), gone(ref("~2", 2, 0, 0, 0))}, joins("~1")},
		"a case that is not seen is no second one":          {at(1), []apply.Ref{ref("~1", 1, 0, 0, 0), ref("~2", 2, 0, 0, 0).Absent()}, joins("~1")},
		"beside a deleted case no other of its start is told": {
			at(9), []apply.Ref{gone(ref("~1", 1, 0, 10, 0)), ref("~2", 2, 0, 8, 8)}, apply.Placed{Fate: "deleted", ID: "~1", Plans: []int{0}},
		},
		"an event that closed cases hold needs no reopening": {
			with(at(7), policy(rules.ClosedReopen)), []apply.Ref{ref("~1", 1, 0, 8, 8)}, joins("~1"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, apply.Assign(c.plans, c.refs)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
