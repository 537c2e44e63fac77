package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc/panics"
	"go.uber.org/zap"

	"forager/enrich"
	"forager/pipeline/deadletter"
	"forager/pipeline/journal"
)

// errDeadLetter says that a letter was not stored; the message stays in the stream.
var errDeadLetter = errors.New("dead letter not stored")

// finishPart gives a part its result; with a message's last part the message is settled.
func (w *Worker) finishPart(p *part, err error, took time.Duration) {
	if p.finish(err, took) {
		w.finished <- p.of
	}
}

// settleAll settles messages until ctx ends, which is after the last was let go. Many run side
// by side, since each waits for the server's confirmation.
func (w *Worker) settleAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-w.finished:
			w.settleSafely(ctx, m)
		}
	}
}

// settleSafely keeps an observer's panic from holding a message for ever: unsettled, it comes again.
func (w *Worker) settleSafely(ctx context.Context, m *message) {
	var caught panics.Catcher
	caught.Try(func() {
		defer m.endSpan()
		w.settle(ctx, m)
	})
	if r := caught.Recovered(); r != nil {
		w.options.Log.Error("settle", zap.Error(r.AsError()))
	}
	w.senders.leave(m)
	w.inflight.release(m)
	if m.carried != nil {
		w.holding.count(m.carried.Place.Hash, -1, time.Time{})
	}
	m.probe.end(m.met.Load())
}

// settle carries out the verdict on one message.
func (w *Worker) settle(ctx context.Context, m *message) {
	err := m.conclude()
	class := enrich.ClassOf(err)
	known, spared := w.learn(m, err, class)
	judged := class
	if spared {
		judged = enrich.Throttled // it comes back as those do that are asked to, and is no nearer to its end
	}
	verdict := w.options.Policy.Settle(Attempt{
		Class: judged, Deliveries: m.deliveries, Tries: known.tries, Age: w.gate.clock() - known.since,
		RetryAfter: retryAfter(err), Rand: rand.Float64(),
	})
	s := w.settlement(m, known.tries, err, verdict)
	w.carryOut(ctx, m, &s)
	if s.Action != ActionNak {
		w.inflight.progress()
	}
}

// learn remembers what an unfinished message has reached, and counts a failed apply that was its own
// matter; one that was not spares the message. What its organisation refuses is tried anew when it does not
// any more.
func (w *Worker) learn(m *message, err error, class enrich.Class) (known record, spared bool) {
	if class == enrich.None || class == enrich.Dropped || class != enrich.Transient && !m.reached() {
		return w.unfinished.recall(m.sequence, m.stored), false
	}
	now := w.gate.clock()
	known = w.unfinished.change(m.sequence, m.stored, func(r *record) {
		for i := range m.parts {
			if p := &m.parts[i]; isFinal(p.err) {
				r.results[p.index] = p.err
			}
		}
		if _, refused := errors.AsType[*enrich.OrganisationError](err); refused {
			r.tries = 0
		}
		if class != enrich.Transient {
			return
		}
		if spared = !w.gate.charges(r.lastFailed(m), err); !spared {
			if r.tries++; r.tries == 1 {
				r.since = now
			}
		}
		r.failed = w.now()
	})
	return known, spared
}

// lastFailed is when an apply of a message failed last; of one that did not fail here, when it came.
func (r *record) lastFailed(m *message) time.Time {
	if r.failed.IsZero() {
		return m.arrived
	}
	return r.failed
}

// reached tells whether any part has its final result.
func (m *message) reached() bool {
	return slices.ContainsFunc(m.parts, func(p part) bool { return isFinal(p.err) })
}

// isFinal tells whether a part need not be applied again.
func isFinal(err error) bool {
	c := enrich.ClassOf(err)
	return c == enrich.None || c == enrich.Dropped || c == enrich.Rejected || c == enrich.Malformed
}

// carryOut does what the verdict says; s says in the end what became of it.
func (w *Worker) carryOut(ctx context.Context, m *message, s *Settlement) {
	if s.Action == ActionDeadLetter {
		w.storeDeadLetter(ctx, m, s)
	}
	if s.Action == ActionAck {
		w.acknowledge(ctx, m, s)
	}
	if s.Action == ActionNak {
		w.putBack(m, s)
	}
	if s.Reason == reasonUnconfirmed {
		w.options.Observer.Noticed(NoticeUnconfirmed)
	} else if s.Action != ActionNak {
		w.unfinished.forget(m.sequence)
		w.senders.ended(m, s.Class, s.Reason)
	}
	m.describe(s)
	w.options.Observer.Settled(*s)
	w.write(s)
}

// reasonUnconfirmed is the reason of a message that comes again because the server did not
// confirm its ack or term; what it did is remembered, and not done again here.
const reasonUnconfirmed = "unconfirmed"

// acknowledge asks for a confirmation. Without one the message comes again, finds all its parts
// done, and is acknowledged then.
func (w *Worker) acknowledge(ctx context.Context, m *message, s *Settlement) {
	bounded, cancel := context.WithTimeout(ctx, w.options.Confirm)
	defer cancel()
	if err := w.note(bounded, m, s); err != nil {
		w.rememberDone(m)
		w.unnoted(m, s, err)
		return
	}
	if err := m.settle().DoubleAck(bounded); err != nil {
		w.rememberDone(m)
		w.unconfirmed(s, err)
	}
}

// note writes a settlement into the journal, where there is one.
func (w *Worker) note(ctx context.Context, m *message, s *Settlement) error {
	if w.options.Journal == nil {
		return nil
	}
	e := journal.Entry{
		Stream: m.stream, Sequence: m.sequence, Stored: m.stored.UTC(), Outcome: journal.Acknowledged, Dropped: s.Dropped, Plans: s.Plans,
		Waits: s.Waits, Digest: journal.Digest(m.msg.Data()), Worker: w.options.Worker, Time: w.now().UTC(),
	}
	switch {
	case s.Action == ActionDeadLetter:
		e.Outcome, e.Reason = journal.DeadLetter, s.Reason
	case s.Waits > 0:
		e.Outcome = journal.Waits
	case s.Class == enrich.Dropped:
		e.Outcome, e.Reason = journal.Dropped, s.Reason
	}
	for i := range m.parts {
		if n := m.parts[i].in.Number; n != 0 && !slices.Contains(e.Cases, n) {
			e.Cases = append(e.Cases, n)
		}
	}
	return w.options.Journal.Write(ctx, e)
}

// reasonUnnoted is the reason of a message that comes again because the journal does not take its line.
const reasonUnnoted = "journal not written"

// unnoted puts a message back whose settlement the journal does not take.
func (w *Worker) unnoted(m *message, s *Settlement, err error) {
	s.Action, s.Class, s.Reason, s.Err = ActionNak, enrich.Blocked, reasonUnnoted, err
	s.Delay = w.options.Policy.Blocked.After(m.deliveries, rand.Float64())
}

// rememberDone keeps all results of a message that cannot be acknowledged now.
func (w *Worker) rememberDone(m *message) {
	w.unfinished.change(m.sequence, m.stored, func(r *record) {
		for i := range m.parts {
			r.results[m.parts[i].index] = m.parts[i].err
		}
	})
}

func (w *Worker) unconfirmed(s *Settlement, err error) {
	s.Action, s.Class, s.Reason = ActionNak, enrich.Transient, reasonUnconfirmed
	s.Err = fmt.Errorf("confirm: %w", w.link.Explain(err))
	s.Delay = 0
}

// putBack naks. It is not confirmed: a lost one costs AckWait.
func (w *Worker) putBack(m *message, s *Settlement) {
	msg := m.settle()
	if s.Delay <= 0 {
		_ = msg.Nak()
		return
	}
	w.inflight.returning.add(w.now(), s.Delay)
	if s.Reason == reasonHeld {
		w.senders.putBack(s.Delay)
	}
	if name, crowded := w.organisations.putBack(s.Err, s.Delay, w.mostPending()); crowded {
		w.tellCrowded(name)
	}
	_ = msg.NakWithDelay(s.Delay)
}

// storeDeadLetter stores the dead letter, then terminates the message. While the gate is closed nothing that
// TheHive decided becomes one, since the fault is likely not the message's; but where the dead letters
// themselves closed it, one that can be stored opens it. What cannot be read never can.
func (w *Worker) storeDeadLetter(ctx context.Context, m *message, s *Settlement) {
	open, reason, _, _ := w.gate.state()
	if !open && s.Class != enrich.Malformed && (reason != reasonLetters || m.probe == nil) {
		w.leaveFor(m, s, "gate closed")
		return
	}
	if s.Class == enrich.Rejected {
		if _, stays := w.senders.stays(m, w.mostPending()); stays {
			w.unfinished.forget(m.sequence) // tried anew, once what TheHive refuses is mended
			w.leaveFor(m, s, reasonHeld)
			return
		}
	}
	dead := w.deadLetter(m, s)
	w.prove(ctx, &dead)
	bounded, cancel := context.WithTimeout(ctx, w.options.Confirm)
	defer cancel()
	if err := w.dead.Store(bounded, dead); err != nil {
		w.notStored(m, s, err)
		return
	}
	if !open && reason == reasonLetters {
		w.gate.open()
	}
	if err := w.note(bounded, m, s); err != nil {
		w.unnoted(m, s, err)
		return
	}
	if err := w.terminate(ctx, m.settle()); err != nil {
		w.unconfirmed(s, err)
	}
}

// deadLetter is what is stored of a message that is given up.
func (w *Worker) deadLetter(m *message, s *Settlement) deadletter.Message {
	dead := deadletter.Message{
		Reason: s.Reason, Class: s.Class.String(), Attempts: s.Deliveries, Format: s.Format, Subject: s.Subject,
		Stream: m.stream, Sequence: m.sequence, Stored: m.stored, Time: m.original(), Died: w.now(),
		Worker: w.options.Worker, Requeued: m.requeued, Header: m.msg.Headers(), Body: m.msg.Data(),
	}
	if e, ok := errors.AsType[*enrich.RejectedError](s.Err); ok && len(e.Items) > 0 {
		dead.Step, dead.Status = e.Items[0].Step, e.Items[0].Status
	}
	if s.Err != nil {
		dead.Detail = s.Err.Error()
	}
	return dead
}

// leaveFor keeps a message in the stream that would have become a dead letter.
func (w *Worker) leaveFor(m *message, s *Settlement, reason string) {
	s.Action, s.Class, s.Reason = ActionNak, enrich.Blocked, reason
	s.Delay = w.options.Policy.Blocked.After(m.deliveries, rand.Float64())
}

// notStored keeps the message in the stream.
func (w *Worker) notStored(m *message, s *Settlement, err error) {
	policy := w.options.Policy
	s.Action, s.Class, s.Err = ActionNak, enrich.Blocked, fmt.Errorf("%w: %w (wanted for: %w)", errDeadLetter, err, s.Err)
	if errors.Is(err, deadletter.ErrTooLarge) {
		s.Reason, s.Delay = "dead letter does not fit", policy.Transient.Last
		w.options.Observer.Noticed(NoticeLetterLost)
		return
	}
	s.Reason, s.Delay = reasonLetters, policy.Blocked.After(m.deliveries, rand.Float64())
	w.gate.close(reasonLetters, err)
}

// terminate ends a message with a confirmation; the client's own Term has none.
func (w *Worker) terminate(ctx context.Context, msg jetstream.Msg) error {
	bounded, cancel := context.WithTimeout(ctx, w.options.Confirm)
	defer cancel()
	if held, was := msg.(*heldMsg); was {
		return held.DoubleAck(bounded)
	}
	if _, err := w.link.Conn().RequestWithContext(bounded, msg.Reply(), []byte("+TERM")); err != nil {
		return fmt.Errorf("term: %w", err)
	}
	return nil
}
