package whatif

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"forager/enrich"
	"forager/enrich/threshold"
	"forager/enrich/threshold/thresholdtest"
)

// among is a detection that waits for others.
func among(sequence uint64, rule threshold.Rule, i threshold.Item, stored time.Time) outcome {
	return outcome{
		by: ruling{"route", "a"}, verdict: inCase, key: "k", at: time.UnixMilli(i.At).UTC(), window: rule.Window(), severity: 2,
		wants: &enrich.Threshold{Hash: "h", Rule: rule, ID: i.ID, Points: i.Points, Values: i.Values}, place: place{sequence: sequence}, stored: stored,
	}
}

// drawn are a rule and detections of one key, whose times crowd and part about the window.
func drawn(t *rapid.T) (threshold.Rule, []threshold.Item) {
	r := threshold.Rule{
		Kind:   rapid.SampledFrom([]threshold.Kind{threshold.Count, threshold.Distinct, threshold.Sum}).Draw(t, "kind"),
		Within: (10 * time.Minute).Milliseconds(), Need: rapid.Int64Range(2, 5).Draw(t, "need"),
	}
	at := begin.UnixMilli()
	items := make([]threshold.Item, rapid.IntRange(1, 30).Draw(t, "n"))
	for i := range items {
		at += rapid.SampledFrom([]int64{0, 1, r.Within / 4, r.Within - 1, r.Within, r.Within + 1, 3 * r.Within}).Draw(t, "gap")
		items[i] = threshold.Item{
			Message: fmt.Sprint(i), ID: fmt.Sprint("i", rapid.IntRange(0, 20).Draw(t, "id")), At: at,
			Points: rapid.Int64Range(0, 2).Draw(t, "points"), Values: []string{rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "value")},
		}
	}
	return r, items
}

// fates takes detections in and says what became of each.
func fates(s *side, all []outcome, over time.Time) map[uint64]verdict {
	became := map[uint64]verdict{}
	for _, o := range all {
		s.take(o, func(f fate) {
			if _, told := became[o.place.sequence]; told {
				panic("told twice")
			}
			became[o.place.sequence] = f.verdict
		})
	}
	s.finish(over)
	return became
}

// expected is what becomes of detections that come as they happen, said plainly: who comes within the window of the last case goes there; who
// waited for the window and five minutes is below; else the model of thresholds decides on all who wait.
func expected(r threshold.Rule, items []threshold.Item) (became []verdict, cases int) {
	became = make([]verdict, len(items))
	var pool []int
	last := int64(-1) << 60 // event time of the last detection in a case
	for i, x := range items {
		for len(pool) > 0 && x.At-items[pool[0]].At > r.Within+(5*time.Minute).Milliseconds() {
			became[pool[0]], pool = below, pool[1:]
		}
		if x.At-last <= r.Within {
			became[i], last = inCase, x.At
			continue
		}
		pool = append(pool, i)
		var who []threshold.Item
		for _, n := range pool {
			who = append(who, items[n])
		}
		belongs, _ := thresholdtest.Belongs(r, who)
		if !belongs[len(pool)-1] {
			continue
		}
		cases, last = cases+1, x.At
		pool = slices.DeleteFunc(pool, func(n int) bool {
			at := slices.IndexFunc(who, func(w threshold.Item) bool { return w.Message == items[n].Message })
			if belongs[at] {
				became[n] = inCase
			}
			return belongs[at]
		})
	}
	for _, n := range pool {
		became[n] = below
	}
	return became, cases
}

// TestThresholdsAreMetByEventTime: of a stream as it comes, cases and what is below are those of the model.
func TestThresholdsAreMetByEventTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r, items := drawn(t)
		var all []outcome
		for i, item := range items {
			all = append(all, among(uint64(i), r, item, time.UnixMilli(item.At)))
		}
		s := newSide(100)
		became := fates(s, all, begin.AddDate(1, 0, 0))
		want, cases := expected(r, items)
		for i, want := range want {
			if became[uint64(i)] != want {
				t.Errorf("detection %d: %v, want %v", i, became[uint64(i)], want)
			}
		}
		c := s.counts()
		if c.Opened != cases || c.Opened+c.Merged+c.Below != len(items) || s.rule(ruling{"route", "a"}).Opened != cases || s.waiting.n != 0 {
			t.Errorf("%d cases, %+v", cases, c.Tally)
		}
	})
}

// TestTheOrderOfArrivalDoesNotMatter: what comes in any order, while nobody's time is over, belongs or waits as the model says. Each has a key
// of its own here: who has a case does not wait.
func TestTheOrderOfArrivalDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r, items := drawn(t)
		belongs, _ := thresholdtest.Belongs(r, items)
		order := make([]int, len(items))
		for i := range order {
			order[i] = i
		}
		var all []outcome
		for _, i := range rapid.Permutation(order).Draw(t, "order") {
			o := among(uint64(i), r, items[i], begin)
			o.key = items[i].Message
			all = append(all, o)
		}
		became := fates(newSide(100), all, begin)
		for i, belongs := range belongs {
			want := waits
			if belongs {
				want = inCase
			}
			if became[uint64(i)] != want {
				t.Errorf("detection %d: %v, want %v", i, became[uint64(i)], want)
			}
		}
	})
}

// TestWhoWaitedInVainIsBelow: as the worker, for the window and five minutes from when a message was stored.
func TestWhoWaitedInVainIsBelow(t *testing.T) {
	t.Parallel()
	r := threshold.Rule{Kind: threshold.Count, Need: 2, Within: (10 * time.Minute).Milliseconds()}
	item := func(id string) threshold.Item { return threshold.Item{ID: id, At: begin.UnixMilli()} }
	for name, c := range map[string]struct {
		after time.Duration
		want  []verdict
	}{
		"in time":  {15 * time.Minute, []verdict{inCase, inCase}},
		"too late": {15*time.Minute + time.Millisecond, []verdict{below, waits}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second := begin.Add(c.after)
			became := fates(newSide(100), []outcome{among(0, r, item("a"), begin), among(1, r, item("b"), second)}, second)
			if got := []verdict{became[0], became[1]}; !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// TestWhatHasACaseWaitsForNothing: a case of its key takes it at once, or when its time is over.
func TestWhatHasACaseWaitsForNothing(t *testing.T) {
	t.Parallel()
	r := threshold.Rule{Kind: threshold.Count, Need: 9, Within: time.Hour.Milliseconds()}
	early := among(0, r, threshold.Item{ID: "a", At: begin.UnixMilli()}, begin)
	opens := outcome{by: ruling{"route", "b"}, verdict: inCase, key: "k", at: begin, window: time.Hour, severity: 3, place: place{sequence: 1}, stored: begin}
	late := among(2, r, threshold.Item{ID: "b", At: begin.UnixMilli()}, begin)
	s := newSide(100)
	became := fates(s, []outcome{early, opens, late}, begin.AddDate(0, 0, 1))
	for sequence := range uint64(3) {
		if became[sequence] != inCase {
			t.Errorf("detection %d: %v", sequence, became[sequence])
		}
	}
	if c := s.counts(); c.Rules["route a"].Merged != 2 || c.Rules["route b"].Opened != 1 {
		t.Errorf("%+v %+v", c.Rules["route a"], c.Rules["route b"])
	}
}

// TestWhatWaitsIsBounded: beyond the bound nobody waits, and that is told of each.
func TestWhatWaitsIsBounded(t *testing.T) {
	t.Parallel()
	r := threshold.Rule{Kind: threshold.Count, Need: 2, Within: time.Hour.Milliseconds()}
	s := newSide(100)
	s.waiting = newWaiting(10)
	var all []outcome
	for n := range uint64(50) {
		o := among(n, r, threshold.Item{ID: fmt.Sprint(n), At: begin.UnixMilli()}, begin)
		o.key, o.wants.Hash = fmt.Sprint("k", n), fmt.Sprint("h", n)
		all = append(all, o)
	}
	fates(s, all, begin)
	if c := s.counts(); c.Waiting != 10 || c.Crowded != 40 || c.Detections != 50 {
		t.Errorf("%+v", c.Tally)
	}
}

// TestEntriesThatHoldNothingAreForgotten: memory follows what waits, not what came.
func TestEntriesThatHoldNothingAreForgotten(t *testing.T) {
	t.Parallel()
	r := threshold.Rule{Kind: threshold.Count, Need: 2, Within: time.Second.Milliseconds()}
	s := newSide(100)
	for n := range uint64(4 * leastSwept) {
		at := begin.Add(time.Duration(n) * time.Second)
		o := among(n, r, threshold.Item{ID: "a", At: at.UnixMilli()}, at)
		o.wants.Hash = fmt.Sprint("h", n)
		s.take(o, func(fate) {})
		if len(s.waiting.held) > leastSwept {
			t.Fatalf("%d entries", len(s.waiting.held))
		}
	}
}
