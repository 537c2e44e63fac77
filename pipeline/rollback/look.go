package rollback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// sight is what one look saw.
type sight struct {
	stream, ledger End
	first          uint64 // of the stream
	floor          uint64 // up to which everything is settled; 0 where that is unknown
	delivered      uint64
	idle           bool   // nothing moved: consumer and entry were not read
	reconnects     uint64 // of the connection, before it
	mirror         *jetstream.StreamSourceInfo
	gone           []Incident
}

// look asks the servers. Who sees that nothing moved asks for no more than that: see [Watch.idle].
func (w *Watch) look(ctx context.Context) (s sight, err error) {
	s.reconnects = w.link.Conn().Stats().Reconnects
	if err := w.lookAtStream(ctx, &s); err != nil {
		return s, err
	}
	t := w.options.Topology
	bucket, err := w.link.JetStream().Stream(ctx, bucketPrefix+t.Bucket)
	if err != nil {
		return s, fmt.Errorf("look at bucket %s: %w", t.Bucket, w.link.Explain(err))
	}
	s.ledger = endOf(bucket.CachedInfo())
	if s.idle = w.idle(s.stream); s.idle {
		s.floor, s.delivered = w.floor, w.delivered
		return s, nil
	}
	return s, w.lookAtConsumer(ctx, &s)
}

func (w *Watch) lookAtStream(ctx context.Context, s *sight) error {
	name := w.options.Topology.Stream
	of, err := w.link.JetStream().Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", name, w.link.Explain(err))
	}
	info := of.CachedInfo()
	s.stream, s.first, s.mirror = endOf(info), info.State.FirstSeq, info.Mirror
	return nil
}

// lookAtConsumer reads what it has reached. Where that lies behind the stream's end, the stream may have grown meanwhile: it
// is read again, since what a consumer has reached is in the stream by then.
func (w *Watch) lookAtConsumer(ctx context.Context, s *sight) error {
	t := w.options.Topology
	consumer, err := w.link.JetStream().Consumer(ctx, t.Stream, t.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || err != nil && stream.IsMissing(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at consumer %s: %w", t.Consumer, w.link.Explain(err))
	}
	info := consumer.CachedInfo()
	s.floor, s.delivered = info.AckFloor.Stream, max(info.Delivered.Stream, info.AckFloor.Stream)
	if s.delivered > s.stream.Last {
		return w.lookAtStream(ctx, s)
	}
	return nil
}

// bucketPrefix begins the name of the stream of a bucket.
const bucketPrefix = "KV_"

func endOf(info *jetstream.StreamInfo) End {
	seen := info.TimeStamp
	if seen.IsZero() { // servers before 2.10 do not say
		seen = time.Now()
	}
	return End{Made: info.Created.UTC(), Last: info.State.LastSeq, Stored: info.State.LastTime.UTC(), Seen: seen.UTC()}
}

// streamSince says what became of the stream since an end that is known.
func (w *Watch) streamSince(ctx context.Context, known End, s sight) (found []Incident, err error) {
	of := Incident{About: w.options.Topology.Stream, To: known.Last, Noticed: s.stream.Seen, Kind: StreamBack}
	switch judge(known, s.stream) {
	case fine:
		return nil, nil
	case anew:
		of.Kind, of.From, of.Count = StreamAnew, 1, known.Last
	case back:
		of.From, of.Since = s.stream.Last+1, s.stream.Stored
	case regrown:
		cut, since, is, err := w.regrown(ctx, known, s)
		if err != nil || !is {
			return nil, err
		}
		of.From, of.Since = cut+1, since
	}
	if of.Kind == StreamBack {
		of.Count = known.Last - of.From + 1
	}
	if floor := min(w.floor, known.Last); floor >= of.From {
		of.Settled = floor - of.From + 1
	}
	return []Incident{of}, nil
}

// regrown looks whether the message that was the last one still is what it was. If not, the first message that was
// stored after it says from where on sequences were used again: times only grow within a stream.
func (w *Watch) regrown(ctx context.Context, known End, s sight) (cut uint64, since time.Time, is bool, err error) {
	if known.Last <= s.stream.Last && !w.blind.Load() {
		stored, at, err := w.storedFrom(ctx, known.Last)
		if err != nil || at != known.Last || stored.Equal(known.Stored) {
			return 0, since, false, err // an anchor that was deleted tells nothing
		}
	}
	if w.blind.Load() { // what was used again is not seen
		return s.stream.Last, since, s.stream.Last < known.Last, nil
	}
	low := max(s.first, 1)
	high := min(known.Last, s.stream.Last)
	n := sort.Search(int(high-low+1), func(i int) bool {
		stored, _, failed := w.storedFrom(ctx, low+uint64(i))
		if failed != nil {
			err = failed
		}
		return failed != nil || stored.After(known.Stored)
	})
	if err != nil {
		return 0, since, false, err
	}
	cut = low + uint64(n) - 1
	if cut >= low {
		since, _, err = w.storedFrom(ctx, cut)
	}
	return cut, since, cut < known.Last, err
}

// storedFrom tells when the first message from a sequence on was stored, and its sequence; 0 is none. It asks the
// leader: another copy may lag.
func (w *Watch) storedFrom(ctx context.Context, sequence uint64) (stored time.Time, at uint64, err error) {
	asked, err := json.Marshal(struct {
		Sequence uint64 `json:"seq"`
		Next     string `json:"next_by_subj"`
	}{sequence, ">"})
	if err != nil {
		return stored, 0, fmt.Errorf("look at message %d: %w", sequence, err)
	}
	subject := w.reads()
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	answer, err := w.link.Conn().RequestWithContext(ctx, subject, asked)
	if err != nil {
		if w.link.Refused(subject) {
			w.blind.Store(true)
			return stored, 0, nil
		}
		return stored, 0, fmt.Errorf("look at message %d: %w", sequence, w.link.Explain(err))
	}
	var got struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Sequence uint64    `json:"seq"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		return stored, 0, fmt.Errorf("look at message %d: %w", sequence, err)
	}
	if got.Error != nil && got.Error.ErrorCode != jetstream.JSErrCodeMessageNotFound {
		return stored, 0, fmt.Errorf("look at message %d: %w", sequence, got.Error)
	}
	return got.Message.Time.UTC(), got.Message.Sequence, nil
}

// readWithin bounds one reading: one that is refused has no answer.
const readWithin = 2 * time.Second

// reads is the subject by which single messages are read.
func (w *Watch) reads() string { return w.link.API("STREAM.MSG.GET." + w.options.Topology.Stream) }

// ledgerSince says what became of the ledger since an end that is known. put is the lowest revision that a write got
// although a higher one was known; 0 is none.
func (w *Watch) ledgerSince(known End, s sight, put uint64) []Incident {
	of := Incident{Kind: LedgerBack, About: w.options.Topology.Bucket, To: known.Last, Noticed: s.ledger.Seen}
	switch {
	case known.Made.IsZero():
		return nil
	case !known.Made.Equal(s.ledger.Made):
		of.Kind, of.From, of.Count = LedgerAnew, 1, known.Last
		return []Incident{of}
	case put > 0 && put <= known.Last:
		of.From = put
	case s.ledger.Last < known.Last:
		of.From, of.AtMost = s.ledger.Last+1, s.ledger.Stored.After(known.Seen)
	default:
		return nil
	}
	if of.AtMost { // some were written since: from where on, nobody here knows
		of.From = 1
	}
	of.Count = known.Last - of.From + 1
	return []Incident{of}
}

// irregular is what is not as it should be at this moment.
func (w *Watch) irregular(s sight) (all []Incident) {
	if s.delivered > s.stream.Last {
		all = append(all, Incident{Kind: ConsumerOff, About: w.options.Topology.Stream, From: s.stream.Last + 1, To: s.delivered, Count: s.delivered - s.stream.Last, Noticed: s.stream.Seen})
	}
	if m := s.mirror; m != nil && (m.Lag > 0 || m.Active < 0 || m.Active > mirrorSilent) {
		all = append(all, Incident{Kind: MirrorLags, About: w.options.Topology.Stream, From: s.stream.Last + 1, Count: m.Lag, Noticed: s.stream.Seen})
	}
	return all
}

// mirrorSilent is how long a mirror may hear nothing of its origin, which sends a heartbeat every second when idle.
const mirrorSilent = 10 * time.Second
