package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Lag is how far behind the consumer is, as the server sees it: the same for all replicas.
type Lag struct {
	Pending    uint64 // messages that were never delivered
	AckPending uint64 // messages that were delivered and not answered
	AckLimit   uint64 // how many these may be: at so many nothing is delivered; 0 is no limit
	// Gone counts messages that left the stream before they were delivered, since [Meter] was made:
	// by its limits, by a purge, or deleted by hand. It is at least so many: a redelivery in the same moment
	// hides one. Where the consumer takes a part of the stream's subjects it is 0, since nobody can tell.
	Gone uint64

	Retention time.Duration // how long the stream keeps a message; 0 is no limit by age

	// Drift says where stream and consumer differ from the topology: somebody changed the configuration,
	// or them, and not the other. Empty where they do not.
	Drift string

	Letters      uint64 // dead letters that are stored
	LettersBytes uint64 // and their bytes
	LettersLimit uint64 // bytes that their stream takes; 0 is no limit
}

// Meter measures the [Lag] of a consumer. It is safe for concurrent use. It needs the permissions
// $JS.API.CONSUMER.INFO.<stream>.<consumer> and $JS.API.STREAM.INFO of the stream and of the
// dead-letter stream.
type Meter struct {
	link     *Link
	topology Topology

	mu   sync.Mutex
	gone gone
}

// NewMeter makes a meter for the stream, consumer and dead-letter stream of the topology. It makes no call.
func NewMeter(link *Link, topology Topology) *Meter {
	return &Meter{link: link, topology: topology.WithDefaults()}
}

// Measure asks the server. On an error, of NATS' client, nothing is counted and the next call goes on.
func (m *Meter) Measure(ctx context.Context) (Lag, error) {
	ctx, cancel := context.WithTimeout(ctx, APITimeout)
	defer cancel()
	stream, err := m.link.js.Stream(ctx, m.topology.Stream)
	if err != nil {
		return Lag{}, fmt.Errorf("measure stream %s: %w", m.topology.Stream, m.link.Explain(err))
	}
	consumer, err := m.link.js.Consumer(ctx, m.topology.Stream, m.topology.Consumer)
	if err != nil {
		return Lag{}, fmt.Errorf("measure consumer %s: %w", m.topology.Consumer, m.link.Explain(err))
	}
	letters, err := m.link.js.Stream(ctx, m.topology.DeadLetters)
	if err != nil {
		return Lag{}, fmt.Errorf("measure stream %s: %w", m.topology.DeadLetters, m.link.Explain(err))
	}
	c, l := consumer.CachedInfo(), letters.CachedInfo()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone.measure(stream.CachedInfo(), c)
	return Lag{
		Drift:     strings.Join(driftOf(m.topology, stream.CachedInfo(), c).sentences, "; "),
		Retention: stream.CachedInfo().Config.MaxAge,
		Pending:   c.NumPending, AckPending: uint64(max(c.NumAckPending, 0)), AckLimit: uint64(max(c.Config.MaxAckPending, 0)), Gone: m.gone.total,
		Letters: l.State.Msgs, LettersBytes: l.State.Bytes, LettersLimit: uint64(max(l.Config.MaxBytes, 0)),
	}, nil
}

// gone counts what left the stream undelivered. Sequences of the stream pass by delivery or because
// they are gone: what has passed, but for the deliveries of the same time, is gone.
type gone struct {
	mark, deliveries uint64 // of the last measurement
	made             int64  // when the stream was, Unix nanoseconds; 0 before the first measurement
	total            uint64
}

func (g *gone) measure(s *jetstream.StreamInfo, c *jetstream.ConsumerInfo) {
	made := s.Created.UnixNano()
	mark, deliveries := c.Delivered.Stream, c.Delivered.Consumer
	if s.State.FirstSeq > 0 {
		mark = max(mark, s.State.FirstSeq-1)
	}
	from, before := g.mark, g.deliveries
	if made != g.made || deliveries < before || mark < from { // the first look, or at another stream or consumer
		from, before = c.Delivered.Stream, deliveries
	}
	if TakesAll(s.Config.Subjects, c.Config) && mark > from {
		if passed, delivered := mark-from, deliveries-before; passed > delivered {
			g.total += passed - delivered
		}
	}
	g.mark, g.deliveries, g.made = mark, deliveries, made
}

// TakesAll tells whether a consumer takes every message of a stream with these subjects.
func TakesAll(subjects []string, c jetstream.ConsumerConfig) bool {
	filters := Filters(c)
	if len(filters) == 0 {
		return true
	}
	for _, s := range subjects {
		if !slices.Contains(filters, s) && !slices.Contains(filters, ">") {
			return false
		}
	}
	return len(subjects) > 0 // a mirror has none of its own
}

// Settled tells whether a consumer has ended with the message of a sequence: it was acknowledged or
// given up. It says so late where messages before it still wait.
func Settled(ctx context.Context, link *Link, t Topology, sequence uint64) (bool, error) {
	consumer, err := link.js.Consumer(ctx, t.Stream, t.Consumer)
	if err != nil {
		return false, fmt.Errorf("look at consumer %s: %w", t.Consumer, link.Explain(err))
	}
	info := consumer.CachedInfo()
	return info.AckFloor.Stream >= sequence || info.Delivered.Stream >= sequence && info.NumAckPending == 0, nil
}

// WorkedUntil is a time: of all that the stream stored until then, the consumer has nothing left. It is early where one message
// waits for long, and never late.
//
// Errors: of NATS' client.
func WorkedUntil(ctx context.Context, link *Link, t Topology) (time.Time, error) {
	bounded, cancel := context.WithTimeout(ctx, APITimeout)
	defer cancel()
	consumer, err := link.js.Consumer(bounded, t.Stream, t.Consumer)
	if err != nil {
		return time.Time{}, fmt.Errorf("look at consumer %s: %w", t.Consumer, link.Explain(err))
	}
	info := consumer.CachedInfo()
	if info.NumPending == 0 && info.NumAckPending == 0 {
		return info.TimeStamp, nil
	}
	from, err := link.js.Stream(bounded, t.Stream)
	if err != nil {
		return time.Time{}, fmt.Errorf("look at stream %s: %w", t.Stream, link.Explain(err))
	}
	oldest, err := from.GetMsg(bounded, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(">"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return info.TimeStamp, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("look at stream %s: %w", t.Stream, link.Explain(err))
	}
	return oldest.Time, nil
}
