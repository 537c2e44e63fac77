package replay

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

	"forager/pipeline"
	"forager/pipeline/stream"
)

// source is where a replay's messages come from: the consumer that it makes itself, the sequence at which it
// ends, and what holds it back. It is a [pipeline.Source].
type source struct {
	link    *stream.Link
	options pipeline.Options // the worker's
	live    string           // the live consumer
	filter  []string
	span    Span
	again   bool
	most    uint64 // messages that may wait for the live consumer
	look    time.Duration
	told    func(State)
	limiter *rate.Limiter
	quantum int // messages in one pull

	ahead  atomic.Uint64 // messages that wait for the live consumer
	idle   idle          // whether anybody takes them
	over   atomic.Bool   // something beyond the end came
	owed   atomic.Int64  // messages without an end, as last seen
	passed atomic.Uint64
}

// Span is what a replay spans.
type Span struct {
	Consumer string    // name of its consumer
	First    uint64    // first sequence
	Last     uint64    // last sequence; below First there is nothing to replay
	Begins   time.Time // when the first message that the stream still has was stored
	Cut      bool      // Since is before Begins: what was there is gone
	Resumed  bool      // the replay was begun before, and its end read then
}

// errConsumer says that a consumer of the replay's name is none of a replay.
var errConsumer = errors.New("consumer cannot be used")

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

// newSource looks at the stream and works out first and last sequence.
func newSource(ctx context.Context, link *stream.Link, o pipeline.Options, r Options) (*source, error) {
	if r.Since.IsZero() || !r.Until.IsZero() && !r.Until.After(r.Since) {
		return nil, fmt.Errorf("%w: it must begin before it ends", ErrImpossible)
	}
	if r.Rate < 0 {
		return nil, fmt.Errorf("%w: %v messages a second", ErrImpossible, r.Rate)
	}
	if strings.ContainsAny(r.Subject, " \t\r\n") {
		return nil, fmt.Errorf("%w: there is a space in the subject %q", ErrImpossible, r.Subject)
	}
	s := &source{
		link: link, live: o.Consumer, again: r.Again, told: r.Told,
		most: cmp.Or(r.Live, uint64(4*o.Concurrency)), look: cmp.Or(r.Look, replayLook), quantum: replayQuantum * o.Concurrency,
	}
	if r.Rate > 0 {
		s.limiter = rate.NewLimiter(rate.Limit(r.Rate), max(int(r.Rate)/replayBurst, 1))
	}
	o.Manage = false
	o.MaxInFlight = min(o.MaxInFlight, replayPerCall*o.Concurrency)
	o.MaxAckPending = replayAckPending * o.MaxInFlight
	s.options = o
	if err := s.choose(ctx, r); err != nil {
		return nil, err
	}
	s.span.Consumer = replayName(o.Stream, r, s.filter)
	s.options.Consumer = s.span.Consumer
	return s, s.measure(ctx, r)
}

// replayName is the same for the same replay, whoever begins it.
func replayName(stream string, r Options, filter []string) string {
	until := ""
	if !r.Until.IsZero() {
		until = r.Until.UTC().Format(time.RFC3339Nano)
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{stream, r.Since.UTC().Format(time.RFC3339Nano), until}, filter...), "\x00")))
	return "backfill-" + hex.EncodeToString(sum[:6])
}

// choose finds the subjects: those that were asked for, else what the live consumer takes.
func (s *source) choose(ctx context.Context, r Options) error {
	if r.Subject != "" {
		s.filter = []string{r.Subject}
		return nil
	}
	info, err := s.info(ctx, s.live)
	switch {
	case stream.IsMissing(err):
		s.filter = s.options.Subjects
	case err != nil:
		return fmt.Errorf("replay: look up consumer %s: %w", s.live, s.link.Explain(err))
	default:
		s.filter = stream.Filters(info.Config)
	}
	return nil
}

// measure finds first and last sequence: those of the consumer, where it is there already.
func (s *source) measure(ctx context.Context, r Options) error {
	found, err := s.link.JetStream().Stream(ctx, s.options.Stream)
	if err != nil {
		return fmt.Errorf("replay: look up stream %s: %w", s.options.Stream, s.link.Explain(err))
	}
	state, retention := found.CachedInfo().State, found.CachedInfo().Config.Retention
	if retention != jetstream.LimitsPolicy {
		return fmt.Errorf("%w: stream %s has retention %s: what was acknowledged is gone from it", ErrImpossible, s.options.Stream, retention)
	}
	s.span.Begins, s.span.Cut = state.FirstTime, r.Since.Before(state.FirstTime) && state.FirstSeq > 1
	if !s.again {
		info, err := s.info(ctx, s.span.Consumer)
		if err == nil {
			s.span.Resumed = true
			return s.adopt(info)
		}
		if !stream.IsMissing(err) {
			return fmt.Errorf("replay: look up consumer %s: %w", s.span.Consumer, s.link.Explain(err))
		}
	}
	s.span.Last = state.LastSeq
	if !r.Until.IsZero() {
		next, err := s.sequenceAt(ctx, r.Until)
		if err != nil {
			return err
		}
		s.span.Last = min(s.span.Last, next-1)
	}
	s.span.First, err = s.sequenceAt(ctx, r.Since)
	return err
}

// sequenceAt is the sequence of the first message that was stored at a time or later; past the
// end it is one more than the last. The server finds it when it makes a consumer.
func (s *source) sequenceAt(ctx context.Context, at time.Time) (uint64, error) {
	probe, err := s.link.JetStream().CreateConsumer(ctx, s.options.Stream, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &at,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: s.options.Confirm,
	})
	if err != nil {
		return 0, fmt.Errorf("replay: find %s in stream %s: %w", at.Format(time.RFC3339), s.options.Stream, s.link.Explain(err))
	}
	info := probe.CachedInfo()
	_ = s.link.JetStream().DeleteConsumer(ctx, s.options.Stream, info.Name) // else the server does, soon
	return info.Delivered.Stream + 1, nil
}

// adopt takes first and last sequence from the consumer's metadata.
func (s *source) adopt(info *jetstream.ConsumerInfo) error {
	first, ferr := strconv.ParseUint(info.Config.Metadata[metaFirst], 10, 64)
	last, lerr := strconv.ParseUint(info.Config.Metadata[metaLast], 10, 64)
	if err := errors.Join(ferr, lerr); err != nil || first == 0 {
		return fmt.Errorf("%w: %s was not made by a replay: it does not say where it ends", errConsumer, info.Name)
	}
	s.span.First, s.span.Last = first, last
	return nil
}

// Consumer is the replay's own, made when it is missing. Of two who make it at once, one is first,
// and its end holds for both.
func (s *source) Consumer(ctx context.Context) (jetstream.Consumer, error) {
	consumer, err := s.link.JetStream().Consumer(ctx, s.options.Stream, s.span.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = s.create(ctx)
	}
	if errors.Is(err, jetstream.ErrConsumerExists) {
		consumer, err = s.link.JetStream().Consumer(ctx, s.options.Stream, s.span.Consumer)
	}
	if err != nil {
		return nil, fmt.Errorf("replay: consumer %s of stream %s: %w", s.span.Consumer, s.options.Stream, s.link.Explain(err))
	}
	return consumer, nil
}

// isOurs tells that the consumer still ends where ours does: somebody may have begun it anew.
func (s *source) isOurs(info *jetstream.ConsumerInfo) bool {
	return info.Config.Metadata[metaLast] == strconv.FormatUint(s.span.Last, 10)
}

func (s *source) create(ctx context.Context) (jetstream.Consumer, error) {
	config := jetstream.ConsumerConfig{
		Durable: s.span.Consumer, Description: "replay", AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.options.AckWait,
		MaxDeliver: -1, MaxAckPending: s.options.MaxAckPending, InactiveThreshold: replayInactive,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.span.First,
		Metadata: map[string]string{
			metaFirst: strconv.FormatUint(s.span.First, 10), metaLast: strconv.FormatUint(s.span.Last, 10),
		},
	}
	stream.SetFilters(&config, s.filter)
	return s.link.JetStream().CreateConsumer(ctx, s.options.Stream, config)
}

// info asks the server about a consumer, for no longer than a confirmation may take.
func (s *source) info(ctx context.Context, name string) (*jetstream.ConsumerInfo, error) {
	bounded, cancel := context.WithTimeout(ctx, s.options.Confirm)
	defer cancel()
	consumer, err := s.link.JetStream().Consumer(bounded, s.options.Stream, name)
	if err != nil {
		return nil, err
	}
	return consumer.CachedInfo(), nil
}

// finished tells that nothing up to the end is without its own end: messages that went back with
// a delay count as pending.
func (s *source) finished(info *jetstream.ConsumerInfo) bool {
	return info.NumAckPending == 0 && (info.NumPending == 0 || info.Delivered.Stream >= s.span.Last)
}
