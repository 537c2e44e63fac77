package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"

	"forager/pipeline/deadletter"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
	"forager/retry"
)

// rig is a real JetStream server, a worker on it, and an applier that does what it is told.
type rig struct {
	t       *testing.T
	server  *natstest.Server
	link    *stream.Link
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
		Topology:    stream.Topology{Stream: "DET", Consumer: "worker", Subjects: []string{"alerts.>"}, Manage: true, AckWait: 3 * time.Second},
		Concurrency: 4, Confirm: 2 * time.Second, Drain: 5 * time.Second, Observer: r.seen,
		Policy: Policy{
			Transient: retry.Backoff{First: 5 * time.Millisecond, Last: 20 * time.Millisecond},
			Throttled: retry.Backoff{First: 5 * time.Millisecond, Last: 20 * time.Millisecond},
			Blocked:   retry.Backoff{First: 20 * time.Millisecond, Last: 50 * time.Millisecond},
			Probe:     retry.Backoff{First: 5 * time.Millisecond, Last: 20 * time.Millisecond},
		},
	}
	if change != nil {
		change(&r.options)
	}
	r.link = r.connect()
	r.js = r.link.JetStream()
	return r
}

func (r *rig) connect() *stream.Link {
	r.t.Helper()
	link, err := stream.Connect(r.t.Context(), stream.Connection{URLs: []string{r.server.URL()}}, r.options.Log)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(link.Close)
	return link
}

// start makes a worker and runs it.
func (r *rig) start() (w *Worker, stop func() error) {
	r.t.Helper()
	w, err := New(r.link, r.options, decoding{}, planning{}, r.applier)
	if err != nil {
		r.t.Fatal(err)
	}
	return w, r.run(w)
}

// run runs a worker until stop is called, which returns what Run returned.
func (r *rig) run(w *Worker) (stop func() error) {
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
	return stop
}

// ensure creates stream and consumer before anything is published.
func (r *rig) ensure() {
	r.t.Helper()
	if err := stream.Ensure(r.t.Context(), r.link, r.options.Streams()); err != nil {
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
func (r *rig) letters() []deadletter.Message {
	r.t.Helper()
	var all []deadletter.Message
	for letter, err := range deadletter.Open(r.link, r.options.DeadLetters).List(r.t.Context(), deadletter.Filter{}) {
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, letter)
	}
	return all
}

// ended waits until so many messages are settled for good.
func (r *rig) ended(n int) {
	r.t.Helper()
	r.seen.until(r.t, fmt.Sprintf("%d ends", n), func() bool { return r.seen.count(final) >= n })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
