package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

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
		for from, over := r.span.First, false; !over && from <= r.span.Last; {
			var batch []jetstream.Msg
			var err error
			batch, over, err = r.readFrom(ctx, from)
			for _, msg := range batch {
				p, err := r.worker.Planned(ctx, msg)
				if err != nil {
					yield(pipeline.Planned{}, fmt.Errorf("replay: read stream %s: %w", r.options.Stream, err))
					return
				}
				if p.Sequence > r.span.Last || !yield(p, nil) {
					return
				}
				from = p.Sequence + 1
			}
			if err != nil {
				yield(pipeline.Planned{}, fmt.Errorf("replay: read stream %s: %w", r.options.Stream, r.link.Explain(err)))
				return
			}
		}
	}
}

// Bounds of a reading.
const (
	fetchWithin = 5 * time.Second
	mostEmpty   = 6 // readings in a row that bring nothing
)

// errSilent says that messages are there and do not come.
var errSilent = errors.New("messages are there and none comes")

// readFrom reads messages from a sequence on, as many as one pull brings, and tells whether they are the last. All of the pull is
// taken before anything is made of it, and its consumer ends with it: while TheHive is slow nothing is under way that NATS'
// client could call late.
func (r *Replay) readFrom(ctx context.Context, sequence uint64) (batch []jetstream.Msg, over bool, err error) {
	for range mostEmpty {
		if batch, over, err = r.pull(ctx, sequence); len(batch) > 0 || over || err != nil {
			return batch, over, err
		}
	}
	return nil, false, errSilent
}

func (r *Replay) pull(ctx context.Context, sequence uint64) (batch []jetstream.Msg, over bool, err error) {
	consumer, err := r.link.JetStream().CreateConsumer(ctx, r.options.Stream, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, FilterSubjects: r.filter, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: sequence,
		InactiveThreshold: time.Minute, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return nil, false, err
	}
	defer r.link.Drop(ctx, consumer)
	if consumer.CachedInfo().NumPending == 0 {
		return nil, true, nil
	}
	pulled, err := consumer.FetchBytes(stream.PullBytes(r.options.MaxBytesHeld, r.link.Conn().MaxPayload()), jetstream.FetchMaxWait(fetchWithin))
	if err != nil {
		return nil, false, err
	}
	for {
		select {
		case <-ctx.Done():
			return batch, false, ctx.Err()
		case msg, more := <-pulled.Messages():
			if !more {
				return batch, false, nil
			}
			meta, err := msg.Metadata()
			if err != nil || meta.Sequence.Consumer != uint64(len(batch)+1) {
				return batch, false, err // one was lost on the way: the next pull begins with it
			}
			if batch = append(batch, msg); meta.NumPending == 0 {
				return batch, true, nil
			}
		}
	}
}
