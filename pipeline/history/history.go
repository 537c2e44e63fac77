// Package history reads what a stream holds, from a time on to its end, and changes nothing.
//
// # Promise
//
// Every message that the stream has from the beginning on, up to the one that was its last when the reading began, is given once, in
// order. No more than one pull of them is in memory. No consumer that somebody else knows is made or moved: the reading has one of its own, which ends with it.
//
// # Errors
//
// Those of NATS: a stream that is not there, a subject that may not be used, a connection that is lost for longer than the client mends.
package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// Message is one message as the stream has it.
type Message struct {
	Sequence uint64
	Subject  string
	Header   map[string][]string
	Body     []byte
	Stored   time.Time
}

// Span is what is read.
type Span struct {
	Stream  string
	Filters []string       // subjects; none is all
	Since   time.Time      // stored from then on; zero is all
	Begun   func(n uint64) // told how many messages there are; nil is nobody
}

// bytesHeld bounds the bodies of one pull, twice over.
const bytesHeld = 32 << 20

// Read reads a span. An error of do ends it, and is given back.
func Read(ctx context.Context, link *stream.Link, s Span, do func(Message) error) error {
	r := &reader{link: link, span: s, pull: stream.PullBytes(bytesHeld, link.Conn().MaxPayload())}
	if err := r.open(ctx, 0); err != nil {
		return err
	}
	defer func() { r.close(ctx) }()
	left := r.consumer.CachedInfo().NumPending
	if s.Begun != nil {
		s.Begun(left)
	}
	for left > 0 {
		n, over, err := r.batch(ctx, left, do)
		if err != nil || over {
			return err
		}
		if left -= min(n, left); n == 0 && left > 0 {
			if err := r.again(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// reader reads by an ephemeral consumer of its own. The next batch is asked for when all of the one before has come, and comes while that is
// worked: of two pulls that wait, the server serves each in turn. The client's own way of pulling on may forget to, and notices after two heartbeats.
type reader struct {
	link     *stream.Link
	span     Span
	pull     int
	consumer jetstream.Consumer
	next     jetstream.MessageBatch
	last     uint64 // sequence of the stream that came last
	expected uint64 // the consumer's number of the next message
	empty    int    // batches in a row that brought nothing
}

// open makes the consumer, from the beginning or behind a sequence.
func (r *reader) open(ctx context.Context, behind uint64) (err error) {
	config := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy, FilterSubjects: r.span.Filters,
		InactiveThreshold: time.Minute, MemoryStorage: true, Replicas: 1,
	}
	switch {
	case behind > 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, behind+1
	case !r.span.Since.IsZero():
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.span.Since
	}
	r.consumer, err = r.link.JetStream().CreateConsumer(ctx, r.span.Stream, config)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", r.span.Stream, r.link.Explain(err))
	}
	r.expected, r.next = 1, nil
	return nil
}

// again begins anew behind what was given, since something was lost on the way.
func (r *reader) again(ctx context.Context) error {
	if r.empty++; r.empty > mostEmpty {
		return fmt.Errorf("read stream %s: %w", r.span.Stream, errSilent)
	}
	r.close(ctx)
	return r.open(ctx, r.last)
}

// close deletes the consumer.
func (r *reader) close(ctx context.Context) { r.link.Drop(ctx, r.consumer) }

// batch gives one batch, and tells how many messages that were, and whether it was the last.
func (r *reader) batch(ctx context.Context, left uint64, do func(Message) error) (n uint64, over bool, err error) {
	all, over, err := r.receive(ctx, left)
	n = uint64(len(all))
	if err == nil && !over && n < left {
		err = r.ask()
	}
	for _, m := range all {
		if failed := do(m); failed != nil {
			return n, true, failed
		}
	}
	return n, over, err
}

// ask asks for a batch.
func (r *reader) ask() (err error) {
	if r.next, err = r.consumer.FetchBytes(r.pull, jetstream.FetchMaxWait(fetchWithin)); err != nil {
		return fmt.Errorf("read stream %s: %w", r.span.Stream, r.link.Explain(err))
	}
	return nil
}

// receive takes what was asked for, as far as it comes whole and is wanted, and tells whether it was the end.
func (r *reader) receive(ctx context.Context, left uint64) (all []Message, over bool, err error) {
	if r.next == nil {
		if err := r.ask(); err != nil {
			return nil, false, err
		}
	}
	for m := range r.next.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return all, false, fmt.Errorf("read stream %s: %w", r.span.Stream, err)
		}
		if meta.Sequence.Consumer != r.expected {
			return all, false, nil // one was lost on the way: again
		}
		r.expected++
		r.empty, r.last = 0, meta.Sequence.Stream
		all = append(all, Message{Sequence: meta.Sequence.Stream, Subject: m.Subject(), Header: m.Headers(), Body: m.Data(), Stored: meta.Timestamp})
		if meta.NumPending == 0 || uint64(len(all)) == left {
			return all, true, nil // the end; some may have left the stream meanwhile
		}
	}
	return all, false, ctx.Err()
}

// Bounds of a reading.
const (
	fetchWithin = 5 * time.Second
	mostEmpty   = 6 // batches in a row that bring nothing
)

// errSilent says that messages are there and do not come.
var errSilent = errors.New("messages are there and none comes")
