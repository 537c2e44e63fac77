package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/conc"

	"forager/enrich"
	"forager/enrich/claim"
	"forager/enrich/detection"
	"forager/enrich/threshold"
	"forager/enrich/threshold/thresholdtest"
	"forager/pipeline/hold"
)

// lossy loses some answers of the ledger, after the effect.
type lossy struct {
	claim.Store
	lose  func() error
	wrote func(key string, revision uint64, value []byte)
}

func (l lossy) Put(ctx context.Context, key string, value []byte, expected uint64) (uint64, error) {
	revision, err := l.Store.Put(ctx, key, value, expected)
	if err == nil {
		l.wrote(key, revision, value)
	}
	return revision, errors.Join(err, l.lose())
}

func (l lossy) Purge(ctx context.Context, key string, expected uint64) error {
	err := l.Store.Purge(ctx, key, expected)
	if err == nil {
		l.wrote(key, expected, nil)
	}
	return errors.Join(err, l.lose())
}

// lossyCopies loses some answers of the hold stream, after the effect.
type lossyCopies struct {
	hold.Copies
	lose func() error
}

func (l lossyCopies) Put(ctx context.Context, p hold.Place, m *hold.Message, parts []int) error {
	return errors.Join(l.Copies.Put(ctx, p, m, parts), l.lose())
}

func (l lossyCopies) Delete(ctx context.Context, p hold.Place) error {
	return errors.Join(l.Copies.Delete(ctx, p), l.lose())
}

// thrashing are workers that are killed, and what they did together.
type thrashing struct {
	rig  *rig
	plan measuring

	mu        sync.Mutex
	published map[string]threshold.Item // by the detection's id
	applied   map[string]int
	early     []string
	history   map[string][]version // of each entry of the ledger, in any order
}

// version is an entry as it was written once. A write whose answer nobody lived to see is not among them; what it changed is in the next.
type version struct {
	revision uint64
	state    threshold.State
}

func (x *thrashing) wrote(key string, revision uint64, value []byte) {
	if !strings.HasPrefix(key, hold.KeyPrefix) {
		return
	}
	state, err := threshold.Decode(value)
	must(x.rig.t, err)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.history[key] = append(x.history[key], version{revision, state})
}

// measuring plans with thresholds of all kinds: what a key counts, and a detection weighs, its name says.
type measuring struct{ *counting }

func (m measuring) Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error) {
	p, err := m.counting.Plan(d, from)
	if err == nil && p.Threshold != nil {
		p.Threshold.Rule = ruleOf(d.Key, m.within)
		p.Threshold.Points, p.Threshold.Values = weightOf(int(p.At.Sub(firstMinute) / time.Minute))
	}
	return p, err
}

var firstMinute = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// ruleOf is the rule of a key.
func ruleOf(key string, within time.Duration) threshold.Rule {
	r := threshold.Rule{Kind: threshold.Count, Need: 3, Within: within.Milliseconds()}
	switch {
	case strings.HasSuffix(key, string(threshold.Sum)):
		r.Kind, r.Need = threshold.Sum, 6
	case strings.HasSuffix(key, string(threshold.Distinct)):
		r.Kind = threshold.Distinct
	}
	return r
}

// weightOf is what a detection of a minute counts: 1 to 3 points, one of four values.
func weightOf(minute int) (points int64, values []string) {
	return int64(1 + minute%3), []string{fmt.Sprint(minute % 4)}
}

// keyOf names the nth key. The times of every other lie in windows that nothing joins.
func keyOf(n int) string {
	kind := []threshold.Kind{threshold.Count, threshold.Sum, threshold.Distinct}[n%3]
	if n%2 == 0 {
		return fmt.Sprintf("few3-w%d-%s", n, kind)
	}
	return fmt.Sprintf("few3-k%d-%s", n, kind)
}

// apart is how many minutes lie between the beginnings of two windows of a key whose windows are parted.
const apart = 30

// minuteOf is when a detection of the nth key happened.
func minuteOf(n int) int {
	if n%2 == 0 {
		return rand.IntN(6)*apart + rand.IntN(11)
	}
	return rand.IntN(200)
}

// firings are how often each window of a key fired: a burst is in the entry that was not there before, and joins none that was.
func (x *thrashing) firings(key string) map[int64]int {
	x.mu.Lock()
	all := x.history[hold.KeyPrefix+"hash"+strings.ReplaceAll(key, "-", "_")]
	x.mu.Unlock()
	slices.SortStableFunc(all, func(a, b version) int { return cmp.Compare(a.revision, b.revision) })
	fired := map[int64]int{}
	var before []threshold.Burst
	for _, v := range all {
		for _, b := range v.state.Bursts {
			joins := func(a threshold.Burst) bool {
				return b.From <= a.Last+v.state.Rule.Within && b.Last >= a.From-v.state.Rule.Within
			}
			if !slices.ContainsFunc(before, joins) {
				fired[windowOf(b.From)]++
			}
		}
		before = v.state.Bursts
	}
	return fired
}

// windowOf is the window of a time.
func windowOf(at int64) int64 {
	return (at - firstMinute.UnixMilli()) / (apart * time.Minute.Milliseconds())
}

// onceEach looks that each window that the model lets fire fired once, and no other; of keys whose windows are parted.
func (x *thrashing) onceEach(t *testing.T, keys int) {
	t.Helper()
	total := 0
	for n := 0; n < keys; n += 2 {
		key, want := keyOf(n), map[int64]int{}
		for id, belongs := range x.belongs(key) {
			if belongs {
				want[windowOf(x.published[id].At)] = 1
			}
		}
		total += len(want)
		if diff := gocmp.Diff(want, x.firings(key)); diff != "" {
			t.Errorf("%s: firings by window (-want +got):\n%s", key, diff)
		}
	}
	t.Logf("%d windows fired", total)
	if total == 0 {
		t.Error("no window should have fired: the test shows nothing")
	}
}

// lose loses an answer in fifty.
func lose() error {
	if rand.IntN(50) == 0 {
		return fmt.Errorf("%w: the answer was lost", claim.ErrUnreachable)
	}
	return nil
}

// Apply is TheHive: what it is given is there, also where the answer is lost.
func (x *thrashing) Apply(_ context.Context, b enrich.Batch) []error {
	results := make([]error, len(b.Plans))
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, p := range b.Plans {
		x.applied[p.SourceID]++
		if !x.belongs(p.Hash)[p.SourceID] {
			x.early = append(x.early, p.SourceID)
		}
		if rand.IntN(50) == 0 {
			results[i] = errPassing
		}
	}
	return results
}

// belongs are the detections of a key that belong to a burst, of all that were published until now.
func (x *thrashing) belongs(key string) map[string]bool {
	var ids []string
	var items []threshold.Item
	for _, id := range slices.Sorted(maps.Keys(x.published)) {
		if item := x.published[id]; item.Message == key {
			ids, items = append(ids, id), append(items, item)
		}
	}
	belongs, _ := thresholdtest.Belongs(ruleOf(key, x.plan.within), items)
	all := map[string]bool{}
	for i, id := range ids {
		all[id] = belongs[i]
	}
	return all
}

// publish sends a detection of a key, at a minute.
func (x *thrashing) publish(n int, key string, minute int) {
	id := fmt.Sprintf("%d-%d", minute, n)
	x.mu.Lock()
	points, values := weightOf(minute)
	x.published[id+"/0"] = threshold.Item{Message: key, ID: id, At: firstMinute.Add(time.Duration(minute) * time.Minute).UnixMilli(), Points: points, Values: values}
	x.mu.Unlock()
	x.rig.publish(alert{ID: id, Keys: []string{key}})
}

// worker runs a worker of its own connection, until it is killed: then nothing of it gets through any more.
func (x *thrashing) worker(seen *ledgerOfEnds, lose func() error) (w *Worker, kill func()) {
	x.rig.t.Helper()
	o := x.rig.options
	o.Observer, o.Drain = seen, time.Millisecond
	link := x.rig.connect()
	w, err := New(link, o, decoding{}, x.plan, x)
	must(x.rig.t, err)
	w.holding.keeper = hold.NewKeeper(lossy{w.holding.ledger, lose, x.wrote}, lossyCopies{hold.Open(link, o.Topology), lose}, fmt.Sprint(rand.Uint64()))
	w.holding.lost = time.Second
	ctx, cancel := context.WithCancel(x.rig.t.Context())
	var running conc.WaitGroup
	running.Go(func() { _ = w.Run(ctx) })
	return w, func() {
		link.Close()
		cancel()
		running.Wait()
	}
}

// TestThresholdsOverFourWorkersThatAreKilled: while four workers are killed two hundred times, and one answer in fifty is lost at TheHive, the ledger
// and the hold stream alike, nothing goes early, and each window fires once, of thresholds that count,
// that add up, and that want different values; in the end all that belongs was applied, all else is held, each once, and is
// dropped as below threshold when its time is over.
func TestThresholdsOverFourWorkersThatAreKilled(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 20
	}
	r := newRig(t, func(o *Options) { o.Carries, o.AckWait, o.Confirm = true, time.Second, time.Second })
	r.ensure()
	x := &thrashing{rig: r, plan: measuring{&counting{within: 10 * time.Minute}}, published: map[string]threshold.Item{}, applied: map[string]int{}, history: map[string][]version{}}
	seen := newEnds()
	killers := make([]func(), 4)
	for i := range killers {
		_, killers[i] = x.worker(seen, lose)
	}
	for n := range kills {
		for m := range 5 {
			i := n*5 + m
			x.publish(i, keyOf(i%(kills/4)), minuteOf(i%(kills/4)))
		}
		i := rand.IntN(4)
		killers[i]()
		_, killers[i] = x.worker(seen, lose)
	}
	want, below := 0, 0
	for n := range kills / 4 {
		for _, belongs := range x.belongs(keyOf(n)) {
			if belongs {
				want++
			} else {
				below++
			}
		}
	}
	t.Logf("%d kills, %d detections: %d belong to bursts, %d are below", kills, len(x.published), want, below)
	x.settled(t, want, below)
	for _, kill := range killers {
		kill()
	}
	x.onceEach(t, kills/4)
	if len(x.early) > 0 {
		t.Errorf("%d went early: %v", len(x.early), x.early[:min(len(x.early), 5)])
	}
	x.expire(t, below)
}

// settled waits until the stream is empty and all that belongs was applied, and only what does not is held.
func (x *thrashing) settled(t *testing.T, want, below int) {
	t.Helper()
	x.until(t, fmt.Sprintf("%d applied and %d held", want, below), func() bool {
		x.mu.Lock()
		got := len(x.applied)
		x.mu.Unlock()
		info := x.rig.consumer()
		return got == want && x.rig.held() == below && info.NumPending == 0 && info.NumAckPending == 0
	})
}

// expire lets the time of all that is held be over.
func (x *thrashing) expire(t *testing.T, below int) {
	t.Helper()
	seen := newEnds()
	w, kill := x.worker(seen, func() error { return nil })
	defer kill()
	dropped := func(s Settlement) bool { return s.Carried && s.Reason == enrich.ReasonBelow }
	later := time.Now().Add(time.Hour)
	x.until(t, "all is dropped as below threshold", func() bool {
		places, err := hold.Open(x.rig.link, x.rig.options.Topology).Places(t.Context())
		must(t, err)
		for _, p := range places {
			w.carryEntry(t.Context(), p.Hash, later)
		}
		return len(places) == 0 && seen.count(dropped) >= below
	})
	if n := seen.count(dropped); n != below {
		t.Errorf("%d dropped, want %d", n, below)
	}
}

// until looks ten times a second whether something is so.
func (x *thrashing) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for !so() {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatal("waited in vain for " + what)
		}
	}
}
