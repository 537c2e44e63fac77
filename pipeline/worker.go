package pipeline

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"forager/pipeline/deadletter"
	"forager/pipeline/stream"
)

// Worker carries messages from one durable consumer to their settlements. It is made by [New],
// and [Worker.Run] is called once.
type Worker struct {
	link    *stream.Link
	options Options
	decoder Decoder
	planner Planner
	applier Applier
	now     func() time.Time

	inflight   *inFlight
	group      *group
	gate       *gate
	unfinished *unfinished
	failing    *failing
	senders    *senders
	dead       *deadletter.Queue
	requeues   *requeueKeys
	tracing    *tracing
	finished   chan *message
	runners    Tasks      // the applies
	fatal      chan error // a panic that ends the worker

	holding       *holding
	organisations *organisations
	asking        sync.Mutex // held while TheHive is asked because applies fail

	terms     terms
	readiness readiness
	warned    warned
}

// New makes a worker. It makes no call; an error wraps [ErrOptions].
func New(link *stream.Link, options Options, decoder Decoder, planner Planner, applier Applier) (*Worker, error) {
	o := options.WithDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Replan == nil {
		o.Replan = planner
	}
	if o.Source == nil {
		o.Source = &live{link: link, options: o}
	}
	w := &Worker{
		link: link, options: o, decoder: decoder, planner: planner, applier: applier, now: time.Now,
		group: newGroup(o), unfinished: newUnfinished(rememberedPerHeld * o.MaxInFlight),
		failing: newFailing(o.KeyBlocked, o.MaxInFlight), dead: deadletter.Open(link, o.DeadLetters), requeues: newRequeueKeys(link, o),
		tracing:  newTracing(o.Tracer, o.Stream, o.Consumer),
		finished: make(chan *message, o.MaxInFlight), fatal: make(chan error, 1),
		terms: terms{changed: make(chan struct{}, 1)}, readiness: readiness{trouble: "not started"},
	}
	w.inflight = newInFlight(o, w.group.count, time.Now)
	w.gate = newGate(o, w.now, w.gateChanged)
	w.senders = newSenders(o, w.now, w.senderChanged)
	w.senders.listens(o.Subjects)
	w.runners.Failed = w.fell
	w.holding = newHolding(link, o)
	w.organisations = newOrganisations(o, w.now, w.breakerChanged)
	w.terms.beat.Store(int64(o.AckWait / 3))
	return w, nil
}

// rememberedPerHeld messages that could not be settled are remembered for each that may be held.
const rememberedPerHeld = 8

// Run consumes until ctx ends, then hands everything back: messages whose key has no apply
// running go back at once, running applies may end within their time-out, and what is not done
// after Options.Drain is abandoned, to be redelivered after AckWait. It returns nil after a
// stop, and an error only when it can never consume: when the connection is closed for good, or
// after a panic in what all messages need.
func (w *Worker) Run(ctx context.Context) error {
	beside := Tasks{Failed: w.fell}
	lasting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	working, end := context.WithCancel(ctx)
	defer end()
	for range w.options.ackers() {
		beside.Go("settle", func() { w.settleAll(lasting) })
	}
	beside.Go("heartbeats", func() { w.heartbeats(lasting) })
	beside.Go("carry on", func() { w.carryOn(working) })
	var fallen error
	beside.Go("watch", func() {
		select {
		case fallen = <-w.fatal:
			end()
		case <-lasting.Done():
		}
	})
	begin := Tasks{Failed: w.fell}
	begin.Go("dispatch", func() { w.dispatch(working) })
	err := w.consume(working)
	fell := working.Err() != nil && ctx.Err() == nil
	w.readiness.stop()
	end()
	_ = begin.Wait() // its error was told
	w.handBack(fell)
	stop()
	_ = beside.Wait() // its error was told, and is fallen
	if ferr := w.link.Conn().FlushTimeout(w.options.Confirm); ferr != nil && err == nil && w.link.Connected() {
		w.options.Log.Warn("last answers may be lost", zap.Error(ferr))
	}
	return errors.Join(err, fallen)
}

// fell ends the worker after a panic that is no message's.
func (w *Worker) fell(err error) {
	w.options.Log.Error("a panic ends the worker", zap.Error(err))
	select {
	case w.fatal <- err:
	default:
	}
}

// handBack gives back what waits, and lets applies end within their time. After a panic nobody may
// be there to settle what they have done: it comes again.
func (w *Worker) handBack(fell bool) {
	waiting := w.group.stop()
	if fell {
		return
	}
	w.giveBack(waiting, errStopped)
	if w.drain() {
		_ = w.runners.Wait() // its error was told
	} else {
		w.options.Observer.Noticed(NoticeAbandoned)
		w.options.Log.Warn("applies did not end in time; their messages come again", zap.Duration("drain", w.options.Drain))
	}
}

// drain waits until nothing is held, and tells whether that was within the time. The runners
// are awaited by what they hold: an apply that never returns must not keep the process.
func (w *Worker) drain() bool {
	late := time.NewTimer(w.options.Drain)
	defer late.Stop()
	for {
		if held, _ := w.inflight.count(); held == 0 {
			return true
		}
		select {
		case <-w.inflight.freed:
		case <-late.C:
			return false
		}
	}
}

// take begins with a message that has arrived. It returns at once, so that messages never wait
// where no heartbeat reaches them. A probe ends with the message's verdict.
func (w *Worker) take(ctx context.Context, msg jetstream.Msg, probe *probe) {
	m, err := w.read(msg)
	if err != nil {
		w.options.Log.Error("message without JetStream's reply subject", zap.Error(err))
		probe.end(false)
		return
	}
	w.begin(ctx, m, probe)
}

// begin begins with a message, and tells whether it was not in hand already.
func (w *Worker) begin(ctx context.Context, m *message, probe *probe) bool {
	m.probe = probe
	if !w.inflight.take(m) {
		probe.end(false)
		return false
	}
	w.tracing.begin(ctx, m)
	w.decode(ctx, m)
	if len(m.parts) == 0 || w.refuse(m) {
		w.finished <- m
		return true
	}
	if !w.group.add(m) {
		m.refused(errStopped)
		w.finished <- m
	}
	return true
}

// refuse gives a message its error without an apply, when a key of it is blocked or full, or its
// sender is held up.
func (w *Worker) refuse(m *message) bool {
	now := w.gate.clock()
	for i := range m.parts {
		if queue := m.parts[i].queue; !m.tried && w.failing.blocked(queue, now) {
			m.refused(errKeyBlocked)
			return true
		}
	}
	if reason, waits := w.senders.enter(m, w.mostPending()); waits {
		m.refused(&heldError{reason: reason})
		return true
	}
	delay, full := w.group.overflow(m, w.now())
	if !full {
		return false
	}
	w.options.Observer.Noticed(NoticeOverflow)
	w.tellHot(m.queue)
	m.refused(&overflowError{delay: delay})
	return true
}

// tellHot says, at most once a minute, that half of what may be unacknowledged waits for a key.
func (w *Worker) tellHot(queue string) {
	now := w.now()
	if w.group.waitingBack(queue, now) < w.mostPending()/2 || !w.warned.hotKey(now) {
		return
	}
	w.options.Observer.Noticed(NoticeKeyHot)
	w.options.Log.Warn("half of what may be unacknowledged waits for one key", zap.String("queue", queue))
}

// Held is how many messages, and bytes of their bodies, are in hand.
func (w *Worker) Held() (messages, bytes int) { return w.inflight.count() }

// isBound notes whether messages may come, and logs a trouble when it is new.
func (w *Worker) isBound(err error) {
	if !w.readiness.bind(err) {
		return
	}
	if err != nil {
		w.options.Log.Error("cannot consume", zap.Error(err))
		return
	}
	w.options.Log.Info("consuming", zap.String("stream", w.options.Stream), zap.String("consumer", w.options.Consumer))
}
