package pipeline

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"forager/pipeline/stream"
)

// backfill is what makes a worker a replay: the consumer that it makes itself, the sequence at
// which it ends, and what holds it back. All that the worker asks it answers for nil, too.
type backfill struct {
	link    *stream.Link
	options Options // the worker's
	live    string  // the live consumer
	filter  []string
	span    ReplaySpan
	again   bool
	most    uint64 // messages that may wait for the live consumer
	look    time.Duration
	told    func(ReplayState)
	limiter *rate.Limiter
	quantum int // messages in one pull

	ahead  atomic.Uint64 // messages that wait for the live consumer
	idle   idle          // whether anybody takes them
	over   atomic.Bool   // something beyond the end came
	owed   atomic.Int64  // messages without an end, as last seen
	passed atomic.Uint64
}

// ReplaySpan is what a replay spans.
type ReplaySpan struct {
	Consumer string    // name of its consumer
	First    uint64    // first sequence
	Last     uint64    // last sequence; below First there is nothing to replay
	Begins   time.Time // when the first message that the stream still has was stored
	Cut      bool      // Since is before Begins: what was there is gone
	Resumed  bool      // the replay was begun before, and its end read then
}

// The consumer's metadata.
const (
	metaFirst = "forager.first"
	metaLast  = "forager.last"
)

// Limits of a replay: it takes less upon itself than a worker does, so that it hands back soon.
const (
	replayInactive   = time.Hour
	replayPerCall    = 16 // messages held per call in flight
	replayQuantum    = 4  // messages pulled per call in flight
	replayLook       = time.Second
	replayBurst      = 10 // bursts a second, at a limited rate
	replayAckPending = 4  // for each message held: as many replicas may share
)

// newBackfill looks at the stream and works out first and last sequence.
func newBackfill(ctx context.Context, link *stream.Link, o Options, r ReplayOptions) (*backfill, error) {
	if r.Since.IsZero() || !r.Until.IsZero() && !r.Until.After(r.Since) {
		return nil, fmt.Errorf("%w: it must begin before it ends", ErrReplay)
	}
	if r.Rate < 0 {
		return nil, fmt.Errorf("%w: %v messages a second", ErrReplay, r.Rate)
	}
	if strings.ContainsAny(r.Subject, " \t\r\n") {
		return nil, fmt.Errorf("%w: there is a space in the subject %q", ErrReplay, r.Subject)
	}
	b := &backfill{
		link: link, live: o.Consumer, again: r.Again, told: r.Told,
		most: cmp.Or(r.Live, uint64(4*o.Concurrency)), look: cmp.Or(r.Look, replayLook), quantum: replayQuantum * o.Concurrency,
	}
	if r.Rate > 0 {
		b.limiter = rate.NewLimiter(rate.Limit(r.Rate), max(int(r.Rate)/replayBurst, 1))
	}
	o.Manage = false
	o.MaxInFlight = min(o.MaxInFlight, replayPerCall*o.Concurrency)
	o.MaxAckPending = replayAckPending * o.MaxInFlight
	b.options = o
	if err := b.choose(ctx, r); err != nil {
		return nil, err
	}
	b.span.Consumer = replayName(o.Stream, r, b.filter)
	b.options.Consumer = b.span.Consumer
	return b, b.measure(ctx, r)
}

// replayName is the same for the same replay, whoever begins it.
func replayName(stream string, r ReplayOptions, filter []string) string {
	until := ""
	if !r.Until.IsZero() {
		until = r.Until.UTC().Format(time.RFC3339Nano)
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{stream, r.Since.UTC().Format(time.RFC3339Nano), until}, filter...), "\x00")))
	return "backfill-" + hex.EncodeToString(sum[:6])
}

// choose finds the subjects: those that were asked for, else what the live consumer takes.
func (b *backfill) choose(ctx context.Context, r ReplayOptions) error {
	if r.Subject != "" {
		b.filter = []string{r.Subject}
		return nil
	}
	info, err := b.info(ctx, b.live)
	switch {
	case stream.IsMissing(err):
		b.filter = b.options.Subjects
	case err != nil:
		return fmt.Errorf("replay: look up consumer %s: %w", b.live, b.link.Explain(err))
	default:
		b.filter = stream.Filters(info.Config)
	}
	return nil
}

// measure finds first and last sequence: those of the consumer, where it is there already.
func (b *backfill) measure(ctx context.Context, r ReplayOptions) error {
	found, err := b.link.JetStream().Stream(ctx, b.options.Stream)
	if err != nil {
		return fmt.Errorf("replay: look up stream %s: %w", b.options.Stream, b.link.Explain(err))
	}
	state, retention := found.CachedInfo().State, found.CachedInfo().Config.Retention
	if retention != jetstream.LimitsPolicy {
		return fmt.Errorf("%w: stream %s has retention %s: what was acknowledged is gone from it", ErrReplay, b.options.Stream, retention)
	}
	b.span.Begins, b.span.Cut = state.FirstTime, r.Since.Before(state.FirstTime) && state.FirstSeq > 1
	if !b.again {
		info, err := b.info(ctx, b.span.Consumer)
		if err == nil {
			b.span.Resumed = true
			return b.adopt(info)
		}
		if !stream.IsMissing(err) {
			return fmt.Errorf("replay: look up consumer %s: %w", b.span.Consumer, b.link.Explain(err))
		}
	}
	b.span.Last = state.LastSeq
	if !r.Until.IsZero() {
		next, err := b.sequenceAt(ctx, r.Until)
		if err != nil {
			return err
		}
		b.span.Last = min(b.span.Last, next-1)
	}
	b.span.First, err = b.sequenceAt(ctx, r.Since)
	return err
}

// sequenceAt is the sequence of the first message that was stored at a time or later; past the
// end it is one more than the last. The server finds it when it makes a consumer.
func (b *backfill) sequenceAt(ctx context.Context, at time.Time) (uint64, error) {
	probe, err := b.link.JetStream().CreateConsumer(ctx, b.options.Stream, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &at,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: b.options.Confirm,
	})
	if err != nil {
		return 0, fmt.Errorf("replay: find %s in stream %s: %w", at.Format(time.RFC3339), b.options.Stream, b.link.Explain(err))
	}
	info := probe.CachedInfo()
	_ = b.link.JetStream().DeleteConsumer(ctx, b.options.Stream, info.Name) // else the server does, soon
	return info.Delivered.Stream + 1, nil
}

// adopt takes first and last sequence from the consumer's metadata.
func (b *backfill) adopt(info *jetstream.ConsumerInfo) error {
	first, ferr := strconv.ParseUint(info.Config.Metadata[metaFirst], 10, 64)
	last, lerr := strconv.ParseUint(info.Config.Metadata[metaLast], 10, 64)
	if err := errors.Join(ferr, lerr); err != nil || first == 0 {
		return fmt.Errorf("%w: %s was not made by a replay: it does not say where it ends", errConsumer, info.Name)
	}
	b.span.First, b.span.Last = first, last
	return nil
}

// consumer is the replay's, made when it is missing. Of two who make it at once, one is first,
// and its end holds for both.
func (b *backfill) consumer(ctx context.Context) (jetstream.Consumer, error) {
	consumer, err := b.link.JetStream().Consumer(ctx, b.options.Stream, b.span.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = b.create(ctx)
	}
	if errors.Is(err, jetstream.ErrConsumerExists) {
		consumer, err = b.link.JetStream().Consumer(ctx, b.options.Stream, b.span.Consumer)
	}
	if err != nil {
		return nil, fmt.Errorf("replay: consumer %s of stream %s: %w", b.span.Consumer, b.options.Stream, b.link.Explain(err))
	}
	return consumer, nil
}

// isOurs tells that the consumer still ends where ours does: somebody may have begun it anew.
func (b *backfill) isOurs(info *jetstream.ConsumerInfo) bool {
	return info.Config.Metadata[metaLast] == strconv.FormatUint(b.span.Last, 10)
}

func (b *backfill) create(ctx context.Context) (jetstream.Consumer, error) {
	config := jetstream.ConsumerConfig{
		Durable: b.span.Consumer, Description: "replay", AckPolicy: jetstream.AckExplicitPolicy, AckWait: b.options.AckWait,
		MaxDeliver: -1, MaxAckPending: b.options.MaxAckPending, InactiveThreshold: replayInactive,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: b.span.First,
		Metadata: map[string]string{
			metaFirst: strconv.FormatUint(b.span.First, 10), metaLast: strconv.FormatUint(b.span.Last, 10),
		},
	}
	stream.SetFilters(&config, b.filter)
	return b.link.JetStream().CreateConsumer(ctx, b.options.Stream, config)
}

// info asks the server about a consumer, for no longer than a confirmation may take.
func (b *backfill) info(ctx context.Context, name string) (*jetstream.ConsumerInfo, error) {
	bounded, cancel := context.WithTimeout(ctx, b.options.Confirm)
	defer cancel()
	consumer, err := b.link.JetStream().Consumer(bounded, b.options.Stream, name)
	if err != nil {
		return nil, err
	}
	return consumer.CachedInfo(), nil
}

// finished tells that nothing up to the end is without its own end: messages that went back with
// a delay count as pending.
func (b *backfill) finished(info *jetstream.ConsumerInfo) bool {
	return info.NumAckPending == 0 && (info.NumPending == 0 || info.Delivered.Stream >= b.span.Last)
}
