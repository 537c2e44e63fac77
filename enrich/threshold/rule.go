package threshold

import (
	"slices"
	"time"
)

// Kind is what a rule counts.
type Kind string

// The kinds.
const (
	Count    Kind = "count"    // detections, each id once
	Distinct Kind = "distinct" // different values
	Sum      Kind = "sum"      // points, of each id the most that it has in a window
)

// Rule says what must come together within a window of event time.
type Rule struct {
	Kind   Kind  `json:"kind"`
	Need   int64 `json:"need"`   // detections, values or points; at least 1
	Within int64 `json:"within"` // milliseconds
}

// Window is the rule's window.
func (r Rule) Window() time.Duration { return time.Duration(r.Within) * time.Millisecond }

// Item is one detection that waits, and what it counts.
type Item struct {
	Message string   `json:"m"`           // the message that it came in, for ever: stream, sequence, time
	Part    int      `json:"p"`           // its index there
	Copy    string   `json:"c,omitempty"` // where its message waits
	ID      string   `json:"i"`           // what a detection that is sent again has in common with it
	At      int64    `json:"t"`           // event time, ms
	Until   int64    `json:"u"`           // how long it is held at least, ms by the clocks of workers
	Points  int64    `json:"n,omitempty"` // for Sum; below 0 is 0
	Values  []string `json:"v,omitempty"` // for Distinct, short
	Passed  bool     `json:"g,omitempty"` // it belongs to a burst, and is on its way to its case
	Over    bool     `json:"o,omitempty"` // it waited in vain, and is on its way to be dropped
}

// waits tells whether the item still counts.
func (i *Item) waits() bool { return !i.Passed && !i.Over }

// tally is what the detections of a window are together.
type tally struct {
	rule   Rule
	ids    map[string][]int64 // the points of each, in the order in which they came in
	values map[string]int     // how often each is there
	sum    int64
}

func newTally(r Rule) *tally {
	return &tally{rule: r, ids: map[string][]int64{}, values: map[string]int{}}
}

func (t *tally) add(i *Item) {
	had := t.ids[i.ID]
	t.sum -= highest(had)
	had = append(had, i.Points)
	t.sum += highest(had)
	t.ids[i.ID] = had
	for _, v := range i.Values {
		t.values[v]++
	}
}

// remove takes out the item that came in first of those that are left.
func (t *tally) remove(i *Item) {
	had := t.ids[i.ID]
	t.sum -= highest(had)
	if had = had[1:]; len(had) == 0 {
		delete(t.ids, i.ID)
	} else {
		t.ids[i.ID] = had
		t.sum += highest(had)
	}
	for _, v := range i.Values {
		if t.values[v]--; t.values[v] == 0 {
			delete(t.values, v)
		}
	}
}

func highest(points []int64) int64 {
	if len(points) == 0 {
		return 0
	}
	return max(slices.Max(points), 0)
}

// enough tells whether the window has what the rule needs.
func (t *tally) enough() bool {
	switch t.rule.Kind {
	case Sum:
		return t.sum >= t.rule.Need
	case Distinct:
		return int64(len(t.values)) >= t.rule.Need
	case Count:
		return int64(len(t.ids)) >= t.rule.Need
	default:
		return int64(len(t.ids)) >= t.rule.Need
	}
}

// window finds the first window that has what the rule needs in items that are sorted by time.
func (r Rule) window(sorted []*Item) (from, last int64, found bool) {
	t, first := newTally(r), 0
	for _, item := range sorted {
		t.add(item)
		for item.At-sorted[first].At > r.Within {
			t.remove(sorted[first])
			first++
		}
		if t.enough() {
			return sorted[first].At, item.At, true
		}
	}
	return 0, 0, false
}
