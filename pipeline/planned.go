package pipeline

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich"
)

// Planned is what a message of a replay would ask for.
type Planned struct {
	Sequence uint64
	Subject  string
	Stored   time.Time
	Format   string
	Plans    []enrich.Plan
	Dropped  []string // reasons of parts that ask for nothing
	Err      error    // what would make it a dead letter, beside what its other parts ask for
}

// Plans reads the messages of the replay, in order, without any effect: it acknowledges nothing
// and leaves no consumer behind. It ends after the first error.
func (r *Replay) Plans(ctx context.Context) iter.Seq2[Planned, error] {
	return func(yield func(Planned, error) bool) {
		if r.span.Length() == 0 {
			return
		}
		messages, left, drop, err := r.readAll(ctx)
		if err != nil {
			yield(Planned{}, fmt.Errorf("replay: read stream %s: %w", r.options.Stream, r.link.Explain(err)))
			return
		}
		defer drop()
		for left > 0 {
			msg, err := messages.Next(jetstream.NextContext(ctx))
			var m *message
			if err == nil {
				m, err = r.worker.read(msg)
			}
			if err != nil {
				yield(Planned{}, fmt.Errorf("replay: read stream %s: %w", r.options.Stream, r.link.Explain(err)))
				return
			}
			if m.sequence > r.span.Last {
				return
			}
			left = r.worker.hold.pending.Load()
			if !yield(r.worker.planned(ctx, m), nil) || m.sequence == r.span.Last {
				return
			}
		}
	}
}

// readAll reads the stream from the first sequence on, and tells how many messages there are. drop
// ends the reading.
func (r *Replay) readAll(ctx context.Context) (messages jetstream.MessagesContext, left uint64, drop func(), err error) {
	consumer, err := r.link.JetStream().OrderedConsumer(ctx, r.options.Stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: r.filter, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.span.First,
	})
	if err != nil {
		return nil, 0, nil, err
	}
	left = consumer.CachedInfo().NumPending
	messages, err = consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(r.quantum, r.worker.pullBytes()))
	drop = func() {
		messages.Stop()
		r.link.Drop(ctx, consumer)
	}
	return messages, left, drop, err
}

// planned decodes a message as a worker would.
func (w *Worker) planned(ctx context.Context, m *message) Planned {
	w.decode(ctx, m)
	p := Planned{
		Sequence: m.sequence, Subject: m.msg.Subject(), Stored: m.stored, Format: m.format, Dropped: m.dropped, Err: m.failed,
	}
	for i := range m.parts {
		p.Plans = append(p.Plans, m.parts[i].plan)
	}
	return p
}
