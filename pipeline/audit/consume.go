package audit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"forager/enrich"
	"forager/pipeline/stream"
	"forager/retry"
)

// Run hands the documents of the stream to the learner until ctx ends, one at a time: replicas
// share them. A document is acknowledged when it is merged, and comes again later when it could
// not be. Run returns nil; what is missing or unreachable is said once and looked for again.
func (q *Queue) Run(ctx context.Context, learner Learner) error {
	said, pauses := "", retry.Backoff{First: 250 * time.Millisecond, Last: 10 * time.Second}.Pauses()
	for ctx.Err() == nil {
		err := q.consume(ctx, learner, func() {
			said = ""
			pauses.Reset()
		})
		if err == nil || ctx.Err() != nil {
			continue
		}
		if gone := q.link.ClosedForGood(); gone != nil {
			return fmt.Errorf("consume: %w", gone)
		}
		if why := err.Error(); why != said {
			said = why
			q.options.Log.Warn("cannot consume audit documents; what analysts removed is noticed later", zap.Error(err))
		}
		pauses.Wait(ctx)
	}
	return nil
}

// consume binds and pulls until ctx ends, or the consumer must be bound again.
func (q *Queue) consume(ctx context.Context, learner Learner, bound func()) error {
	if err := q.Ensure(ctx); err != nil {
		return err
	}
	consumer, err := q.link.JetStream().Consumer(ctx, q.options.Stream, q.options.Consumer)
	if err != nil {
		return q.link.Explain(fmt.Errorf("bind consumer %s of stream %s: %w", q.options.Consumer, q.options.Stream, err))
	}
	q.options.Log.Info("consuming audit documents", zap.String("stream", q.options.Stream), zap.String("consumer", q.options.Consumer))
	for ctx.Err() == nil {
		if err := q.pull(ctx, consumer, learner); err != nil {
			return err
		}
		bound()
	}
	return nil
}

// pullExpiry is how long a pull waits for the first message. The client ends it earlier when the
// server's heartbeats stay away.
const pullExpiry = 10 * time.Second

// pull takes one batch. What it does not get to before ctx ends comes again after AckWait.
func (q *Queue) pull(ctx context.Context, consumer jetstream.Consumer, learner Learner) error {
	within, cancel := context.WithTimeout(ctx, pullExpiry)
	defer cancel()
	documents, err := consumer.Fetch(batch, jetstream.FetchContext(within), jetstream.FetchHeartbeat(pullExpiry/4))
	if err != nil {
		return q.link.Explain(fmt.Errorf("pull audit documents: %w", err))
	}
	for msg := range documents.Messages() {
		q.take(ctx, msg, learner)
	}
	if err := documents.Error(); err != nil && !stream.IsTimeout(err) && !errors.Is(err, context.Canceled) {
		return q.link.Explain(fmt.Errorf("pull audit documents: %w", err))
	}
	return nil
}

// take settles one document. A settlement that gets lost costs a redelivery, which changes nothing.
func (q *Queue) take(ctx context.Context, msg jetstream.Msg, learner Learner) {
	if ctx.Err() != nil {
		_ = msg.Nak() // at once, for another replica
		return
	}
	err := q.learn(ctx, msg.Data(), learner)
	switch {
	case err == nil:
		_ = msg.Ack()
	case ctx.Err() != nil:
		_ = msg.Nak()
	case enrich.ClassOf(err) == enrich.Malformed:
		q.options.Log.Warn("audit document cannot be read", zap.Error(err))
		_ = msg.Term()
	default:
		tries := 1
		if meta, merr := msg.Metadata(); merr == nil {
			tries = int(min(meta.NumDelivered, 64))
		}
		q.options.Log.Info("audit document is tried again later", zap.Error(err), zap.Int("tries", tries))
		_ = msg.NakWithDelay(q.options.Retry.After(tries, rand.Float64()))
	}
}

// learn turns a panic into the error of one document.
func (q *Queue) learn(ctx context.Context, document []byte, learner Learner) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return learner.Learn(ctx, document)
}

// Pending is how many documents are stored and not yet learnt, by any replica.
func (q *Queue) Pending(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, pullExpiry)
	defer cancel()
	consumer, err := q.link.JetStream().Consumer(ctx, q.options.Stream, q.options.Consumer)
	if err != nil {
		return 0, q.link.Explain(fmt.Errorf("count audit documents: %w", err))
	}
	info := consumer.CachedInfo()
	return info.NumPending + uint64(max(info.NumAckPending, 0)), nil
}
