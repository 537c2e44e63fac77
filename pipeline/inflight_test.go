package pipeline

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"forager/enrich"
)

func holdOf(inFlight, concurrency int) *inFlight {
	o := Options{MaxInFlight: inFlight, Concurrency: concurrency, MaxBytesHeld: 1000}
	return newInFlight(o, func() int { return 1 }, time.Now)
}

// TestAReplicaTakesItsShareOfTheBacklogBetweenItsLimits: alone it takes all; where nobody can tell, half.
func TestAReplicaTakesItsShareOfTheBacklogBetweenItsLimits(t *testing.T) {
	live := func(n int, known bool) func() (int, bool) { return func() (int, bool) { return n, known } }
	for name, c := range map[string]struct {
		replicas func() (int, bool)
		want     map[uint64]int
	}{
		"nobody counts":  {nil, map[uint64]int{0: 16, 20: 16, 60: 30, 10_000: 256}},
		"nobody can say": {live(9, false), map[uint64]int{60: 30}},
		"alone":          {live(1, true), map[uint64]int{0: 16, 20: 20, 60: 60, 10_000: 256}},
		"of three":       {live(3, true), map[uint64]int{20: 16, 60: 20, 61: 21, 10_000: 256}},
		"of none":        {live(0, true), map[uint64]int{60: 60}},
	} {
		for pending, want := range c.want {
			h := newInFlight(Options{MaxInFlight: 256, Concurrency: 4, MaxBytesHeld: 1000, Replicas: c.replicas}, func() int { return 1 }, time.Now)
			h.pending.Store(pending)
			if got := h.room(10); got != want {
				t.Errorf("%s, pending %d: room %d, want %d", name, pending, got, want)
			}
		}
	}
}

func TestHoldKeepsAMessageOnce(t *testing.T) {
	h := holdOf(256, 4)
	first, again := &message{position: position{sequence: 1, bytes: 10}}, &message{position: position{sequence: 1, bytes: 10}}
	if !h.take(first) || h.take(again) {
		t.Error("a message that is held was taken twice")
	}
	other := &message{position: position{sequence: 1, stored: time.Unix(9, 0)}}
	if !h.take(other) {
		t.Error("a message of a stream made anew was taken for the one that is held")
	}
	h.release(other)
	h.release(again)
	if n, bytes := h.count(); n != 1 || bytes != 10 {
		t.Errorf("held %d, %d bytes; want 1, 10", n, bytes)
	}
	h.release(first)
	h.release(first)
	if n, bytes := h.count(); n != 0 || bytes != 0 {
		t.Errorf("held %d, %d bytes; want none", n, bytes)
	}
}

func TestHoldHasNoRoomForBytesBeyondItsLimitUnlessEmpty(t *testing.T) {
	h := holdOf(256, 4)
	if h.room(5000) == 0 {
		t.Error("an empty hold must take one pull, however large")
	}
	h.take(&message{position: position{sequence: 1, bytes: 600}})
	if got := h.room(500); got != 0 {
		t.Errorf("room %d although a pull may exceed the limit", got)
	}
	if h.room(300) == 0 {
		t.Error("no room although the pull fits")
	}
}

func TestHoldLetsOthersPastWhatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := holdOf(64, 4)
		for i := range uint64(16) {
			h.take(&message{position: position{sequence: i}})
		}
		var rooms []int
		for range 3 {
			rooms = append(rooms, h.room(0))
			<-time.After(stuckAfter)
		}
		if diff := cmp.Diff([]int{0, 16, 16}, rooms); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReturningMessagesCountUntilTheyReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r returning
		for range 3 {
			r.add(time.Now(), time.Second)
		}
		r.add(time.Now(), time.Hour) // counts as long as can be counted
		var counts []int
		for range 4 {
			counts = append(counts, r.count(time.Now()))
			<-time.After(1500 * time.Millisecond)
		}
		<-time.After(time.Minute)
		counts = append(counts, r.count(time.Now()))
		if diff := cmp.Diff([]int{4, 1, 1, 1, 0}, counts); diff != "" {
			t.Error(diff)
		}
	})
}

// waiting makes a message with one part for each queue.
func waiting(sequence uint64, queues ...string) *message {
	m := &message{position: position{sequence: sequence, bytes: 10, deliveries: 1}}
	for i, q := range queues {
		m.parts = append(m.parts, part{of: m, index: i, queue: q, plan: &enrich.Plan{Hash: q}})
	}
	m.open = len(m.parts)
	return m
}

func TestGroupLosesNoPartAndKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGroup(Options{MaxInFlight: 1000, MaxBytesHeld: 1 << 20})
		var going []*queue
		added, taken := 0, map[*part]int{}
		last := map[string]uint64{}
		end := func(i int) {
			g.end(going[i])
			going = slices.Delete(going, i, i+1)
		}
		take := func() {
			for q, batch := g.begin(); q != nil; q, batch = g.begin() {
				if slices.Contains(going, q) {
					t.Fatal("two applies of one queue")
				}
				going = append(going, q)
				for _, p := range batch {
					taken[p]++
					if p.of.alone && batch[0].of != p.of {
						t.Fatal("a message that must go alone went with others")
					}
					if !p.of.alone {
						if p.of.sequence < last[q.name] {
							t.Fatal("out of order")
						}
						last[q.name] = p.of.sequence
					}
				}
			}
		}
		for i := range rapid.IntRange(1, 40).Draw(t, "messages") {
			queues := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 4).Draw(t, "queues")
			m := waiting(uint64(i), queues...)
			m.alone = rapid.IntRange(0, 4).Draw(t, "alone") == 0
			g.add(m)
			added += len(m.parts)
			if rapid.Bool().Draw(t, "take") {
				take()
			}
			if len(going) > 0 && rapid.Bool().Draw(t, "end") {
				end(rapid.IntRange(0, len(going)-1).Draw(t, "which"))
			}
		}
		for take(); len(going) > 0; take() {
			end(0)
		}
		if len(taken) != added || len(g.queues) != 0 {
			t.Fatalf("%d of %d parts taken, %d queues left", len(taken), added, len(g.queues))
		}
		for p, n := range taken {
			if n != 1 {
				t.Fatalf("part of %d taken %d times", p.of.sequence, n)
			}
		}
	})
}

func TestFullKeySendsItsMessagesBackPaced(t *testing.T) {
	g := newGroup(Options{MaxInFlight: 8, MaxBytesHeld: 1 << 20})
	now := time.Now()
	for i := range uint64(2) {
		g.add(waiting(i, "hot"))
	}
	if _, full := g.overflow(waiting(9, "cold"), now); full {
		t.Error("another key has space")
	}
	var last time.Duration
	for i := range 10 {
		delay, full := g.overflow(waiting(9, "hot"), now)
		if !full || delay < last || i > 0 && delay == last {
			t.Fatalf("full %v, delay %v after %v: each must return later than the one before", full, delay, last)
		}
		last = delay
	}
	if got := g.allow(100, now); got != 1 {
		t.Errorf("may pull %d past a full key, want one", got)
	}
	if got := g.allow(100, now); got != 0 {
		t.Errorf("may pull %d at once again", got)
	}
}

func TestStoppedGroupGivesEverythingBackAndTakesNothing(t *testing.T) {
	g := newGroup(Options{MaxInFlight: 8, MaxBytesHeld: 1 << 20})
	g.add(waiting(1, "a", "b"))
	if got := len(g.stop()); got != 2 {
		t.Errorf("%d parts given back, want 2", got)
	}
	if g.add(waiting(2, "a")) {
		t.Error("took a message after the stop")
	}
}
