package replay

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/pipeline"
	"forager/pipeline/deadletter"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
	"forager/retry"
)

var errPassing = errors.New("passing trouble")

// rig is a JetStream server, the options of a live worker on it, and an applier that does what it is told.
type rig struct {
	t       *testing.T
	server  *natstest.Server
	link    *stream.Link
	js      jetstream.JetStream
	applier *scripted
	options pipeline.Options
	way     stream.Connection // how a worker reaches JetStream, beside the address
}

// alert is the body of the rig's messages: which key each detection has.
type alert struct {
	ID   string   `json:"id"`
	Keys []string `json:"keys"`
}

func newRig(t *testing.T, change func(*pipeline.Options)) *rig {
	t.Helper()
	return rigOn(t, startServer(t), stream.Connection{}, change)
}

func startServer(t *testing.T, options ...natstest.Option) *natstest.Server {
	t.Helper()
	server, err := natstest.Start(t.TempDir(), options...)
	must(t, err)
	t.Cleanup(server.Close)
	return server
}

func rigOn(t *testing.T, server *natstest.Server, way stream.Connection, change func(*pipeline.Options)) *rig {
	t.Helper()
	short := retry.Backoff{First: 5 * time.Millisecond, Last: 20 * time.Millisecond}
	r := &rig{t: t, server: server, applier: &scripted{}, way: way, options: pipeline.Options{
		Topology:    stream.Topology{Stream: "DET", Consumer: "worker", Subjects: []string{"alerts.>"}, Manage: true, AckWait: 3 * time.Second},
		Concurrency: 4, Confirm: 2 * time.Second, Drain: 5 * time.Second,
		Policy: pipeline.Policy{Transient: short, Throttled: short, Blocked: short, Probe: short},
	}}
	if change != nil {
		change(&r.options)
	}
	r.link = r.connect()
	r.js = r.link.JetStream()
	return r
}

func (r *rig) connect() *stream.Link {
	r.t.Helper()
	c := r.way
	c.URLs = []string{r.server.URL()}
	link, err := stream.Connect(r.t.Context(), c, nil)
	must(r.t, err)
	r.t.Cleanup(link.Close)
	return link
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ensure creates stream and consumer before anything is published.
func (r *rig) ensure() {
	r.t.Helper()
	must(r.t, stream.Ensure(r.t.Context(), r.link, r.options.Streams()))
}

// start runs a live worker until the test ends.
func (r *rig) start() {
	r.t.Helper()
	w, err := pipeline.New(r.link, r.options, decoding{}, planning{}, r.applier)
	must(r.t, err)
	ctx, cancel := context.WithCancel(r.t.Context())
	var running conc.WaitGroup
	running.Go(func() { _ = w.Run(ctx) })
	r.t.Cleanup(func() { cancel(); running.Wait() })
}

func (r *rig) publish(a alert) {
	r.t.Helper()
	body, err := json.Marshal(a)
	must(r.t, err)
	r.publishRaw("alerts.test", body)
}

func (r *rig) publishRaw(subject string, body []byte) {
	r.t.Helper()
	_, err := r.js.Publish(r.t.Context(), subject, body)
	must(r.t, err)
}

// consumer is how the server sees the live consumer.
func (r *rig) consumer() *jetstream.ConsumerInfo {
	r.t.Helper()
	c, err := r.js.Consumer(r.t.Context(), r.options.Stream, r.options.Consumer)
	must(r.t, err)
	return c.CachedInfo()
}

// dead counts the dead letters.
func (r *rig) dead() int {
	r.t.Helper()
	n := 0
	for _, err := range deadletter.Open(r.link, "").List(r.t.Context(), deadletter.Filter{}) {
		must(r.t, err)
		n++
	}
	return n
}

// scripted is an applier whose answers a test writes; without a script everything succeeds.
type scripted struct {
	mu      sync.Mutex
	script  func(ctx context.Context, queue string, plans []enrich.Plan) []error
	applied map[string]int // by detection id
}

func (s *scripted) Apply(ctx context.Context, b enrich.Batch) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	results := make([]error, len(b.Plans))
	if s.script != nil {
		results = s.script(ctx, b.Queue, b.Plans)
	}
	if s.applied == nil {
		s.applied = map[string]int{}
	}
	for i, p := range b.Plans {
		if results[i] == nil {
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

// count is how often a detection was applied; of an empty id, how many were.
func (s *scripted) count(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "" {
		return len(s.applied)
	}
	return s.applied[id]
}

// decoding reads the rig's alerts.
type decoding struct{}

func (decoding) Decode(m detection.Message) (detection.Result, error) {
	var a alert
	if err := json.Unmarshal(m.Body, &a); err != nil {
		return detection.Result{}, &enrich.MalformedError{Reason: "invalid json", Detail: err.Error()}
	}
	result := detection.Result{Format: "test"}
	for _, key := range a.Keys {
		result.Detections = append(result.Detections, detection.Detection{ID: a.ID, Key: key, Time: m.Time})
	}
	return result, nil
}

// planning plans them.
type planning struct{}

func (planning) Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error) {
	return enrich.Plan{Hash: d.Key, SourceID: d.ID, At: d.Time, Origin: from}, nil
}
