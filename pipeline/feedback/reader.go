package feedback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich/feedback"
	"forager/pipeline/stream"
	"forager/retry"
)

// Reading says what a [Reader] takes. Stream and Subject are needed.
type Reading struct {
	Stream   string
	Subject  string // [Options.OfSource] of the source
	Consumer string // durable; it is made where it is missing
}

// Received are messages that were taken together, in the order in which they were told.
type Received struct {
	Messages []feedback.Message
	raw      []jetstream.Msg
}

// Done says that all of them were worked: they do not come again. Error: of NATS; then they come again, which must do no
// harm.
func (r Received) Done(ctx context.Context) error {
	for _, m := range r.raw {
		if err := m.DoubleAck(ctx); err != nil {
			return fmt.Errorf("acknowledge feedback: %w", err)
		}
	}
	return nil
}

// Working keeps them from coming again while they are worked; it is called well within [AckWait].
func (r Received) Working() {
	for _, m := range r.raw {
		_ = m.InProgress() // what comes again does no harm
	}
}

// Bounds of reading.
const (
	// AckWait is how long nothing may be heard of messages until they come again.
	AckWait   = 30 * time.Second
	mostTaken = 100
	takeFor   = time.Second // a pull takes what comes within it
)

// Reader takes what one source is told, in order: what is not done comes again before anything newer. One process may
// read for a consumer at a time.
type Reader struct {
	link     *stream.Link
	reading  Reading
	consumer jetstream.Consumer
}

// NewReader makes a reader. It makes no call.
func NewReader(link *stream.Link, r Reading) *Reader { return &Reader{link: link, reading: r} }

// Open binds the consumer, or makes it; then it waits until what an earlier reader left comes again. Errors: of NATS;
// try again.
func (r *Reader) Open(ctx context.Context) error {
	js := r.link.JetStream()
	c, err := js.Consumer(ctx, r.reading.Stream, r.reading.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c, err = js.CreateConsumer(ctx, r.reading.Stream, jetstream.ConsumerConfig{
			Durable: r.reading.Consumer, FilterSubject: r.reading.Subject, AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: AckWait, MaxDeliver: -1, MaxAckPending: mostTaken, DeliverPolicy: jetstream.DeliverAllPolicy,
			Description: "tells a source what became of its alerts",
		})
	}
	if err != nil {
		return r.link.Explain(fmt.Errorf("bind consumer %s of stream %s: %w", r.reading.Consumer, r.reading.Stream, err))
	}
	if c.CachedInfo().NumAckPending > 0 {
		if !retry.Wait(ctx, c.CachedInfo().Config.AckWait+time.Second) {
			return ctx.Err()
		}
	}
	r.consumer = c
	return nil
}

// Take waits a second for messages, and takes up to a hundred; none is no error. What is no feedback is given up,
// and counted in unreadable. Errors: of NATS; then [Reader.Open] is called again.
func (r *Reader) Take(ctx context.Context) (got Received, unreadable int, err error) {
	bounded, cancel := context.WithTimeout(ctx, takeFor)
	defer cancel()
	batch, err := r.consumer.Fetch(mostTaken, jetstream.FetchContext(bounded))
	if err != nil {
		return got, 0, r.link.Explain(fmt.Errorf("pull feedback: %w", err))
	}
	for raw := range batch.Messages() {
		var m feedback.Message
		if json.Unmarshal(raw.Data(), &m) != nil || m.Schema != feedback.Schema {
			unreadable++
			_ = raw.Term() // else it comes again, and is given up then
			continue
		}
		got.Messages, got.raw = append(got.Messages, m), append(got.raw, raw)
	}
	if err := batch.Error(); err != nil && !stream.IsTimeout(err) && ctx.Err() == nil {
		return got, unreadable, r.link.Explain(fmt.Errorf("pull feedback: %w", err))
	}
	return got, unreadable, nil
}
