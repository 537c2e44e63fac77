//go:build integration

package integration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc/pool"
)

// span is the time over which events are strewn: less than half of the window of a case, so that their order decides
// nothing about which case they belong to.
const span = 11 * time.Hour

// Sizes of a storm: of ten detections four are of a few hot keys, the others of many cold ones; one in fifty is sent twice.
const (
	hotKeys   = 8
	hotShare  = 0.4
	perCold   = 4 // detections of a cold key, on average
	sentTwice = 50
)

// detection is Forager's native form.
type detection struct {
	Schema      string       `json:"schema"`
	ID          string       `json:"id"`
	Time        time.Time    `json:"time"`
	Severity    int          `json:"severity"`
	Title       string       `json:"title"`
	Rule        rule         `json:"rule"`
	Key         string       `json:"key"`
	Host        string       `json:"host"`
	Tags        []string     `json:"tags"`
	Observables []observable `json:"observables"`
	Techniques  []string     `json:"techniques"`
}

type rule struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type observable struct {
	DataType string `json:"dataType"`
	Data     string `json:"data"`
}

// techniques have one tactic each, in every release that the simulator can hold, so that what follows from them is plain.
var techniques = map[string]string{
	"T1059.001": "execution", "T1059.003": "execution", "T1105": "command-and-control", "T1071.001": "command-and-control",
	"T1003.001": "credential-access", "T1110": "credential-access", "T1190": "initial-access", "T1486": "impact",
}

// storm are detections, and what follows from them.
type storm struct {
	bodies [][]byte
	want   map[string]effects // by the tag of the key
	sent   atomic.Int64       // messages that the stream confirmed
}

// newStorm makes n detections; they are the same for one seed and day.
func newStorm(n int, seed uint64) *storm {
	rng := rand.New(rand.NewPCG(seed, 4)) // a storm must repeat
	base := firstOf(time.Now())
	cold := max(1, int(float64(n)*(1-hotShare))/perCold)
	names := make([]string, 0, len(techniques))
	for id := range techniques {
		names = append(names, id)
	}
	slices.Sort(names)
	s := &storm{want: map[string]effects{}}
	for i := range n {
		d := detect(rng, i, base, names, cold)
		s.expect(d)
		body, err := json.Marshal(d)
		if err != nil {
			panic(err) // of strings and numbers it cannot fail
		}
		s.bodies = append(s.bodies, body)
		if i%sentTwice == 0 {
			s.bodies = append(s.bodies, body)
		}
	}
	return s
}

// firstOf begins a stretch of detections that ends in the last hour and has a midnight in it: a rule has one comment in
// a case, whatever day its detections are of.
func firstOf(now time.Time) time.Time {
	today := now.UTC().Truncate(24 * time.Hour)
	if began := now.UTC().Add(-span).Truncate(time.Hour); began.Before(today) {
		return began
	}
	return today.Add(-span / 2)
}

func detect(rng *rand.Rand, i int, base time.Time, names []string, cold int) detection {
	key, pool := fmt.Sprintf("cold-%05d", rng.IntN(cold)), 6
	if rng.Float64() < hotShare {
		key, pool = fmt.Sprintf("hot-%d", rng.IntN(hotKeys)), 60
	}
	number := rng.IntN(5)
	d := detection{
		Schema: "forager.detection/v1", ID: fmt.Sprintf("storm-%06d", i), Time: base.Add(time.Duration(rng.Int64N(int64(span)))).Truncate(time.Millisecond),
		Severity: 1 + rng.IntN(3), Title: fmt.Sprintf("Rule %d fired", number), Rule: rule{fmt.Sprintf("rule-%d", number), fmt.Sprintf("Rule %d", number)},
		Key: key, Host: key, Tags: []string{fmt.Sprintf("sensor-%d", rng.IntN(3))},
		Observables: []observable{
			{"ip", fmt.Sprintf("198.51.100.%d", 1+rng.IntN(pool))},
			{"other", fmt.Sprintf("%s artefact %d", key, rng.IntN(pool))},
		},
	}
	for range 1 + rng.IntN(2) {
		d.Techniques = append(d.Techniques, names[rng.IntN(len(names))])
	}
	return d
}

// expect notes what follows from a detection.
func (s *storm) expect(d detection) {
	e := effects{
		Severity: d.Severity,
		Tags:     append([]string{"native"}, d.Tags...),
		Notes:    []string{hash("native", d.Rule.ID)},
	}
	for _, o := range d.Observables {
		e.Observables = append(e.Observables, o.DataType+" "+o.Data)
	}
	for _, id := range d.Techniques {
		e.Procedures = append(e.Procedures, id+" "+techniques[id])
	}
	tag := "forager:" + hash("", "key", d.Key)
	all := s.want[tag]
	all.add(e)
	s.want[tag] = all
}

// hash is how keys and rules are written in TheHive: the first half of SHA-256 over the parts, zero bytes between.
func hash(parts ...string) string {
	h := sha256.New()
	for i, part := range parts {
		if i > 0 {
			h.Write([]byte{0})
		}
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// rain publishes the storm, evenly over a time. It returns when the stream has confirmed every message: what it does not
// confirm is published again, as a forwarder does, and may be there twice.
func (s *storm) rain(ctx context.Context, js jetstream.JetStream, over time.Duration) error {
	const ticks, publishers = 200 * time.Millisecond, 16
	tick := time.NewTicker(ticks)
	defer tick.Stop()
	each := len(s.bodies)*int(ticks)/int(max(over, ticks)) + 1
	for drops := range slices.Chunk(s.bodies, each) {
		wave := pool.New().WithContext(ctx).WithMaxGoroutines(publishers)
		for _, body := range drops {
			wave.Go(func(ctx context.Context) error { return s.publish(ctx, js, body) })
		}
		if err := wave.Wait(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// publish tries until the stream has confirmed a message.
func (s *storm) publish(ctx context.Context, js jetstream.JetStream, body []byte) error {
	stored := until(ctx, 100*time.Millisecond, func() bool {
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_, err := js.Publish(once, subject, body)
		return err == nil
	})
	if !stored {
		return context.Cause(ctx)
	}
	s.sent.Add(1)
	return nil
}
