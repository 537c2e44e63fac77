package simulation

import (
	"slices"
	"testing"
	"time"
)

// events is how many there are.
func (s schedule) events() (n int) {
	for _, one := range s.Shifts {
		n += len(one)
	}
	return n
}

// without is the schedule without some of its events, counted over all shifts.
func (s schedule) without(begin, end int) schedule {
	less := schedule{Seed: s.Seed, Replicas: s.Replicas, Older: s.Older}
	n := 0
	for _, one := range s.Shifts {
		var kept shift
		for _, e := range one {
			if n < begin || n >= end {
				kept = append(kept, e)
			}
			n++
		}
		less.Shifts = append(less.Shifts, kept)
	}
	return less
}

// shrink drops events while the run still fails, in halves, then in smaller parts. A schedule that fails now and then only
// may be taken for one that does not: what is left fails, and need not be the smallest.
func shrink(t *testing.T, s schedule, run outcome) (schedule, outcome) {
	t.Helper()
	return shrunk(s, run, func(less schedule) (outcome, bool) {
		o := live(t, less)
		return o, len(o.Findings) > 0
	}, time.Now().Add(*trying))
}

// shrunk is shrink with another way to see whether a schedule fails.
func shrunk(s schedule, run outcome, fails func(schedule) (outcome, bool), until time.Time) (schedule, outcome) {
	s.Shifts = slices.Clone(s.Shifts)
	for part := s.events() / 2; part > 0; part /= 2 {
		for begin := 0; begin < s.events(); {
			if time.Now().After(until) {
				return s, run
			}
			less := s.without(begin, begin+part)
			if o, bad := fails(less); bad {
				s, run = less, o
			} else {
				begin += part
			}
		}
	}
	return s, run
}

// TestAStoryIsShrunkToWhatItNeeds: of all events, the two that make a schedule fail together.
func TestAStoryIsShrunkToWhatItNeeds(t *testing.T) {
	t.Parallel()
	s := newSchedule(7, 2)
	s.Shifts[0][3].ID, s.Shifts[1][5].ID = "one", "two"
	has := func(s schedule, id string) bool {
		return slices.ContainsFunc(slices.Concat(s.Shifts...), func(e event) bool { return e.ID == id })
	}
	small, _ := shrunk(s, outcome{}, func(less schedule) (outcome, bool) {
		return outcome{}, has(less, "one") && has(less, "two")
	}, time.Now().Add(time.Hour))
	if small.events() != 2 || !has(small, "one") || !has(small, "two") {
		t.Errorf("got %v", small.Shifts)
	}
}
