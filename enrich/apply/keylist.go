package apply

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// keyBody is what the entry key.<hash> remembers.
type keyBody struct {
	Cases  []caseRef   `json:"cases"`            // the newest maxRefs, and those that the search may not show yet
	Opened []hourCount `json:"opened,omitempty"` // how many cases it opened by event hour, the latest use first
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
	ID     string
	Number int
	Start  int64 // startDate
	Last   int64 // newest event
	End    int64 // endDate; 0 while open
	Gone   bool  // deleted: a tombstone, which drops what falls into its span
	Told   bool  // an audit document said so; tombstones of the first versions do not know
	Lost   bool  // TheHive does not show it, and nothing said that it was deleted: it may be seen again
	Opened int64 // when this key's claim opened it, while the search may not show it

	guess  bool // Last is only known to be at least Start
	looked bool // this round has what TheHive says of the case itself
	absent bool // lost, and this round looked
}

// States of a reference, as written.
const (
	stateTold = "told"
	stateLost = "lost"
)

// MarshalJSON writes the reference as an array.
func (r caseRef) MarshalJSON() ([]byte, error) {
	last, state := r.Last, ""
	switch {
	case r.Lost:
		state = stateLost
	case r.Gone && r.Told:
		state = stateTold
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
	r.Told, r.Lost = state == stateTold, state == stateLost
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
