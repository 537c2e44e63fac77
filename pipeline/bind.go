package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"forager/pipeline/inspect"
	"forager/pipeline/stream"
)

// errConsumer says that a consumer is configured in a way that loses messages or blocks.
var errConsumer = errors.New("consumer cannot be used")

// errStore says the same of a stream or bucket that the worker writes to.
var errStore = errors.New("cannot be used")

// fit follows the consumer's own configuration. It refuses what [inspect.Inspect] calls broken, in the same
// words, before a message is taken, and tells the log once what Inspect says hurts. What is not
// there, or may not be looked at, is for the gate.
func (w *Worker) fit(ctx context.Context, info *jetstream.ConsumerInfo) error {
	found := inspect.Bound(ctx, w.link, w.options.Expected(), info)
	for _, f := range found {
		if f.Level == inspect.LevelBroken {
			return fmt.Errorf("%w%s", refusedFor(f), because(info.Config))
		}
	}
	w.tellFound(found)
	w.follow(info)
	return nil
}

// because says the most important thing again, in one phrase.
func because(c jetstream.ConsumerConfig) string {
	if c.AckPolicy == jetstream.AckExplicitPolicy {
		return ""
	}
	return " (the ack policy must be explicit, or messages are lost)"
}

// refusedFor is the error of a finding.
func refusedFor(f inspect.Finding) error {
	of := errStore
	if strings.HasPrefix(f.About, "consumer ") {
		of = errConsumer
	}
	return fmt.Errorf("%w: %s: %s: %s: %s", of, f.About, f.What, f.Why, f.Remedy)
}

// tellFound logs what hurts, each finding once.
func (w *Worker) tellFound(found []inspect.Finding) {
	for _, f := range found {
		if f.Level != inspect.LevelHurts || !w.warned.finding(f.About+": "+f.What) {
			continue
		}
		w.options.Log.Warn("worker check says that this hurts", zap.String("about", f.About), zap.String("what", f.What),
			zap.String("why", f.Why), zap.String("remedy", f.Remedy))
	}
}

// mostFound bounds what is remembered of findings that were told.
const mostFound = 100

// warned is what was said already.
type warned struct {
	mu       sync.Mutex
	findings []string
	hot      time.Time // of the last word on a hot key
}

// finding tells whether something that hurts was not said before, and notes it.
func (d *warned) finding(about string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Contains(d.findings, about) || len(d.findings) >= mostFound {
		return false
	}
	d.findings = append(d.findings, about)
	return true
}

// hotKey tells whether nothing was said of a hot key for a minute, and notes it.
func (d *warned) hotKey(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Sub(d.hot) < time.Minute {
		return false
	}
	d.hot = now
	return true
}

// terms are what the consumer that is bound really has.
type terms struct {
	beat       atomic.Int64  // nanoseconds between heartbeats, a third of its AckWait
	changed    chan struct{} // has one element when beat was changed
	ackPending atomic.Int64  // what it leaves unacknowledged; 0 before it is bound, negative without limit
}

// beats sets the time between heartbeats, at once.
func (t *terms) beats(every time.Duration) {
	if t.beat.Swap(int64(every)) == int64(every) {
		return
	}
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// follow takes over what the worker does by the consumer's own configuration.
func (w *Worker) follow(info *jetstream.ConsumerInfo) {
	c := info.Config
	if wait, _ := stream.AckWait(c); wait > 0 {
		w.terms.beats(wait / 3)
	}
	if filters := stream.Filters(c); len(filters) > 0 {
		w.senders.listens(filters)
	}
	w.inflight.pending.Store(info.NumPending)
	w.terms.ackPending.Store(int64(c.MaxAckPending))
}

// heartbeats keeps all held messages ours until ctx ends.
func (w *Worker) heartbeats(ctx context.Context) {
	for {
		next := time.NewTimer(time.Duration(w.terms.beat.Load()))
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-w.terms.changed:
			next.Stop()
		case <-next.C:
			w.inflight.heartbeat()
		}
	}
}
