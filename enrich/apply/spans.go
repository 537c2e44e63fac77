package apply

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"forager/enrich"
	"forager/enrich/claim"
	"forager/enrich/rules"
)

// fate is what the span rules of design section 4 say of some plans of one key.
type fate int

const (
	fateJoin    fate = iota // add to the case
	fateOpen                // open a new case
	fateReopen              // reopen the case and add to it
	fateDeleted             // the case was deleted: drop
	fateUnknown             // the case's newest event must be looked up first
	fateUnseen              // the case was out of sight: it must be looked at first
)

// target is a case, or the lack of one, and the plans that belong there.
type target struct {
	fate  fate
	ref   caseRef // zero for fateOpen
	plans []int   // indices, by event time
	tied  bool    // another case of the key has the same start date
}

// assign picks the target of the oldest plan, with every later plan that shares it. The rest is
// assigned again afterwards, when the target's span is known. Plans must be sorted by At.
func assign(plans []enrich.Plan, refs []caseRef) target {
	refs = slices.Clone(refs)
	first := place(plans[0], refs)
	spot := first.spot
	if first.fate == fateUnknown || first.fate == fateUnseen {
		return first.target(refs, nil)
	}
	if first.fate == fateOpen {
		at := plans[0].At.UnixMilli()
		refs = append(refs, caseRef{Start: at, Last: at})
		spot = len(refs) - 1
	}
	fate := first.fate
	if fate == fateOpen {
		fate = fateJoin // what the plans after the opening one do
	}
	mine := []int{}
	for i, p := range plans {
		if got := place(p, refs); i > 0 && (got.spot != spot || got.fate != fate) {
			continue
		}
		mine = append(mine, i)
		refs[spot].Last = max(refs[spot].Last, p.At.UnixMilli())
	}
	first.spot = spot
	return first.target(refs, mine)
}

// placed is where one plan belongs: a fate and an index of the references.
type placed struct {
	fate fate
	spot int
	tied bool
}

func (p placed) target(refs []caseRef, plans []int) target {
	t := target{fate: p.fate, plans: plans, tied: p.tied}
	if p.fate != fateOpen {
		t.ref = refs[p.spot]
	}
	return t
}

// place ranks the cases whose spans hold a plan's event, or may: what the best one is decides, and
// what is unknown of lesser ones does not matter.
func place(p enrich.Plan, refs []caseRef) placed {
	at := p.At.UnixMilli()
	best := placed{fate: fateOpen, spot: -1}
	for i, r := range refs {
		is := holds(r, at, p.Window)
		if is == outside || best.spot >= 0 && !better(r, refs[best.spot], at) {
			continue
		}
		best.spot, best.fate = i, fateJoin
		switch {
		case r.Lost:
			best.fate = fateUnseen
		case is == unsure:
			best.fate = fateUnknown
		case r.Gone:
			best.fate = fateDeleted
		}
	}
	if best.spot >= 0 {
		best.tied = best.fate == fateJoin && tied(refs, best.spot)
		return best
	}
	if p.Closed == rules.ClosedNew || p.Closed == "" {
		return best
	}
	return afterEnd(p, refs, at)
}

// afterEnd applies the closed policy: the event falls after a case's end, within the window of
// its last event.
func afterEnd(p enrich.Plan, refs []caseRef, at int64) placed {
	best := placed{fate: fateOpen, spot: -1}
	for i, r := range refs {
		if r.End == 0 || r.Gone || r.absent || at <= r.End || at > until(r, p.Window) && !r.guess {
			continue
		}
		if best.spot >= 0 && !better(r, refs[best.spot], at) {
			continue
		}
		best.spot, best.fate = i, fateJoin
		switch {
		case r.Lost:
			best.fate = fateUnseen
		case at > until(r, p.Window):
			best.fate = fateUnknown
		case p.Closed == rules.ClosedReopen:
			best.fate = fateReopen
		}
	}
	return best
}

type within int

const (
	outside within = iota
	inside
	unsure
)

// holds tells whether a case's span [start − window, min(end if closed, last + window)] holds a
// time. A case whose newest event is only guessed is unsure beyond what its start alone says.
func holds(r caseRef, at int64, window time.Duration) within {
	switch {
	case r.absent, r.End != 0 && at > r.End:
		return outside
	case window == 0:
		return inside
	case at < r.Start-window.Milliseconds():
		return outside
	case at <= until(r, window):
		return inside
	case r.guess && !r.Gone:
		return unsure
	default:
		return outside
	}
}

func until(r caseRef, window time.Duration) int64 {
	if window == 0 {
		return 1<<63 - 1
	}
	return max(r.Last, r.Start) + window.Milliseconds()
}

// better orders the cases whose spans hold a time: those that still exist first, then the
// latest start not after the event, else the earliest start; a tie goes to the lowest number.
func better(a, b caseRef, at int64) bool {
	if a.Gone != b.Gone {
		return b.Gone
	}
	if before := a.Start <= at; before != (b.Start <= at) {
		return before
	}
	if a.Start != b.Start {
		return (a.Start > b.Start) == (a.Start <= at)
	}
	return a.Number < b.Number
}

// tied tells whether two living cases of the key share the chosen one's start date, which no
// run of Forager alone brings about.
func tied(refs []caseRef, chosen int) bool {
	for i, r := range refs {
		if i != chosen && !r.Gone && !r.absent && r.Start == refs[chosen].Start && r.ID != refs[chosen].ID {
			return true
		}
	}
	return false
}

// keyBody is what the entry key.<hash> remembers.
type keyBody struct {
	Cases  []caseRef   `json:"cases"`            // the newest maxRefs, and those that the search may not show yet
	Opened []hourCount `json:"opened,omitempty"` // how many cases it opened by event hour, the latest use first
	Raised []caseRef   `json:"raised,omitempty"` // of a group of alerts: the newest, each as a case would be
	Names  int         `json:"names,omitempty"`  // of such a group: how many names of alerts are used
	home
}

// maxRefs is how many cases the entry of a key lists for long.
const maxRefs = 16

// maxUnshown is how many more it lists for as long as the search may not show them.
const maxUnshown = 1000

// caseRef is a case as the entry of a key lists it: [id, number, start, last, end, gone, state,
// opened], times in ms since 1970 UTC; last is 0 while nobody has looked it up. What is zero at the
// end is left out.
type caseRef struct {
	ID        string
	Number    int
	Start     int64 // startDate
	Last      int64 // newest event
	End       int64 // endDate; 0 while open
	Gone      bool  // deleted: what falls into its span is dropped
	Confirmed bool  // an audit document said so; references of the first versions do not know
	Lost      bool  // TheHive does not show it, and nothing said that it was deleted: it may be seen again
	Opened    int64 // when this key's claim opened it, while the search may not show it

	guess  bool // Last is only known to be at least Start
	looked bool // this turn has what TheHive says of the case itself
	absent bool // lost, and this turn looked
}

// States of a reference, as written.
const (
	stateConfirmed = "told"
	stateLost      = "lost"
)

// MarshalJSON writes the reference as an array.
func (r caseRef) MarshalJSON() ([]byte, error) {
	last, state := r.Last, ""
	switch {
	case r.Lost:
		state = stateLost
	case r.Gone && r.Confirmed:
		state = stateConfirmed
	}
	if r.guess {
		last = 0
	}
	fields := []any{r.ID, r.Number, r.Start, last, r.End, r.Gone}
	switch {
	case r.Opened != 0:
		fields = append(fields, state, r.Opened)
	case state != "":
		fields = append(fields, state)
	}
	return json.Marshal(fields)
}

// UnmarshalJSON reads the array; more elements than known are ignored.
func (r *caseRef) UnmarshalJSON(raw []byte) error {
	state := ""
	fields := []any{&r.ID, &r.Number, &r.Start, &r.Last, &r.End, &r.Gone, &state, &r.Opened}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return err
	}
	r.Confirmed, r.Lost = state == stateConfirmed, state == stateLost
	if r.Last == 0 {
		r.Last, r.guess = r.Start, true
	}
	return nil
}

// trim cuts the list to what an entry holds: the cases with the latest start, and those opened so
// lately that the search may not show them.
func (b *keyBody) trim(now time.Time, shown time.Duration) {
	slices.SortStableFunc(b.Cases, func(x, y caseRef) int { return cmp.Compare(y.Start, x.Start) })
	kept := b.Cases[:0]
	for i, ref := range b.Cases {
		if !ref.unshown(now, shown) {
			ref.Opened = 0
		}
		if i < maxRefs || ref.Opened != 0 && len(kept) < maxRefs+maxUnshown {
			kept = append(kept, ref)
		}
	}
	b.Cases = kept
	slices.SortStableFunc(b.Raised, func(x, y caseRef) int { return cmp.Compare(y.Start, x.Start) })
	b.Raised = b.Raised[:min(len(b.Raised), maxRefs)]
}

// unshown tells whether the search may not show a case yet. The time is of the clock of whoever
// opened it, so that what it differs by from ours is allowed for by what is passed.
func (r caseRef) unshown(now time.Time, shown time.Duration) bool {
	age := now.Sub(time.UnixMilli(r.Opened))
	return r.Opened != 0 && age < shown && age > -shown
}

// hourCount is [event hour, cases opened].
type hourCount struct {
	Hour string
	N    int
}

// MarshalJSON writes the count as an array.
func (c hourCount) MarshalJSON() ([]byte, error) { return json.Marshal([]any{c.Hour, c.N}) }

// UnmarshalJSON reads the array; more elements than known are ignored.
func (c *hourCount) UnmarshalJSON(raw []byte) error {
	fields := []any{&c.Hour, &c.N}
	return json.Unmarshal(raw, &fields)
}

// maxHours is how many event hours of a key are counted at a time.
const maxHours = 32

// opened tells how many cases the key opened in an event hour.
func (b *keyBody) opened(at string) int {
	i := slices.IndexFunc(b.Opened, func(c hourCount) bool { return c.Hour == at })
	if i < 0 {
		return 0
	}
	return b.Opened[i].N
}

// count notes that the key opened one more.
func (b *keyBody) count(at string) {
	n := b.opened(at) + 1
	b.Opened = slices.DeleteFunc(b.Opened, func(c hourCount) bool { return c.Hour == at })
	b.Opened = slices.Insert(b.Opened, 0, hourCount{at, n})
	b.Opened = b.Opened[:min(len(b.Opened), maxHours)]
}

// Opened tells of each of some plans of one key whether the ledger knows an open case that would take it: who waits for more detections
// before a case is opened need not wait then. A case that the ledger does not know is not found.
//
// Errors: [claim.ErrUnreachable].
func (a *Applier) Opened(ctx context.Context, plans []enrich.Plan) ([]bool, error) {
	opened := make([]bool, len(plans))
	bodies := map[string]keyBody{}
	for i, p := range plans {
		body, known := bodies[p.Hash]
		if !known {
			var err error
			if body, _, err = claim.ReadRecord[keyBody](ctx, a.options.Ledger, keyName(p.Hash)); err != nil {
				return nil, err
			}
			bodies[p.Hash] = body
		}
		opened[i] = slices.ContainsFunc(body.Cases, func(r caseRef) bool {
			return r.End == 0 && !r.Gone && !r.Lost && holds(r, p.At.UnixMilli(), p.Window) == inside
		})
	}
	return opened, nil
}
