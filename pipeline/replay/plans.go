package replay

import (
	"context"
	"fmt"
	"iter"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline"
	"forager/pipeline/stream"
)

// Plans reads the messages of the replay, in order, without any effect: it acknowledges nothing
// and leaves no consumer behind. It ends after the first error.
func (r *Replay) Plans(ctx context.Context) iter.Seq2[pipeline.Planned, error] {
	return func(yield func(pipeline.Planned, error) bool) {
		if r.span.Length() == 0 {
			return
		}
		messages, left, drop, err := r.readAll(ctx)
		if err != nil {
			yield(pipeline.Planned{}, fmt.Errorf("replay: read stream %s: %w", r.options.Stream, r.link.Explain(err)))
			return
		}
		defer drop()
		for left > 0 {
			p, pending, err := r.nextPlanned(ctx, messages)
			if err != nil {
				yield(pipeline.Planned{}, fmt.Errorf("replay: read stream %s: %w", r.options.Stream, r.link.Explain(err)))
				return
			}
			left = pending
			if p.Sequence > r.span.Last || !yield(p, nil) || p.Sequence == r.span.Last {
				return
			}
		}
	}
}

// nextPlanned reads one message, and tells how many come after it.
func (r *Replay) nextPlanned(ctx context.Context, messages jetstream.MessagesContext) (p pipeline.Planned, pending uint64, err error) {
	msg, err := messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return p, 0, err
	}
	meta, err := msg.Metadata()
	if err != nil {
		return p, 0, err
	}
	p, err = r.worker.Planned(ctx, msg)
	return p, meta.NumPending, err
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
	messages, err = consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(r.quantum, stream.PullBytes(r.options.MaxBytesHeld, r.link.Conn().MaxPayload())))
	drop = func() {
		messages.Stop()
		r.link.Drop(ctx, consumer)
	}
	return messages, left, drop, err
}
