package apply_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/rules"
)

// hourMs is an hour in ms; hours of the table below count from the beginning of a day.
const hourMs = int64(time.Hour / time.Millisecond)

// at are plans at some hours, with a window of a day.
func at(hours ...int64) []enrich.Plan {
	var plans []enrich.Plan
	for _, n := range hours {
		plans = append(plans, enrich.Plan{At: time.UnixMilli(day(0).UnixMilli() + n*hourMs), Window: 24 * time.Hour})
	}
	return plans
}

// closing puts plans under a closed policy.
func closing(p rules.ClosedPolicy, plans []enrich.Plan) []enrich.Plan {
	for i := range plans {
		plans[i].Closed = p
	}
	return plans
}

// boundless takes the window off plans.
func boundless(plans []enrich.Plan) []enrich.Plan {
	for i := range plans {
		plans[i].Window = 0
	}
	return plans
}

// ref is a case as listed, of an id "~number"; an end of 0 is none.
func ref(id string, number int, start, last, end int64) apply.Ref {
	base := day(0).UnixMilli()
	r := apply.Ref{ID: id, Number: number, Start: base + start*hourMs, Last: base + last*hourMs}
	if end != 0 {
		r.End = base + end*hourMs
	}
	return r
}

func gone(r apply.Ref) apply.Ref { r.Gone = true; return r }

func outOfSight(r apply.Ref) apply.Ref { r.Lost = true; return r }

// opens and joins are where the first plan alone belongs.
func opens() apply.Placed          { return apply.Placed{Fate: "open", Plans: []int{0}} }
func joins(id string) apply.Placed { return apply.Placed{Fate: "join", ID: id, Plans: []int{0}} }

// spanRules are those of design section 4, each with what tells it from its neighbours.
var spanRules = map[string]struct {
	plans []enrich.Plan
	refs  []apply.Ref
	want  apply.Placed
}{
	"no case opens one, and near events join it":    {at(0, 5, 24), nil, apply.Placed{Fate: "open", Plans: []int{0, 1, 2}}},
	"an event a window after the last opens anew":   {at(0, 25), nil, opens()},
	"a chain of events stretches the span":          {at(0, 20, 40, 60), nil, apply.Placed{Fate: "open", Plans: []int{0, 1, 2, 3}}},
	"within the window of the last event it joins":  {at(30), []apply.Ref{ref("~1", 1, 0, 10, 0)}, joins("~1")},
	"an earlier event joins, up to a window before": {at(-24), []apply.Ref{ref("~1", 1, 0, 10, 0)}, joins("~1")},
	"further before it opens its own":               {at(-25), []apply.Ref{ref("~1", 1, 0, 10, 0)}, opens()},
	"the latest start not after the event wins": {
		at(12), []apply.Ref{ref("~1", 1, 0, 11, 0), ref("~2", 2, 10, 10, 0), ref("~3", 3, 20, 20, 0)},
		joins("~2"),
	},
	"else the earliest start": {
		at(0), []apply.Ref{ref("~1", 1, 10, 11, 0), ref("~2", 2, 5, 10, 0)},
		joins("~2"),
	},
	"a tie goes to the lowest number and is told": {
		at(1), []apply.Ref{ref("~2", 2, 0, 0, 0), ref("~1", 1, 0, 0, 0)},
		apply.Placed{Fate: "join", ID: "~1", Plans: []int{0}, Tied: true},
	},
	"within a closed case's span it is added":    {at(5), []apply.Ref{ref("~1", 1, 0, 10, 8)}, joins("~1")},
	"after the end the default opens a new case": {at(9), []apply.Ref{ref("~1", 1, 0, 8, 8)}, opens()},
	"after the end reopen reopens":               {closing(rules.ClosedReopen, at(9)), []apply.Ref{ref("~1", 1, 0, 8, 8)}, apply.Placed{Fate: "reopen", ID: "~1", Plans: []int{0}}},
	"after the end comment adds":                 {closing(rules.ClosedComment, at(9)), []apply.Ref{ref("~1", 1, 0, 8, 8)}, joins("~1")},
	"beyond the window reopen opens a new case":  {closing(rules.ClosedReopen, at(33)), []apply.Ref{ref("~1", 1, 0, 8, 8)}, opens()},
	"what falls into a deleted case is dropped":  {at(5), []apply.Ref{gone(ref("~1", 1, 0, 10, 0))}, apply.Placed{Fate: "deleted", ID: "~1", Plans: []int{0}}},
	"but a living case holds it":                 {at(5), []apply.Ref{gone(ref("~1", 1, 0, 10, 0)), ref("~2", 2, 6, 6, 0)}, joins("~2")},
	"outside a deleted case's span it is not":    {at(50), []apply.Ref{gone(ref("~1", 1, 0, 10, 0))}, opens()},
	"an unknown newest event must be looked up":  {at(30), []apply.Ref{ref("~1", 1, 0, 0, 0).Guess()}, apply.Placed{Fate: "unknown", ID: "~1"}},
	"of a closed case too, where it may be reopened": {
		closing(rules.ClosedReopen, at(30)), []apply.Ref{ref("~1", 1, 0, 0, 8).Guess()}, apply.Placed{Fate: "unknown", ID: "~1"},
	},
	"unless the start alone decides":                 {at(20), []apply.Ref{ref("~1", 1, 0, 0, 0).Guess()}, joins("~1")},
	"without a limit every open case holds":          {boundless(at(999)), []apply.Ref{ref("~1", 1, 0, 0, 0)}, joins("~1")},
	"only the plans of the oldest one's case":        {at(0, 1, 100), []apply.Ref{ref("~1", 1, 0, 0, 0), ref("~2", 2, 99, 99, 0)}, apply.Placed{Fate: "join", ID: "~1", Plans: []int{0, 1}}},
	"a later plan after the end is another turn":     {closing(rules.ClosedReopen, at(7, 9)), []apply.Ref{ref("~1", 1, 0, 8, 8)}, joins("~1")},
	"the last moment of the span is in it":           {at(34), []apply.Ref{ref("~1", 1, 0, 10, 0)}, joins("~1")},
	"the end itself is in a closed case's span":      {at(8), []apply.Ref{ref("~1", 1, 0, 8, 8)}, joins("~1")},
	"the start itself is not after the event":        {at(0), []apply.Ref{ref("~2", 2, 5, 5, 0), ref("~1", 1, 0, 0, 0)}, joins("~1")},
	"a span lasts a window from its start at least":  {at(20), []apply.Ref{ref("~1", 1, 5, 0, 0)}, joins("~1")},
	"without a limit an earlier event is in it, too": {boundless(at(-999)), []apply.Ref{ref("~1", 1, 0, 0, 0)}, joins("~1")},
	"a case out of sight is looked at first":         {at(5), []apply.Ref{outOfSight(ref("~1", 1, 0, 10, 0))}, apply.Placed{Fate: "unseen", ID: "~1"}},
	"what is still out of sight holds nothing":       {at(5), []apply.Ref{ref("~1", 1, 0, 10, 0).Absent()}, opens()},
	"a closed case out of sight is looked at first":  {closing(rules.ClosedReopen, at(9)), []apply.Ref{outOfSight(ref("~1", 1, 0, 8, 8))}, apply.Placed{Fate: "unseen", ID: "~1"}},
	"what is still out of sight is not reopened":     {closing(rules.ClosedReopen, at(9)), []apply.Ref{ref("~1", 1, 0, 8, 8).Absent()}, opens()},
	"a deleted case is not reopened":                 {closing(rules.ClosedReopen, at(9)), []apply.Ref{gone(ref("~1", 1, 0, 8, 8))}, opens()},
	"of closed cases the latest is reopened":         {closing(rules.ClosedReopen, at(9)), []apply.Ref{ref("~2", 2, 4, 8, 8), ref("~1", 1, 0, 8, 8)}, apply.Placed{Fate: "reopen", ID: "~2", Plans: []int{0}}},
	"of closed cases the latest is reopened, in any order": {
		closing(rules.ClosedReopen, at(9)), []apply.Ref{ref("~1", 1, 0, 8, 8), ref("~2", 2, 4, 8, 8)}, apply.Placed{Fate: "reopen", ID: "~2", Plans: []int{0}},
	},
	"a deleted case's newest event is as it was listed": {at(30), []apply.Ref{gone(ref("~1", 1, 0, 0, 0).Guess())}, opens()},
	"a deleted case is no second one":                   {at(1), []apply.Ref{ref("~1", 1, 0, 0, 0), gone(ref("~2", 2, 0, 0, 0))}, joins("~1")},
	"a case that is not seen is no second one":          {at(1), []apply.Ref{ref("~1", 1, 0, 0, 0), ref("~2", 2, 0, 0, 0).Absent()}, joins("~1")},
	"beside a deleted case no other of its start is told": {
		at(9), []apply.Ref{gone(ref("~1", 1, 0, 10, 0)), ref("~2", 2, 0, 8, 8)}, apply.Placed{Fate: "deleted", ID: "~1", Plans: []int{0}},
	},
	"an event that closed cases hold needs no reopening": {
		closing(rules.ClosedReopen, at(7)), []apply.Ref{ref("~1", 1, 0, 8, 8)}, joins("~1"),
	},
}

func TestSpansDecideWhichCaseAnEventBelongsTo(t *testing.T) {
	t.Parallel()
	for name, c := range spanRules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, apply.Assign(c.plans, c.refs)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
