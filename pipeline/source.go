package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"forager/pipeline/inspect"
	"forager/pipeline/stream"
)

// Source is where a worker's messages come from: the live consumer, or a replay's.
type Source interface {
	// Consumer looks up the consumer to pull from, and makes what is missing where that is wanted. It is called
	// again whenever the consumer was lost; on an error, of whatever kind, after a pause.
	Consumer(ctx context.Context) (jetstream.Consumer, error)
	// Allow is how many messages may be pulled now, of those that there is room for; 0 is none. It may wait,
	// until ctx ends.
	Allow(ctx context.Context, room int) int
	// Beyond tells whether a message that was pulled is not the source's to give. It has answered it then.
	Beyond(msg jetstream.Msg) bool
}

// live is the source of the durable consumer that all replicas share.
type live struct {
	link    *stream.Link
	options Options
	ensured bool // the ledger was made once: one that vanishes later is for people
}

// Consumer creates what is missing where that is wanted, and adjusts what is there.
func (l *live) Consumer(ctx context.Context) (jetstream.Consumer, error) {
	if l.options.Manage {
		if err := l.ensure(ctx); err != nil {
			return nil, err
		}
		l.adjust(ctx)
	}
	consumer, err := l.link.JetStream().Consumer(ctx, l.options.Stream, l.options.Consumer)
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		return nil, refusedFor(inspect.PushConsumer(l.options.Consumer))
	}
	if err != nil {
		return nil, fmt.Errorf("bind consumer %s of stream %s: %w", l.options.Consumer, l.options.Stream, l.link.Explain(err))
	}
	l.ensured = true
	return consumer, nil
}

func (l *live) ensure(ctx context.Context) error {
	if l.ensured {
		return stream.EnsureStreams(ctx, l.link, l.options.Topology)
	}
	return stream.Ensure(ctx, l.link, l.options.Topology)
}

// adjust applies drift with nats.manage. What cannot be applied keeps nobody from work: it is told.
func (l *live) adjust(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, 2*l.options.Confirm)
	defer cancel()
	if err := stream.Adjust(bounded, l.link, l.options.Topology); err != nil && !stream.IsMissing(err) && !errors.Is(err, context.Canceled) {
		l.options.Log.Warn("stream or consumer differ from the configuration, and cannot be changed", zap.Error(l.link.Explain(err)))
	}
}

// Allow lets everything be pulled that there is room for.
func (l *live) Allow(_ context.Context, room int) int { return room }

// Beyond is never true: all that comes is ours.
func (l *live) Beyond(jetstream.Msg) bool { return false }
