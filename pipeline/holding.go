package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc/panics"
	"go.uber.org/zap"

	"forager/enrich"
	"forager/enrich/threshold"
	"forager/pipeline/hold"
	"forager/pipeline/kvledger"
	"forager/pipeline/stream"
	"forager/retry"
)

// A part whose plan has a threshold is judged before it is applied: it passes, or a copy of its message is held and the message is
// acknowledged as far as it is concerned. What was held comes back as a message of its own kind: with the bytes,
// the place in the stream and the times of the first delivery, for those parts alone.

// errWaits is the result of a part that is held below its threshold. It is final for the message, which says so as Waits, not as Dropped.
var errWaits error = &enrich.DroppedError{Reason: "waits below threshold"}

// Thresholds are the keys of thresholds of which something waits, or had a case lately, and how many thresholds were met
// here.
func (w *Worker) Thresholds() (keys int, met uint64) {
	return w.holding.keeper.Waiting(), w.holding.keeper.Fired()
}

// HeldBelow is how full the stream is of what waits below thresholds. Nothing is asked as long as nothing waits. Errors:
// those of [hold.Stream.Fill].
func (w *Worker) HeldBelow(ctx context.Context) (hold.Fill, error) {
	if w.holding.keeper.Waiting() == 0 {
		return hold.Fill{}, nil
	}
	return w.holding.copies.Fill(ctx)
}

// holding is what a worker has to do with thresholds.
type holding struct {
	keeper *hold.Keeper
	ledger *kvledger.Ledger
	copies *hold.Stream
	lost   time.Duration // between two looks for copies that nobody names, while there are some

	mu    sync.Mutex
	hands map[string]*hand // by entry
}

// hand is what of an entry this worker carries.
type hand struct {
	messages int
	rests    time.Time     // until when nothing more of it is taken
	taking   chan struct{} // not nil: somebody takes what goes on
}

func newHolding(link *stream.Link, o Options) *holding {
	ledger := kvledger.New(link, kvledger.Options{Bucket: o.Bucket, Timeout: o.Confirm})
	copies := hold.Open(link, o.Topology)
	return &holding{
		keeper: hold.NewKeeper(ledger, copies, nats.NewInbox()), ledger: ledger, copies: copies, lost: firstLost, hands: map[string]*hand{},
	}
}

// take lets the caller alone take what of an entry goes on, where nothing of it is carried and it does not rest; who may gives it back by
// taken. Two may want one at a time: who looks at all, and who applies the message that met the threshold. others is closed when the other
// has taken what there was, which is in the queue then; nil: nobody takes.
func (h *holding) take(hash string, now time.Time) (mine bool, others <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.hand(hash)
	switch {
	case of.taking != nil:
		return false, of.taking
	case of.messages > 0 || of.rests.After(now):
		return false, nil
	}
	of.taking = make(chan struct{})
	return true, nil
}

// taken ends what take allowed.
func (h *holding) taken(hash string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.hands[hash]
	close(of.taking)
	of.taking = nil
	h.forget(hash, of)
}

// count notes that a message more, or less, of an entry is carried, and until when it rests.
func (h *holding) count(hash string, messages int, rests time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.hand(hash)
	of.messages += messages
	if rests.After(of.rests) {
		of.rests = rests
	}
	h.forget(hash, of)
}

// hand is what this worker has of an entry, which may be nothing yet. Called under the lock, as forget is.
func (h *holding) hand(hash string) *hand {
	of := h.hands[hash]
	if of == nil {
		of = &hand{}
		h.hands[hash] = of
	}
	return of
}

// forget forgets an entry of which there is nothing to say.
func (h *holding) forget(hash string, of *hand) {
	if of.messages == 0 && of.taking == nil && of.rests.Before(time.Now()) {
		delete(h.hands, hash)
	}
}

// admit judges the parts of a batch that have a threshold, and gives those that may be applied.
func (w *Worker) admit(ctx context.Context, q *queue, batch []*part) []*part {
	var asked []*part
	for _, p := range batch {
		if p.waits {
			asked = append(asked, p)
		}
	}
	if len(asked) == 0 {
		return batch
	}
	var caught panics.Catcher
	caught.Try(func() { w.judgeWaiting(ctx, asked) })
	if r := caught.Recovered(); r != nil {
		w.options.Observer.Noticed(NoticePanic)
		for _, p := range asked {
			w.finishPart(p, fmt.Errorf("threshold: %w", r.AsError()), 0)
		}
	}
	passed := slices.DeleteFunc(batch, func(p *part) bool { return p.waits })
	if len(passed) > 0 && len(asked) > 0 {
		passed = append(passed, w.joinHeld(ctx, q, passed, asked)...)
	}
	return passed
}

// judgeWaiting gives each part its result, or lets it pass.
func (w *Worker) judgeWaiting(ctx context.Context, asked []*part) {
	asked = w.passOpened(ctx, asked)
	arrived := make([]hold.Arrival, len(asked))
	for i, p := range asked {
		arrived[i] = p.arrival()
	}
	for i, o := range w.holding.keeper.Admit(ctx, arrived) {
		p := asked[i]
		switch {
		case o.Err != nil:
			w.notHeld(o.Err)
			w.finishPart(p, o.Err, 0)
		case o.Verdict == threshold.Pass:
			p.waits = false
		case o.Verdict == threshold.Below:
			w.finishPart(p, &enrich.DroppedError{Reason: enrich.ReasonBelow, Detail: p.plan.Threshold.Words}, 0)
		default:
			p.stays()
			w.finishPart(p, errWaits, 0)
		}
	}
}

// notHeld tells what people should know of.
func (w *Worker) notHeld(err error) {
	if errors.Is(err, hold.ErrFull) || errors.Is(err, hold.ErrTooLarge) {
		w.options.Observer.Noticed(NoticeHoldFull)
	}
}

// passOpened lets pass for which a case is open, and gives the others.
func (w *Worker) passOpened(ctx context.Context, asked []*part) []*part {
	if w.options.Opened == nil {
		return asked
	}
	opened, err := w.options.Opened(ctx, plansOfWaiting(asked))
	if err != nil {
		for _, p := range asked {
			w.finishPart(p, err, 0)
		}
		return nil
	}
	var rest []*part
	for i, p := range asked {
		if opened[i] {
			p.waits = false
		} else {
			rest = append(rest, p)
		}
	}
	return rest
}

func plansOfWaiting(parts []*part) []enrich.Plan {
	plans := make([]enrich.Plan, len(parts))
	for i, p := range parts {
		plans[i] = *p.plan
	}
	return plans
}

// arrival is the part as thresholds see it.
func (p *part) arrival() hold.Arrival {
	m := p.of
	msg := m.delivery()
	held := &hold.Message{Stream: m.stream, Sequence: m.sequence, Stored: m.stored, Subject: msg.Subject(), Header: msg.Headers(), Body: msg.Data()}
	due := m.carried != nil && m.carried.Due && p.plan.Threshold.Hash == m.carried.Place.Hash
	return hold.Arrival{Message: held, Part: p.index, At: p.plan.At, Threshold: p.plan.Threshold, Due: due}
}

// stays notes that a part that was held is held in the same place again.
func (p *part) stays() {
	if c := p.of.carried; c != nil && c.Place.Hash == p.plan.Threshold.Hash {
		p.of.mu.Lock()
		defer p.of.mu.Unlock()
		c.staying = append(c.staying, p.index)
	}
}

// joinHeld brings what was held for parts that pass now, so that it goes into the case with them: the case begins with
// the first of them.
func (w *Worker) joinHeld(ctx context.Context, q *queue, batch, asked []*part) []*part {
	if !w.options.Carries {
		return nil
	}
	hashes := map[string]bool{}
	for _, p := range asked {
		if hash := p.plan.Threshold.Hash; !p.waits && p.of.carried == nil && !hashes[hash] {
			hashes[hash] = true
			w.carryEntry(ctx, hash, time.Time{})
		}
	}
	if batch[0].of.alone || isProbe(batch) {
		return nil
	}
	return w.again(w.group.joining(q, batch))
}

// carryOn takes what was held on its way, as long as ctx lasts: nothing until something was held.
func (w *Worker) carryOn(ctx context.Context) {
	if !w.options.Carries {
		return
	}
	for _, err := range w.holding.ledger.Written(ctx, hold.KeyPrefix) {
		if err == nil {
			w.holding.keeper.Use() // since before this process began
		}
		break
	}
	select {
	case <-ctx.Done():
		return
	case <-w.holding.keeper.Used():
	}
	beside := Tasks{Failed: w.fell}
	beside.Go("follow what waits", func() { w.followWaiting(ctx) })
	beside.Go("look for what nobody names", func() { w.carryLost(ctx) })
	w.carryAll(ctx)
	_ = beside.Wait() // its error was told
}

// followWaiting keeps up with the ledger, again and again.
func (w *Worker) followWaiting(ctx context.Context) {
	pauses := retry.Backoff{First: time.Second, Last: 30 * time.Second}.Pauses()
	for ctx.Err() == nil {
		if err := w.holding.keeper.Follow(ctx, w.holding.ledger); err != nil && ctx.Err() == nil {
			w.options.Log.Debug("follow what waits", zap.Error(err))
		}
		pauses.Wait(ctx)
	}
}

// Between two looks at what waits.
const (
	lookWaiting = time.Second
	askWorked   = 5 * time.Second
	lookLost    = 15 * time.Minute
	firstLost   = time.Minute
	flushTotals = 10 * time.Second
)

// carryAll carries what passed, and what is over, entry after entry.
func (w *Worker) carryAll(ctx context.Context) {
	look := time.NewTicker(lookWaiting)
	defer look.Stop()
	var worked, asked, flushed time.Time
	defer func() { _ = w.holding.keeper.Flush(context.WithoutCancel(ctx)) }() // what fails is lost: they are counted about
	for {
		hashes, late := w.holding.keeper.Next(worked)
		if late && time.Since(asked) >= askWorked {
			asked = time.Now()
			if until, err := stream.WorkedUntil(ctx, w.link, w.options.Topology); err == nil {
				worked = until
			}
		}
		if time.Since(flushed) >= flushTotals {
			flushed = time.Now()
			_ = w.holding.keeper.Flush(ctx) // what fails is counted the next time
		}
		for _, hash := range hashes {
			if open, _, _, _ := w.gate.state(); !open || ctx.Err() != nil {
				break
			}
			w.carryEntry(ctx, hash, worked)
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		case <-w.holding.keeper.Changed():
		}
	}
}

// carryEntry takes what of an entry goes on, or waits until another has taken it.
func (w *Worker) carryEntry(ctx context.Context, hash string, worked time.Time) {
	if !w.hasRoom() {
		return
	}
	mine, others := w.holding.take(hash, time.Now())
	if !mine {
		if others != nil {
			select {
			case <-others:
			case <-ctx.Done():
			}
		}
		return
	}
	defer w.holding.taken(hash)
	taken, err := w.holding.keeper.Take(ctx, hash, worked)
	if err != nil && ctx.Err() == nil {
		w.options.Log.Warn("what waits below a threshold cannot be taken", zap.Error(err))
		w.holding.count(hash, 0, time.Now().Add(askWorked))
	}
	for _, t := range taken {
		w.carry(ctx, t)
	}
}

// hasRoom tells whether more may be in hand.
func (w *Worker) hasRoom() bool {
	held, bytes := w.inflight.count()
	return held < w.options.MaxInFlight && bytes < w.options.MaxBytesHeld
}

// carryLost carries copies that nobody names.
func (w *Worker) carryLost(ctx context.Context) {
	var seen map[hold.Place]bool
	for wait := w.holding.lost; retry.Wait(ctx, retry.Jitter(wait)); {
		lost, now, err := w.holding.keeper.Lost(ctx, seen)
		if err != nil && ctx.Err() == nil {
			w.options.Log.Debug("look for what nobody names", zap.Error(err))
		}
		if wait = lookLost; len(now) > 0 {
			wait = w.holding.lost
		}
		seen = now
		for _, t := range lost {
			if w.hasRoom() {
				w.carry(ctx, t)
			}
		}
	}
}

// carried is a message that was held.
type carried struct {
	hold.Taken
	staying []int // parts that are held in the same place again
}

// carry begins with a message that was held, as take does with one of the stream.
func (w *Worker) carry(ctx context.Context, t hold.Taken) {
	m := &message{
		position: position{
			stream: t.Message.Stream, sequence: t.Message.Sequence, place: t.Place.String(), deliveries: 1,
			stored: t.Message.Stored, arrived: w.now(), bytes: len(t.Message.Body) + headerBytes(t.Message.Header),
		},
		carried: &carried{Taken: t},
	}
	m.msg = &heldMsg{worker: w, of: m}
	w.holding.count(t.Place.Hash, 1, time.Time{})
	if !w.begin(ctx, m, nil) {
		w.holding.count(t.Place.Hash, -1, time.Time{})
	}
}

// heldMsg stands for the delivery of a message that was held: what the pipeline answers to the stream, it answers to the keeper.
type heldMsg struct {
	worker *Worker
	of     *message
}

var _ jetstream.Msg = (*heldMsg)(nil)

// Metadata is that of the first delivery.
func (h *heldMsg) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Stream: h.of.stream, Sequence: jetstream.SequencePair{Stream: h.of.sequence}, NumDelivered: 1, Timestamp: h.of.stored}, nil
}

// Data, Headers and Subject are the message's own.
func (h *heldMsg) Data() []byte { return h.of.carried.Message.Body }

// Headers are the message's own.
func (h *heldMsg) Headers() nats.Header { return h.of.carried.Message.Header }

// Subject is the message's own.
func (h *heldMsg) Subject() string { return h.of.carried.Message.Subject }

// Reply is nowhere: nobody waits for an answer.
func (h *heldMsg) Reply() string { return "" }

// Ack is not used: only what is confirmed counts.
func (h *heldMsg) Ack() error { return nil }

// DoubleAck removes the copy, and waits until that is sure.
func (h *heldMsg) DoubleAck(ctx context.Context) error {
	t := h.of.carried
	done := slices.DeleteFunc(slices.Clone(t.Parts), func(part int) bool { return slices.Contains(t.staying, part) })
	return h.worker.holding.keeper.Settled(ctx, t.Place, done...)
}

// Nak leaves the copy: it is taken again.
func (h *heldMsg) Nak() error { return h.NakWithDelay(0) }

// NakWithDelay leaves the copy for a while.
func (h *heldMsg) NakWithDelay(delay time.Duration) error {
	h.worker.holding.count(h.of.carried.Place.Hash, 0, time.Now().Add(delay))
	return nil
}

// InProgress has nothing to say: nobody else waits for the message.
func (h *heldMsg) InProgress() error { return nil }

// Term is DoubleAck: the message is a dead letter.
func (h *heldMsg) Term() error { return nil }

// TermWithReason is Term.
func (h *heldMsg) TermWithReason(string) error { return nil }
