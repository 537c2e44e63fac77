package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range found {
		about := f.About + ": " + f.What
		if f.Level != inspect.LevelHurts || slices.Contains(w.found, about) || len(w.found) >= mostFound {
			continue
		}
		w.found = append(w.found, about)
		w.options.Log.Warn("worker check says that this hurts", zap.String("about", f.About), zap.String("what", f.What),
			zap.String("why", f.Why), zap.String("remedy", f.Remedy))
	}
}

// mostFound bounds what is remembered of findings that were told.
const mostFound = 100

// follow takes over what the worker does by the consumer's own configuration.
func (w *Worker) follow(info *jetstream.ConsumerInfo) {
	c := info.Config
	if wait, _ := stream.AckWait(c); wait > 0 {
		w.beats(wait / 3)
	}
	if filters := stream.Filters(c); len(filters) > 0 {
		w.senders.listens(filters)
	}
	w.inflight.pending.Store(info.NumPending)
	w.ackPending.Store(int64(c.MaxAckPending))
}

// beats sets the time between heartbeats, at once.
func (w *Worker) beats(every time.Duration) {
	if w.beat.Swap(int64(every)) == int64(every) {
		return
	}
	select {
	case w.beatChanged <- struct{}{}:
	default:
	}
}

// heartbeats keeps all held messages ours until ctx ends.
func (w *Worker) heartbeats(ctx context.Context) {
	for {
		next := time.NewTimer(time.Duration(w.beat.Load()))
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-w.beatChanged:
			next.Stop()
		case <-next.C:
			w.inflight.heartbeat()
		}
	}
}
