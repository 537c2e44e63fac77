package pipeline

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

// AuditOptions say where audit documents of TheHive wait, and how they are taken from there.
// Zero values are replaced by the defaults named with each field.
type AuditOptions struct {
	Stream   string        // "FORAGER_AUDIT"; its one subject is "forager.audit.<stream>"
	Consumer string        // the durable that all replicas share, "forager"
	Manage   bool          // create stream and consumer where they are missing
	Replicas int           // copies of what Manage creates, 1
	Within   time.Duration // how long Store waits for the server, 40 ms: the sender is answered within 50
	AckWait  time.Duration // of the consumer that Manage creates, 30 s
	Retry    retry.Backoff // between tries of a document that could not be merged, 1 s to 1 min
	Log      *zap.Logger   // nil is silence
}

func (o AuditOptions) withDefaults() AuditOptions {
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

func (o AuditOptions) subject() string { return "forager.audit." + o.Stream }

// Limits of the audit stream. The ledger is right without documents, only later, so that the
// oldest may go before the disk does.
const (
	auditAge   = 7 * 24 * time.Hour
	auditBytes = 1 << 30
	auditTwice = 10 * time.Minute // in which a document that is sent again is known
	auditBatch = 64
	// AuditMaxBytes is the largest document that fits into a message of a NATS server with its
	// default limit of 1 MiB.
	AuditMaxBytes = 1<<20 - 4<<10
)

// Learner takes in one document. Its errors decide by [enrich.ClassOf]: Malformed is given up,
// all others are tried again later. It may get a document late, twice, or before an earlier one.
type Learner interface {
	Learn(ctx context.Context, document []byte) error
}

// Audits are the documents between the intake and the ledger.
type Audits struct {
	link    *stream.Link
	options AuditOptions
}

// NewAudits makes no call. An error wraps [ErrOptions].
func NewAudits(link *stream.Link, options AuditOptions) (*Audits, error) {
	o := options.withDefaults()
	if !stream.ValidName(o.Stream) || !stream.ValidName(o.Consumer) {
		return nil, fmt.Errorf("%w: audit stream %q, consumer %q: a JetStream name is not empty and has no dot, star, > or space", ErrOptions, o.Stream, o.Consumer)
	}
	return &Audits{link: link, options: o}, nil
}

// Ensure creates stream and consumer where they are missing and Manage is set.
func (a *Audits) Ensure(ctx context.Context) error {
	if !a.options.Manage {
		return nil
	}
	err := stream.EnsureStream(ctx, a.link, jetstream.StreamConfig{
		Name: a.options.Stream, Subjects: []string{a.options.subject()}, Storage: jetstream.FileStorage, Replicas: a.options.Replicas,
		MaxAge: auditAge, MaxBytes: auditBytes, Discard: jetstream.DiscardOld, Duplicates: auditTwice,
		Description: "what analysts did in TheHive",
	})
	if err != nil {
		return a.link.Explain(err)
	}
	_, err = a.link.JetStream().Consumer(ctx, a.options.Stream, a.options.Consumer)
	if err == nil {
		return nil
	}
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("look up consumer %s: %w", a.options.Consumer, a.link.Explain(err))
	}
	_, err = a.link.JetStream().CreateConsumer(ctx, a.options.Stream, jetstream.ConsumerConfig{
		Durable: a.options.Consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: a.options.AckWait,
		MaxDeliver: -1, MaxAckPending: 64 * auditBatch, DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
		return fmt.Errorf("create consumer %s: %w", a.options.Consumer, a.link.Explain(err))
	}
	return nil
}

// ErrAuditTooLarge says that a document is larger than [AuditMaxBytes], or than the server takes.
var ErrAuditTooLarge = errors.New("audit document is too large")

// Store puts a document into the stream: nil means that the server has it, or had it before under
// the same key. Any error but [ErrAuditTooLarge] means that it may be sent again; it is returned
// within Options.Within.
func (a *Audits) Store(ctx context.Context, key string, document []byte) error {
	if len(document) > AuditMaxBytes || int64(len(document)) > a.room() {
		return fmt.Errorf("%w: %d bytes", ErrAuditTooLarge, len(document))
	}
	if !a.link.Connected() {
		return a.link.Explain(fmt.Errorf("store audit document: %w", stream.ErrNotConnected))
	}
	ctx, cancel := context.WithTimeout(ctx, a.options.Within)
	defer cancel()
	_, err := a.link.JetStream().Publish(ctx, a.options.subject(), document,
		jetstream.WithMsgID(key), jetstream.WithExpectStream(a.options.Stream), jetstream.WithRetryAttempts(0))
	if err != nil {
		return a.link.Explain(fmt.Errorf("store audit document: %w", err))
	}
	return nil
}

// room is what the server takes in one message besides headers; before it has said so, anything.
func (a *Audits) room() int64 {
	most := a.link.Conn().MaxPayload()
	if most <= 0 {
		return AuditMaxBytes
	}
	return most - 1<<10
}
