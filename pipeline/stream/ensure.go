package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrLedgerGone says that the ledger's bucket is missing although the consumer has delivered
// messages. It is not made anew by itself: with it, removals, tombstones and comment counts are
// lost, and whoever deleted it should know. Create the bucket (history 1) to go on without them.
var ErrLedgerGone = errors.New("ledger bucket is missing and the consumer has delivered already")

// Ensure creates what is missing: the stream, its durable consumer, the dead-letter stream and,
// as long as the consumer has delivered nothing, the ledger's bucket with its entry that says so. What
// is there is left as it is, whatever its configuration: in Kubernetes it belongs to somebody
// else. Several workers may call it at once.
func Ensure(ctx context.Context, link *Link, topology Topology) error {
	t := topology.WithDefaults()
	if err := t.Check(); err != nil {
		return err
	}
	if err := EnsureStreams(ctx, link, t); err != nil {
		return link.Explain(err)
	}
	return link.Explain(ensureLedger(ctx, link, t))
}

// EnsureStreams does what [Ensure] does, but for the ledger. It expects the topology's defaults.
func EnsureStreams(ctx context.Context, link *Link, t Topology) error {
	stream := jetstream.StreamConfig{
		Name: t.Stream, Subjects: t.Subjects, Storage: jetstream.FileStorage, Replicas: t.Replicas,
		MaxAge: t.MaxAge, MaxBytes: t.MaxBytes,
		Description: "detections for TheHive",
	}
	letters := jetstream.StreamConfig{
		Name: t.DeadLetters, Subjects: []string{DeadLetterPrefix + ">"}, Storage: jetstream.FileStorage, Replicas: t.Replicas,
		Discard: jetstream.DiscardNew, AllowDirect: true, MaxBytes: t.MaxLetters,
		Description: "detections that could not be carried to TheHive",
	}
	for _, config := range []jetstream.StreamConfig{stream, letters} {
		if err := EnsureStream(ctx, link, config); err != nil {
			return err
		}
	}
	return ensureConsumer(ctx, link, t)
}

// EnsureHold creates the stream of what waits below a threshold where it is missing. It refuses what is new when it is full, and
// is read from its leader alone.
func EnsureHold(ctx context.Context, link *Link, t Topology) error {
	return EnsureStream(ctx, link, jetstream.StreamConfig{
		Name: t.Hold, Subjects: []string{HoldPrefix + ">"}, Storage: jetstream.FileStorage, Replicas: t.Replicas,
		Discard: jetstream.DiscardNew, MaxMsgs: mostHeld,
		Description: "detections that wait below a threshold",
	})
}

// mostHeld bounds what the stream of what waits takes, where a worker makes it: each costs a replica some dozen bytes of memory.
const mostHeld = 1 << 20

// EnsureStream creates one stream where it is missing, and leaves one that is there as it is.
func EnsureStream(ctx context.Context, link *Link, config jetstream.StreamConfig) error {
	_, err := link.js.Stream(ctx, config.Name)
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return wrap(err, "look up stream "+config.Name)
	}
	_, err = link.js.CreateStream(ctx, config)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil // another worker was faster
	}
	return wrap(err, "create stream "+config.Name)
}

func ensureConsumer(ctx context.Context, link *Link, t Topology) error {
	_, err := link.js.Consumer(ctx, t.Stream, t.Consumer)
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return wrap(err, "look up consumer "+t.Consumer)
	}
	config := jetstream.ConsumerConfig{
		Durable: t.Consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: t.AckWait,
		MaxDeliver: -1, MaxAckPending: t.MaxAckPending, DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	SetFilters(&config, t.Subjects)
	_, err = link.js.CreateConsumer(ctx, t.Stream, config)
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return nil
	}
	return wrap(err, "create consumer "+t.Consumer)
}

// ensureLedger creates the bucket before anything is consumed, and says so in it.
func ensureLedger(ctx context.Context, link *Link, t Topology) error {
	_, err := link.js.KeyValue(ctx, t.Bucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return wrap(err, "look up bucket "+t.Bucket)
	}
	if untouched, err := deliveredNothing(ctx, link, t); err != nil {
		return err
	} else if !untouched {
		return fmt.Errorf("bucket %s: %w", t.Bucket, ErrLedgerGone)
	}
	kv, err := link.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: t.Bucket, History: 1, Storage: jetstream.FileStorage, Replicas: t.Replicas,
		Description: "what was done in TheHive",
	})
	if errors.Is(err, jetstream.ErrBucketExists) {
		return nil
	}
	if err != nil {
		return wrap(err, "create bucket "+t.Bucket)
	}
	return initialise(ctx, link, t, kv)
}

// initialise writes that nothing was consumed before the bucket existed: asked after it was made, the
// consumer has still delivered nothing.
func initialise(ctx context.Context, link *Link, t Topology, kv jetstream.KeyValue) error {
	untouched, err := deliveredNothing(ctx, link, t)
	if err != nil || !untouched {
		return err // without it, the bucket is trusted once it is old enough
	}
	_, err = kv.Create(ctx, InitialisedKey, []byte(`{"v":1}`))
	if IsWrongSequence(err) || errors.Is(err, jetstream.ErrKeyExists) {
		return nil
	}
	return wrap(err, "write "+InitialisedKey)
}

// deliveredNothing tells whether the consumer has delivered nothing yet.
func deliveredNothing(ctx context.Context, link *Link, t Topology) (bool, error) {
	consumer, err := link.js.Consumer(ctx, t.Stream, t.Consumer)
	if err != nil {
		return false, wrap(err, "look up consumer "+t.Consumer)
	}
	return consumer.CachedInfo().Delivered.Consumer == 0, nil
}

func wrap(err error, doing string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
