package hold

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sourcegraph/conc"
	"pgregory.net/rapid"

	"forager/enrich"
	"forager/enrich/claim/claimtest"
	"forager/enrich/threshold"
	"forager/enrich/threshold/thresholdtest"
)

// shelf is [Copies] in memory; its hooks fail it as those of [claimtest.Memory] do.
type shelf struct {
	mu     sync.Mutex
	copies map[Place]kept
	before func() error
	after  func() error
}

type kept struct {
	m     Message
	parts []int
}

func newShelf() *shelf { return &shelf{copies: map[Place]kept{}} }

func (s *shelf) do(effect func()) error {
	if s.before != nil {
		if err := s.before(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	effect()
	s.mu.Unlock()
	if s.after != nil {
		return s.after()
	}
	return nil
}

func (s *shelf) Put(_ context.Context, p Place, m *Message, parts []int) error {
	return s.do(func() {
		if _, there := s.copies[p]; !there {
			s.copies[p] = kept{*m, slices.Clone(parts)}
		}
	})
}

func (s *shelf) Get(_ context.Context, p Place) (m Message, parts []int, err error) {
	there := false
	err = s.do(func() {
		var c kept
		c, there = s.copies[p]
		m, parts = c.m, c.parts
	})
	if err == nil && !there {
		err = ErrGone
	}
	return m, parts, err
}

func (s *shelf) Delete(_ context.Context, p Place) error {
	return s.do(func() { delete(s.copies, p) })
}

func (s *shelf) Places(context.Context) (all []Place, err error) {
	err = s.do(func() { all = slices.Collect(maps.Keys(s.copies)) })
	return all, err
}

var (
	errKilled = errors.New("killed before the effect")
	errLost   = errors.New("the answer was lost")
)

// world is a stream, replicas that share a ledger, and what became of every detection.
type world struct {
	t       *rapid.T
	rule    threshold.Rule
	ledger  *claimtest.Memory
	copies  *shelf
	keepers []*Keeper
	clock   time.Time
	faults  bool

	stream  []Message // that were not acknowledged
	tags    map[string]threshold.Item
	arrived map[string]threshold.Item // what any replica has seen
	ends    map[string][]string       // how each detection ended
	before  map[Place]bool
}

func newWorld(t *rapid.T, rule threshold.Rule, replicas int) *world {
	w := &world{
		t: t, rule: rule, ledger: claimtest.New(), copies: newShelf(), clock: time.Unix(1_800_000_000, 0),
		tags: map[string]threshold.Item{}, arrived: map[string]threshold.Item{}, ends: map[string][]string{},
	}
	fault := func(err error) error {
		if w.faults && rapid.IntRange(0, 24).Draw(w.t, "fault") == 0 {
			return err
		}
		return nil
	}
	w.ledger.SetBefore(func(claimtest.Op) error { return fault(errKilled) })
	w.ledger.SetAfter(func(claimtest.Op) error { return fault(errLost) })
	w.copies.before = func() error { return fault(errKilled) }
	w.copies.after = func() error { return fault(errLost) }
	for i := range replicas {
		k := NewKeeper(w.ledger, w.copies, fmt.Sprint("replica", i))
		k.now = func() time.Time { return w.clock }
		w.keepers = append(w.keepers, k)
	}
	return w
}

// publish stores a message with one or two detections.
func (w *world) publish(n int) {
	m := Message{Stream: "DET", Sequence: uint64(n + 1), Stored: w.clock, Subject: "alerts.x"}
	for part := range rapid.IntRange(1, 2).Draw(w.t, "parts") {
		id := n*2 + part
		if n > 0 && rapid.IntRange(0, 9).Draw(w.t, "again") == 0 {
			id -= 2 // the forwarder sends one again
		}
		at := int64(1000 + rapid.IntRange(0, 60).Draw(w.t, "at"))
		w.tags[tagOf(&m, part)] = threshold.Item{
			Message: m.Name(), Part: part, ID: fmt.Sprint(id), At: at, Points: int64(id % 4), Values: []string{fmt.Sprint(id % 5)},
		}
		m.Body = append(m.Body, byte(part))
	}
	w.stream = append(w.stream, m)
}

func tagOf(m *Message, part int) string { return fmt.Sprint(m.Name(), "/", part) }

// arrivals are detections of a message as the pipeline hands them over.
func (w *world) arrivals(m *Message, parts []int, due bool) (all []Arrival) {
	for _, part := range parts {
		item := w.tags[tagOf(m, part)]
		w.arrived[tagOf(m, part)] = item
		all = append(all, Arrival{Message: m, Part: part, At: time.UnixMilli(item.At), Due: due, Threshold: &enrich.Threshold{
			Hash: "abc", Rule: w.rule, ID: item.ID, Points: item.Points, Values: item.Values, Words: "words",
		}})
	}
	return all
}

// deliver lets a replica work on a message of the stream: it acknowledges what all has its result.
func (w *world) deliver(k *Keeper, at int) {
	m := w.stream[at]
	parts := make([]int, len(m.Body))
	for i := range parts {
		parts[i] = i
	}
	arrivals, whole := w.arrivals(&m, parts, false), true
	for i, o := range k.Admit(w.t.Context(), arrivals) {
		switch {
		case o.Err != nil:
			whole = false
		case o.Verdict == threshold.Pass:
			w.apply(&m, i)
		}
	}
	if whole && rapid.IntRange(0, 9).Draw(w.t, "dies before the ack") > 0 {
		w.stream = slices.Delete(w.stream, at, at+1)
	}
}

// apply notes that a detection is in its case; it must belong there by all that came until now.
func (w *world) apply(m *Message, part int) {
	var all []threshold.Item
	at := -1
	for _, name := range slices.Sorted(maps.Keys(w.arrived)) {
		if name == tagOf(m, part) {
			at = len(all)
		}
		all = append(all, w.arrived[name])
	}
	belongs, _ := thresholdtest.Belongs(w.rule, all)
	if !belongs[at] {
		w.t.Fatalf("early: %s", tagOf(m, part))
	}
	w.ends[tagOf(m, part)] = append(w.ends[tagOf(m, part)], "case")
}

// carry lets a replica take what goes on.
func (w *world) carry(k *Keeper, worked time.Time) {
	taken, err := k.Take(w.t.Context(), "abc", worked)
	if err != nil {
		return
	}
	for _, x := range taken {
		w.goOn(k, x)
	}
}

// lost lets a replica look for copies that nobody names.
func (w *world) lost(k *Keeper) {
	taken, seen, err := k.Lost(w.t.Context(), w.before)
	if err != nil {
		return
	}
	w.before = seen
	for _, x := range taken {
		w.goOn(k, x)
	}
}

// goOn carries what was held.
func (w *world) goOn(k *Keeper, x Taken) {
	if x.Passed {
		for _, part := range x.Parts {
			w.apply(&x.Message, part)
		}
		_ = k.Settled(w.t.Context(), x.Place, x.Parts...)
		return
	}
	var done []int
	whole := true
	for i, o := range k.Admit(w.t.Context(), w.arrivals(&x.Message, x.Parts, x.Due)) {
		switch part := x.Parts[i]; {
		case o.Err != nil:
			whole = false // as a message goes back whole
		case o.Verdict == threshold.Held:
		case o.Verdict == threshold.Below:
			name := tagOf(&x.Message, part)
			w.ends[name] = append(w.ends[name], "below")
			done = append(done, part)
		default:
			w.apply(&x.Message, part)
			done = append(done, part)
		}
	}
	if whole {
		_ = k.Settled(w.t.Context(), x.Place, done...)
	}
}

// TestWhatIsHeldSurvives: over two to four replicas that die at any step and lose answers, nothing goes early, what belongs
// goes into its case, and the rest is dropped as below threshold when its time is over; nothing is left anywhere.
func TestWhatIsHeldSurvives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule := threshold.Rule{
			Kind: rapid.SampledFrom([]threshold.Kind{threshold.Count, threshold.Distinct, threshold.Sum}).Draw(t, "kind"),
			Need: rapid.Int64Range(2, 5).Draw(t, "need"), Within: rapid.Int64Range(1, 10).Draw(t, "within"),
		}
		w := newWorld(t, rule, rapid.IntRange(2, 4).Draw(t, "replicas"))
		for n := range rapid.IntRange(1, 12).Draw(t, "messages") {
			w.publish(n)
		}
		w.faults = true
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			k := w.keepers[rapid.IntRange(0, len(w.keepers)-1).Draw(t, "who")]
			w.clock = w.clock.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "time")) * time.Second) // less than Late in all: a burst is remembered
			switch what := rapid.IntRange(0, 9).Draw(t, "what"); {
			case what < 6 && len(w.stream) > 0:
				w.deliver(k, rapid.IntRange(0, len(w.stream)-1).Draw(t, "message"))
			case what == 9:
				w.lost(k)
			default:
				w.carry(k, time.Time{})
			}
		}
		w.calm()
		w.judge()
	})
}

// TestWhatIsOverEndsToo: where the time of some is over while others still come, nothing goes early and each detection
// ends, in its case or as below threshold.
func TestWhatIsOverEndsToo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, threshold.Rule{Kind: threshold.Count, Need: rapid.Int64Range(2, 4).Draw(t, "need"), Within: 5}, 3)
		w.faults = true
		for n := range rapid.IntRange(1, 15).Draw(t, "messages") {
			w.publish(n)
			for range rapid.IntRange(0, 6).Draw(t, "steps") {
				k := w.keepers[rapid.IntRange(0, 2).Draw(t, "who")]
				w.clock = w.clock.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "time")) * time.Second)
				if len(w.stream) > 0 && rapid.Bool().Draw(t, "deliver") {
					w.deliver(k, rapid.IntRange(0, len(w.stream)-1).Draw(t, "message"))
				} else {
					w.carry(k, w.clock)
				}
			}
		}
		w.calm()
		for name := range w.tags {
			if len(w.ends[name]) == 0 {
				w.t.Errorf("%s was lost", name)
			}
		}
		if len(w.copies.copies)+len(w.ledger.Keys()) != 0 {
			w.t.Errorf("left: %v, %v", w.copies.copies, w.ledger.Keys())
		}
	})
}

// TestALostLedgerIsCountedAnew from the copies.
func TestALostLedgerIsCountedAnew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, threshold.Rule{Kind: threshold.Count, Need: 3, Within: 5}, 2)
		for n := range rapid.IntRange(1, 9).Draw(t, "messages") {
			w.publish(n)
			w.deliver(w.keepers[0], 0)
		}
		w.ledger.Lose()
		w.calm()
		for name := range w.tags {
			if len(w.ends[name]) == 0 {
				w.t.Errorf("%s was lost", name)
			}
		}
	})
}

// TestOneFiresWhateverTheReplicas: of one burst, one firing is told in all, and whoever fired carries what was held.
func TestOneFiresWhateverTheReplicas(t *testing.T) {
	t.Parallel()
	ledger, copies := claimtest.New(), newShelf()
	var keepers []*Keeper
	for i := range 4 {
		keepers = append(keepers, NewKeeper(ledger, copies, fmt.Sprint(i)))
	}
	below := &enrich.Threshold{Hash: "h", Rule: threshold.Rule{Kind: threshold.Count, Need: 50, Within: 1000}}
	var all conc.WaitGroup
	var passed atomic.Int64
	for i := range 100 {
		all.Go(func() {
			m := Message{Stream: "DET", Sequence: uint64(i + 1), Stored: time.Unix(1, 0)}
			for _, o := range keepers[i%4].Admit(t.Context(), []Arrival{{Message: &m, At: time.UnixMilli(int64(i)), Threshold: below}}) {
				if o.Err != nil {
					t.Error(o.Err)
				}
				if o.Verdict == threshold.Pass {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	fired, carried := uint64(0), 0
	for _, k := range keepers {
		fired += k.Fired()
		taken, err := k.Take(t.Context(), "h", time.Time{})
		if err != nil {
			t.Error(err)
		}
		if k.Fired() == 0 && len(taken) > 0 {
			t.Error("carried by two")
		}
		carried += len(taken)
	}
	if fired != 1 || passed.Load() != 51 || carried != 49 {
		t.Errorf("%d fired, %d passed, %d carried; want 1, 51, 49", fired, passed.Load(), carried)
	}
}

// TestACopyThatNobodyCanReadKeepsNoOtherWaiting.
func TestACopyThatNobodyCanReadKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	copies := unreadable{newShelf(), "DET.1.1000000000"}
	k := NewKeeper(claimtest.New(), copies, "one")
	below := &enrich.Threshold{Hash: "h", Rule: threshold.Rule{Kind: threshold.Count, Need: 3, Within: 1000}}
	for i := range 3 {
		m := Message{Stream: "DET", Sequence: uint64(i + 1), Stored: time.Unix(1, 0)}
		if o := k.Admit(t.Context(), []Arrival{{Message: &m, At: time.UnixMilli(1), Threshold: below}}); o[0].Err != nil {
			t.Fatal(o[0].Err)
		}
	}
	taken, err := k.Take(t.Context(), "h", time.Time{})
	if !errors.Is(err, errTorn) || len(taken) != 1 || taken[0].Message.Sequence != 2 {
		t.Errorf("%+v, %v", taken, err)
	}
}

var errTorn = errors.New("a header is torn")

// unreadable has a copy of one message that cannot be read.
type unreadable struct {
	*shelf
	message string
}

func (u unreadable) Get(ctx context.Context, p Place) (Message, []int, error) {
	if p.Message == u.message {
		return Message{}, nil, errTorn
	}
	return u.shelf.Get(ctx, p)
}

// calm lets all that is left come to its end, without faults.
func (w *world) calm() {
	w.faults = false
	for len(w.stream) > 0 {
		w.deliver(w.keepers[0], 0)
	}
	for range 3 {
		w.clock = w.clock.Add(time.Minute)
		w.lost(w.keepers[0])
		w.carry(w.keepers[0], time.Time{})
	}
	w.clock = w.clock.Add(time.Hour)
	for range 3 {
		w.carry(w.keepers[1], w.clock)
		w.clock = w.clock.Add(time.Minute)
	}
}

func (w *world) judge() {
	names := slices.Sorted(maps.Keys(w.arrived))
	all := make([]threshold.Item, len(names))
	for i, name := range names {
		all[i] = w.arrived[name]
	}
	belongs, _ := thresholdtest.Belongs(w.rule, all)
	if len(names) != len(w.tags) {
		w.t.Fatalf("%d of %d detections were seen", len(names), len(w.tags))
	}
	for i, name := range names {
		ends := w.ends[name]
		slices.Sort(ends)
		want := "below"
		if belongs[i] {
			want = "case"
		}
		if got := slices.Compact(ends); len(got) != 1 || got[0] != want {
			w.t.Errorf("%s ended as %v, want %s", name, got, want)
		}
	}
	if len(w.copies.copies) != 0 {
		w.t.Errorf("copies are left: %v", w.copies.copies)
	}
	if keys := w.ledger.Keys(); len(keys) != 0 {
		value, _, _ := w.ledger.Get(w.t.Context(), keys[0])
		w.t.Errorf("entries are left: %v %s", keys, value)
	}
}
