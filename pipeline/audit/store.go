package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"forager/pipeline/stream"
	"forager/retry"
)

// Options says where audit documents of TheHive wait, and how they are taken from there.
// Zero values are replaced by the defaults named with each field.
type Options struct {
	Stream   string        // "FORAGER_AUDIT"; its one subject is "forager.audit.<stream>"
	Consumer string        // the durable that all replicas share, "forager"
	Manage   bool          // create stream and consumer where they are missing
	Replicas int           // copies of what Manage creates, 1
	Within   time.Duration // how long Store waits for the server, 40 ms: the sender is answered within 50
	AckWait  time.Duration // of the consumer that Manage creates, 30 s
	Retry    retry.Backoff // between tries of a document that could not be merged, 1 s to 1 min
	Log      *zap.Logger   // nil is silence
}

// WithDefaults fills in what was left zero.
func (o Options) WithDefaults() Options {
	o.Stream = cmp.Or(o.Stream, "FORAGER_AUDIT")
	o.Consumer = cmp.Or(o.Consumer, "forager")
	o.Replicas = cmp.Or(o.Replicas, 1)
	o.Within = cmp.Or(o.Within, 40*time.Millisecond)
	o.AckWait = cmp.Or(o.AckWait, 30*time.Second)
	o.Retry = cmp.Or(o.Retry, retry.Backoff{First: time.Second, Last: time.Minute})
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return o
}

// Subject is the one subject of the stream.
func (o Options) Subject() string { return "forager.audit." + o.Stream }

// Limits of the audit stream. The ledger is right without documents, only later, so that the
// oldest may go before the disk does.
const (
	longestAge = 7 * 24 * time.Hour
	mostBytes  = 1 << 30
	knownAgain = 10 * time.Minute // in which a document that is sent again is known
	batch      = 64
	// MaxBytes is the largest document that fits into a message of a NATS server with its
	// default limit of 1 MiB.
	MaxBytes = 1<<20 - 4<<10
)

// Learner takes in one document. Its errors decide by [enrich.ClassOf]: Malformed is given up,
// all others are tried again later. It may get a document late, twice, or before an earlier one.
type Learner interface {
	Learn(ctx context.Context, document []byte) error
}

// Queue holds the documents between the intake and the ledger. Safe for concurrent use.
type Queue struct {
	link    *stream.Link
	options Options
}

// New makes a queue. It makes no call; an error wraps [stream.ErrTopology].
func New(link *stream.Link, options Options) (*Queue, error) {
	o := options.WithDefaults()
	if !stream.ValidName(o.Stream) || !stream.ValidName(o.Consumer) {
		return nil, fmt.Errorf("%w: audit stream %q, consumer %q: a JetStream name is not empty and has no dot, star, > or space", stream.ErrTopology, o.Stream, o.Consumer)
	}
	return &Queue{link: link, options: o}, nil
}

// Ensure creates stream and consumer where they are missing and Manage is set.
func (q *Queue) Ensure(ctx context.Context) error {
	if !q.options.Manage {
		return nil
	}
	err := stream.EnsureStream(ctx, q.link, jetstream.StreamConfig{
		Name: q.options.Stream, Subjects: []string{q.options.Subject()}, Storage: jetstream.FileStorage, Replicas: q.options.Replicas,
		MaxAge: longestAge, MaxBytes: mostBytes, Discard: jetstream.DiscardOld, Duplicates: knownAgain,
		Description: "what analysts did in TheHive",
	})
	if err != nil {
		return q.link.Explain(err)
	}
	_, err = q.link.JetStream().Consumer(ctx, q.options.Stream, q.options.Consumer)
	if err == nil {
		return nil
	}
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("look up consumer %s: %w", q.options.Consumer, q.link.Explain(err))
	}
	_, err = q.link.JetStream().CreateConsumer(ctx, q.options.Stream, jetstream.ConsumerConfig{
		Durable: q.options.Consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: q.options.AckWait,
		MaxDeliver: -1, MaxAckPending: 64 * batch, DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
		return fmt.Errorf("create consumer %s: %w", q.options.Consumer, q.link.Explain(err))
	}
	return nil
}

// ErrTooLarge says that a document is larger than [MaxBytes], or than the server takes.
var ErrTooLarge = errors.New("audit document is too large")

// Store puts a document into the stream: nil means that the server has it, or had it before under
// the same key. Any error but [ErrTooLarge] means that it may be sent again; it is returned
// within Options.Within.
func (q *Queue) Store(ctx context.Context, key string, document []byte) error {
	if len(document) > MaxBytes || int64(len(document)) > q.room() {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(document))
	}
	if !q.link.Connected() {
		return q.link.Explain(fmt.Errorf("store audit document: %w", stream.ErrNotConnected))
	}
	ctx, cancel := context.WithTimeout(ctx, q.options.Within)
	defer cancel()
	_, err := q.link.JetStream().Publish(ctx, q.options.Subject(), document,
		jetstream.WithMsgID(key), jetstream.WithExpectStream(q.options.Stream), jetstream.WithRetryAttempts(0))
	if err != nil {
		return q.link.Explain(fmt.Errorf("store audit document: %w", err))
	}
	return nil
}

// room is what the server takes in one message besides headers; before it has said so, anything.
func (q *Queue) room() int64 {
	most := q.link.Conn().MaxPayload()
	if most <= 0 {
		return MaxBytes
	}
	return most - 1<<10
}
