package threshold_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"forager/enrich/threshold"
	"forager/enrich/threshold/thresholdtest"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

const minute = int64(60_000)

// at is an item some minutes after noon.
func at(message string, minutes int64) threshold.Item {
	return threshold.Item{Message: message, ID: message, At: noon.UnixMilli() + minutes*minute, Until: noon.UnixMilli() + minutes*minute + 65*minute}
}

func TestTheWindowSlidesAndBothItsEndsBelongToIt(t *testing.T) {
	t.Parallel()
	three := threshold.Rule{Kind: threshold.Count, Need: 3, Within: 60 * minute}
	for _, c := range []struct {
		name    string
		minutes []int64
		want    []threshold.Verdict
	}{
		{"three within the hour", []int64{0, 30, 60}, []threshold.Verdict{threshold.Held, threshold.Held, threshold.Pass}},
		{"the third a minute late", []int64{0, 30, 61}, []threshold.Verdict{threshold.Held, threshold.Held, threshold.Held}},
		{"the window slides past the first", []int64{0, 30, 61, 90}, []threshold.Verdict{threshold.Held, threshold.Held, threshold.Held, threshold.Pass}},
		{"the oldest comes last", []int64{60, 30, 0}, []threshold.Verdict{threshold.Held, threshold.Held, threshold.Pass}},
		{"what follows passes", []int64{0, 1, 2, 62}, []threshold.Verdict{threshold.Held, threshold.Held, threshold.Pass, threshold.Pass}},
		{"what follows later than the window counts anew", []int64{0, 1, 2, 63}, []threshold.Verdict{threshold.Held, threshold.Held, threshold.Pass, threshold.Held}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var s threshold.State
			var got []threshold.Verdict
			for i, m := range c.minutes {
				got = append(got, s.Add(three, noon, false, at(fmt.Sprint(i), m)).Verdicts...)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatComesTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	two := threshold.Rule{Kind: threshold.Count, Need: 2, Within: minute}
	var s threshold.State
	first := at("DET.1.0", 0)
	again := first
	sent := at("DET.2.0", 0) // sent again by the forwarder, under another sequence
	sent.ID = first.ID
	for _, item := range []threshold.Item{first, again, sent} {
		if got := s.Add(two, noon, false, item); got.Verdicts[0] != threshold.Held || got.Fired != 0 {
			t.Errorf("%s: %+v", item.Message, got)
		}
	}
	if len(s.Items) != 2 {
		t.Errorf("%d held, want 2: the message that came again in the same place is one", len(s.Items))
	}
	got := s.Add(two, noon, false, at("DET.3.0", 0))
	if got.Verdicts[0] != threshold.Pass || got.Fired != 1 || got.Released != 2 {
		t.Errorf("the second detection: %+v", got)
	}
}

func TestWhatIsOverIsBelowAndCountsNoMore(t *testing.T) {
	t.Parallel()
	two := threshold.Rule{Kind: threshold.Count, Need: 2, Within: 60 * minute}
	var s threshold.State
	first := at("DET.1.0", 0)
	s.Add(two, noon, false, first)
	if _, due := s.Ready(time.UnixMilli(first.Until)); len(due) != 0 {
		t.Error("due while its time is not over")
	}
	if _, due := s.Ready(time.UnixMilli(first.Until + 1)); len(due) != 1 {
		t.Error("not due when its time is over")
	}
	if got := s.Add(two, noon, true, first); got.Verdicts[0] != threshold.Below || !got.Changed {
		t.Errorf("%+v", got)
	}
	if got := s.Add(two, noon, false, at("DET.2.0", 1)); got.Verdicts[0] != threshold.Held {
		t.Errorf("counted with what was settled: %+v", got)
	}
}

func TestAThresholdThatWasLoweredIsMetByWhatIsHeld(t *testing.T) {
	t.Parallel()
	var s threshold.State
	s.Add(threshold.Rule{Kind: threshold.Count, Need: 9, Within: 60 * minute}, noon, false, at("1", 0), at("2", 1))
	got := s.Add(threshold.Rule{Kind: threshold.Count, Need: 2, Within: 60 * minute}, noon, true, at("1", 0))
	if got.Verdicts[0] != threshold.Pass || got.Released != 2 {
		t.Errorf("%+v", got)
	}
}

func TestAStateIsBounded(t *testing.T) {
	t.Parallel()
	many := threshold.Rule{Kind: threshold.Distinct, Need: 5, Within: 60 * minute}
	var s threshold.State
	for i := range threshold.Most {
		s.Add(many, noon, false, at(fmt.Sprint(i), 0))
	}
	if got := s.Add(many, noon, false, at("more", 0)); got.Verdicts[0] != threshold.Full || len(s.Items) != threshold.Most || got.Changed {
		t.Errorf("%+v, %d held", got, len(s.Items))
	}
	if got := s.Add(many, noon, false, at("0", 0)); got.Verdicts[0] != threshold.Held {
		t.Errorf("one that is held: %+v", got)
	}
	value, err := s.Encode()
	if err != nil || len(value) > 256<<10 {
		t.Errorf("%d bytes, %v", len(value), err)
	}
	one := threshold.Rule{Kind: threshold.Count, Need: 1, Within: minute}
	var bursts threshold.State
	for i := range int64(100) {
		bursts.Add(one, noon, false, at(fmt.Sprint(i), 10*i))
	}
	if len(bursts.Bursts) != threshold.MostBursts {
		t.Errorf("%d bursts are remembered", len(bursts.Bursts))
	}
}

func TestAnEntryIsReadAgain(t *testing.T) {
	t.Parallel()
	s := threshold.State{Route: "logins", Rule: threshold.Rule{Kind: threshold.Sum, Need: 3, Within: 5}, Items: []threshold.Item{{Message: "DET.1.2", Part: 3, Copy: "c", ID: "i", At: 1, Until: 2, Points: 3, Values: []string{"v"}, Passed: true}}, Bursts: []threshold.Burst{{From: 1, Last: 2, Until: 3}}}
	value, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := threshold.Decode(value)
	if diff := cmp.Diff(s, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := threshold.Decode([]byte(`{"v":2}`)); !errors.Is(err, threshold.ErrVersion) {
		t.Errorf("a later version: %v", err)
	}
	if got, err := threshold.Decode(nil); err != nil || !got.Empty() {
		t.Errorf("nothing: %+v, %v", got, err)
	}
}

// TestWhatPassesIsWhatBelongs: whatever the order of arrival, after each arrival exactly those have passed that the
// model says of what arrived until then.
func TestWhatPassesIsWhatBelongs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule := threshold.Rule{
			Kind:   rapid.SampledFrom([]threshold.Kind{threshold.Count, threshold.Distinct, threshold.Sum}).Draw(t, "kind"),
			Need:   rapid.Int64Range(1, 6).Draw(t, "need"),
			Within: rapid.Int64Range(0, 20).Draw(t, "within"),
		}
		var s threshold.State
		var arrived []threshold.Item
		passed := map[string]bool{}
		fired := 0
		for range rapid.IntRange(1, 12).Draw(t, "batches") {
			batch := rapid.SliceOfN(rapid.Custom(item), 1, 4).Draw(t, "batch")
			got := s.Add(rule, noon, false, batch...)
			fired += got.Fired
			for i, v := range got.Verdicts {
				if v == threshold.Full {
					t.Fatal("no room")
				}
				if v == threshold.Pass {
					passed[name(batch[i])] = true
				}
				if !slices.ContainsFunc(arrived, func(x threshold.Item) bool { return name(x) == name(batch[i]) }) {
					arrived = append(arrived, batch[i])
				}
			}
			ready, _ := s.Ready(noon)
			for _, x := range ready {
				passed[name(x)] = true
			}
			belongs, bursts := thresholdtest.Belongs(rule, arrived)
			for i, x := range arrived {
				if passed[name(x)] != belongs[i] {
					t.Fatalf("%+v: passed %v, belongs %v; rule %+v, arrived %+v, state %+v", x, passed[name(x)], belongs[i], rule, arrived, s)
				}
			}
			if fired < bursts {
				t.Fatalf("%d bursts, %d fired", bursts, fired)
			}
			if bursts <= threshold.MostBursts && len(s.Bursts) != bursts {
				t.Fatalf("%d bursts, %d remembered", bursts, len(s.Bursts))
			}
		}
	})
}

// item is any detection; some come again, in the same place or under the same id.
func item(t *rapid.T) threshold.Item {
	n := rapid.IntRange(0, 30).Draw(t, "n") // what a place holds is always the same
	return threshold.Item{
		Message: fmt.Sprint("DET.", n, ".0"), Part: n % 2, ID: fmt.Sprint(n % 23), At: int64((n * 37) % 101),
		Points: int64(n%5 - 1), Values: []string{"a", "b", "c", "d", "e", "f", "g"}[n%7 : min(n%7+n%3, 7)],
	}
}

func name(x threshold.Item) string { return fmt.Sprint(x.Message, "/", x.Part) }
