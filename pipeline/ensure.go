package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// ErrLedgerGone says that the ledger's bucket is missing although the consumer has delivered
// messages. It is not made anew by itself: with it, removals, tombstones and comment counts are
// lost, and whoever deleted it should know. Create the bucket (history 1) to go on without them.
var ErrLedgerGone = errors.New("ledger bucket is missing and the consumer has delivered already")

// Ensure creates what is missing: the stream, its durable consumer, the dead-letter stream and,
// as long as the consumer has delivered nothing, the ledger's bucket with its entry "born". What
// is there is left as it is, whatever its configuration: in Kubernetes it belongs to somebody
// else. Several workers may call it at once.
func Ensure(ctx context.Context, link *stream.Link, options Options) error {
	o := options.withDefaults()
	if err := o.validate(); err != nil {
		return err
	}
	if err := ensureStreams(ctx, link, o); err != nil {
		return link.Explain(err)
	}
	return link.Explain(ensureLedger(ctx, link, o))
}

// ensureStreams creates all but the ledger.
func ensureStreams(ctx context.Context, link *stream.Link, o Options) error {
	stream := jetstream.StreamConfig{
		Name: o.Stream, Subjects: o.Subjects, Storage: jetstream.FileStorage, Replicas: o.Replicas,
		Description: "detections for TheHive",
	}
	letters := jetstream.StreamConfig{
		Name: o.DeadLetters, Subjects: []string{letterPrefix + ">"}, Storage: jetstream.FileStorage, Replicas: o.Replicas,
		Discard: jetstream.DiscardNew, AllowDirect: true,
		Description: "detections that could not be carried to TheHive",
	}
	for _, config := range []jetstream.StreamConfig{stream, letters} {
		if err := ensureStream(ctx, link, config); err != nil {
			return err
		}
	}
	return ensureConsumer(ctx, link, o)
}

func ensureStream(ctx context.Context, link *stream.Link, config jetstream.StreamConfig) error {
	_, err := link.JetStream().Stream(ctx, config.Name)
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return wrap(err, "look up stream "+config.Name)
	}
	_, err = link.JetStream().CreateStream(ctx, config)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil // another worker was faster
	}
	return wrap(err, "create stream "+config.Name)
}

func ensureConsumer(ctx context.Context, link *stream.Link, o Options) error {
	_, err := link.JetStream().Consumer(ctx, o.Stream, o.Consumer)
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return wrap(err, "look up consumer "+o.Consumer)
	}
	config := jetstream.ConsumerConfig{
		Durable: o.Consumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: o.AckWait,
		MaxDeliver: -1, MaxAckPending: o.MaxAckPending, DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	stream.SetFilters(&config, o.Subjects)
	_, err = link.JetStream().CreateConsumer(ctx, o.Stream, config)
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return nil
	}
	return wrap(err, "create consumer "+o.Consumer)
}

// ensureLedger creates the bucket before anything is consumed, and says so in it.
func ensureLedger(ctx context.Context, link *stream.Link, o Options) error {
	_, err := link.JetStream().KeyValue(ctx, o.Bucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return wrap(err, "look up bucket "+o.Bucket)
	}
	if virgin, err := isVirgin(ctx, link, o); err != nil {
		return err
	} else if !virgin {
		return fmt.Errorf("bucket %s: %w", o.Bucket, ErrLedgerGone)
	}
	kv, err := link.JetStream().CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: o.Bucket, History: 1, Storage: jetstream.FileStorage, Replicas: o.Replicas,
		Description: "what was done in TheHive",
	})
	if errors.Is(err, jetstream.ErrBucketExists) {
		return nil
	}
	if err != nil {
		return wrap(err, "create bucket "+o.Bucket)
	}
	return bear(ctx, link, o, kv)
}

// bear writes that nothing was consumed before the bucket existed: asked after it was made, the
// consumer has still delivered nothing.
func bear(ctx context.Context, link *stream.Link, o Options, kv jetstream.KeyValue) error {
	virgin, err := isVirgin(ctx, link, o)
	if err != nil || !virgin {
		return err // unborn, the bucket is trusted once it is old enough
	}
	_, err = kv.Create(ctx, bornKey, []byte(`{"v":1}`))
	if stream.IsWrongSequence(err) || errors.Is(err, jetstream.ErrKeyExists) {
		return nil
	}
	return wrap(err, "write born")
}

// isVirgin tells whether the consumer has delivered nothing yet.
func isVirgin(ctx context.Context, link *stream.Link, o Options) (bool, error) {
	consumer, err := link.JetStream().Consumer(ctx, o.Stream, o.Consumer)
	if err != nil {
		return false, wrap(err, "look up consumer "+o.Consumer)
	}
	return consumer.CachedInfo().Delivered.Consumer == 0, nil
}

func wrap(err error, doing string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
