package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/pipeline/natstest"
)

// rig is a real JetStream server, a worker on it, and an applier that does what it is told.
type rig struct {
	t       *testing.T
	server  *natstest.Server
	link    *Link
	js      jetstream.JetStream
	applier *scripted
	seen    *ledgerOfEnds
	options Options
}

// alert is the body of the rig's messages: which key each detection has.
type alert struct {
	ID     string   `json:"id"`
	Keys   []string `json:"keys"`
	Drop   string   `json:"drop,omitempty"`
	Broken bool     `json:"broken,omitempty"`
	Panic  bool     `json:"panic,omitempty"`
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	server, err := natstest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return rigOn(t, server, change)
}

func rigOn(t *testing.T, server *natstest.Server, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, server: server, applier: &scripted{}, seen: newEnds()}
	r.options = Options{
		Stream: "DET", Consumer: "worker", Subjects: []string{"alerts.>"}, Manage: true,
		Concurrency: 4, AckWait: 3 * time.Second, Confirm: 2 * time.Second, Drain: 5 * time.Second, Observer: r.seen,
		Policy: Policy{
			Transient: Backoff{5 * time.Millisecond, 20 * time.Millisecond},
			Throttled: Backoff{5 * time.Millisecond, 20 * time.Millisecond},
			Blocked:   Backoff{20 * time.Millisecond, 50 * time.Millisecond},
		},
	}
	if change != nil {
		change(&r.options)
	}
	r.link = r.connect()
	r.js = r.link.js
	return r
}

func (r *rig) connect() *Link {
	r.t.Helper()
	link, err := Connect(r.t.Context(), Connection{URLs: []string{r.server.URL()}}, r.options.Log)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(link.Close)
	return link
}

// start runs a worker until stop is called, which returns what Run returned.
func (r *rig) start() (w *Worker, stop func() error) {
	r.t.Helper()
	w, err := New(r.link, r.options, decoding{}, planning{}, r.applier)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	var running conc.WaitGroup
	var result error
	running.Go(func() { result = w.Run(ctx) })
	stop = sync.OnceValue(func() error {
		cancel()
		running.Wait()
		return result
	})
	r.t.Cleanup(func() { _ = stop() })
	return w, stop
}

// ensure creates stream and consumer before anything is published.
func (r *rig) ensure() {
	r.t.Helper()
	if err := Ensure(r.t.Context(), r.link, r.options); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) publish(alerts ...alert) {
	r.t.Helper()
	for _, a := range alerts {
		body, err := json.Marshal(a)
		if err != nil {
			r.t.Fatal(err)
		}
		r.publishRaw("alerts.test", body)
	}
}

func (r *rig) publishRaw(subject string, body []byte) {
	r.t.Helper()
	if _, err := r.js.Publish(r.t.Context(), subject, body); err != nil {
		r.t.Fatal(err)
	}
}

// consumer is how the server sees the consumer.
func (r *rig) consumer() *jetstream.ConsumerInfo {
	r.t.Helper()
	c, err := r.js.Consumer(r.t.Context(), r.options.Stream, r.options.Consumer)
	if err != nil {
		r.t.Fatal(err)
	}
	return c.CachedInfo()
}

// letters lists the dead letters.
func (r *rig) letters() []DeadLetter {
	r.t.Helper()
	var all []DeadLetter
	for letter, err := range OpenLetters(r.link, r.options.DeadLetters).List(r.t.Context(), LetterFilter{}) {
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, letter)
	}
	return all
}

// scripted is an applier whose answers a test writes; without a script everything succeeds.
type scripted struct {
	mu      sync.Mutex
	script  func(ctx context.Context, queue string, plans []enrich.Plan) []error
	applied map[string]int // by detection id
	batches [][]enrich.Plan
}

func (s *scripted) Apply(ctx context.Context, queue string, plans []enrich.Plan) []error {
	s.mu.Lock()
	script := s.script
	s.batches = append(s.batches, plans)
	s.mu.Unlock()
	results := make([]error, len(plans))
	if script != nil {
		results = script(ctx, queue, plans)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.applied == nil {
		s.applied = map[string]int{}
	}
	for i, p := range plans {
		if i < len(results) && results[i] == nil {
			s.applied[p.SourceID]++
		}
	}
	return results
}

func (s *scripted) set(script func(ctx context.Context, queue string, plans []enrich.Plan) []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

func (s *scripted) times(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied[id]
}

// all gives every plan the same result.
func all(err error) func(context.Context, string, []enrich.Plan) []error {
	return func(_ context.Context, _ string, plans []enrich.Plan) []error { return repeat(err, len(plans)) }
}

// decoding reads the rig's alerts.
type decoding struct{}

func (decoding) Decode(m detection.Message) (detection.Result, error) {
	var a alert
	if err := json.Unmarshal(m.Body, &a); err != nil {
		return detection.Result{}, &enrich.MalformedError{Reason: "invalid json", Detail: err.Error()}
	}
	if a.Panic {
		panic("decoder fell over " + a.ID)
	}
	result := detection.Result{Format: "test"}
	if a.Drop != "" {
		result.Dropped = []detection.Drop{{Reason: a.Drop, Format: "test"}}
	}
	for i, key := range a.Keys {
		result.Detections = append(result.Detections, detection.Detection{ID: fmt.Sprintf("%s/%d", a.ID, i), Key: key, Time: m.Time})
	}
	if a.Broken {
		result.Unreadable = append(result.Unreadable, &detection.MalformedError{Reason: "unknown format"})
	}
	return result, nil
}

// planning plans them.
type planning struct{}

func (planning) Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error) {
	switch d.Key {
	case "silenced":
		return enrich.Plan{}, &enrich.DroppedError{Reason: "silenced"}
	case "":
		return enrich.Plan{}, &enrich.MalformedError{Reason: "no correlation key"}
	}
	return enrich.Plan{Hash: d.Key, SourceID: d.ID, At: d.Time, Origin: from}, nil
}

// ledgerOfEnds observes settlements and lets tests wait for them.
type ledgerOfEnds struct {
	mu      sync.Mutex
	all     []Settlement
	gates   []string
	noticed map[string]int
	changed chan struct{}
}

func newEnds() *ledgerOfEnds {
	return &ledgerOfEnds{noticed: map[string]int{}, changed: make(chan struct{})}
}

func (l *ledgerOfEnds) note(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *ledgerOfEnds) Settled(s Settlement) { l.note(func() { l.all = append(l.all, s) }) }
func (l *ledgerOfEnds) Noticed(what string)  { l.note(func() { l.noticed[what]++ }) }
func (l *ledgerOfEnds) Gate(open bool, reason string) {
	l.note(func() {
		if open {
			reason = "open"
		}
		l.gates = append(l.gates, reason)
	})
}

// count counts settlements that match.
func (l *ledgerOfEnds) count(match func(Settlement) bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, s := range l.all {
		if match(s) {
			n++
		}
	}
	return n
}

// until waits until the condition holds, looking after each event.
func (l *ledgerOfEnds) until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if condition() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Fatalf("waited in vain for %s; settled %d, gates %v, noticed %v", what, len(l.all), l.gates, l.noticed)
		}
	}
}

// final tells whether a settlement was the message's last.
func final(s Settlement) bool { return s.Action != ActionNak }

// ended waits until so many messages are settled for good.
func (r *rig) ended(n int) {
	r.t.Helper()
	r.seen.until(r.t, fmt.Sprintf("%d ends", n), func() bool { return r.seen.count(final) >= n })
}

var errPassing = errors.New("passing trouble")

func header(pairs ...string) nats.Header {
	h := nats.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}
