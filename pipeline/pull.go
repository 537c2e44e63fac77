package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"forager/pipeline/stream"
)

// Timings of a pull.
const (
	pullHeartbeat  = 2 * time.Second
	stallAfter     = 15 * time.Second // without a message, the server is asked whether there are any
	closeWithin    = 2 * time.Second
	mostHeartbeats = 3 // missing in a row: bind again
)

// pulling says what one round pulls and when it ends early.
type pulling struct {
	messages int
	until    <-chan struct{} // the gate's: what comes after goes back; nil is never
	within   time.Duration   // 0 is without limit
	probe    *probe          // for the one message of a probe
}

// pull is one subscription that pulls a fixed number of messages: those that may be held. So
// no message waits in a buffer of the client, where its AckWait runs out, and none is withheld
// from another replica.
type pull struct {
	worker *Worker
	pulling
	last   atomic.Int64  // when a message came last, Unix nanoseconds
	taken  atomic.Bool   // one came
	enough chan struct{} // bytes
	more   chan struct{} // has one element when a message said that more is pending
	failed chan error

	mu      sync.Mutex
	refuses bool // the gate closed or the worker stops: what still comes goes back
	over    bool // and nobody collects it any more
	late    []jetstream.Msg
	missing int // heartbeats in a row
}

// pullBatch pulls and takes each message as it comes. It ends after their number, or early when ctx
// ends, the gate changes, or enough bytes are held; with an error when the consumer is lost.
func (w *Worker) pullBatch(ctx context.Context, consumer jetstream.Consumer, p pulling) (taken bool, err error) {
	r := &pull{worker: w, pulling: p, enough: make(chan struct{}, 1), more: make(chan struct{}, 1), failed: make(chan error, 1)}
	r.last.Store(w.now().UnixNano())
	subscription, err := consumer.Consume(
		func(msg jetstream.Msg) { r.take(ctx, msg) },
		jetstream.StopAfter(p.messages), jetstream.PullMaxMessagesWithBytesLimit(p.messages, w.pullBytes()),
		jetstream.PullExpiry(stream.PullExpiry), jetstream.PullHeartbeat(pullHeartbeat),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { r.onError(err) }),
	)
	if err != nil {
		return false, fmt.Errorf("pull: %w", w.link.Explain(err))
	}
	err = r.wait(ctx, consumer, subscription)
	r.finish()
	return r.taken.Load(), err
}

// pullBytes is the byte limit of a pull request.
func (w *Worker) pullBytes() int {
	return stream.PullBytes(w.options.MaxBytesHeld, w.link.Conn().MaxPayload())
}

// wait waits for the end of the round.
func (r *pull) wait(ctx context.Context, consumer jetstream.Consumer, subscription jetstream.ConsumeContext) error {
	closed := subscription.Closed()
	stall := time.NewTimer(r.untilLook())
	defer stall.Stop()
	var within <-chan time.Time
	if r.within > 0 {
		limit := time.NewTimer(r.within)
		defer limit.Stop()
		within = limit.C
	}
	for {
		select {
		case <-closed:
			return r.outcome()
		case <-ctx.Done():
			r.refuse()
			return drain(subscription)
		case <-r.until:
			r.refuse()
			return drain(subscription)
		case <-within:
			return drain(subscription)
		case <-r.enough:
			return drain(subscription)
		case err := <-r.failed:
			return errors.Join(err, drain(subscription))
		case <-r.more:
			stall.Reset(r.untilLook())
		case <-stall.C:
			if r.forgotten() {
				return drain(subscription)
			}
			if err := r.watch(ctx, consumer); err != nil {
				return errors.Join(err, drain(subscription))
			}
			stall.Reset(r.untilLook())
		}
	}
}

// untilLook is how long there is nothing to look at, if nothing comes: an idle worker wakes for nothing.
func (r *pull) untilLook() time.Duration {
	w, bound := r.worker, stallAfter
	if w.inflight.pending.Load() > 0 {
		bound = forgottenAfter
	}
	quiet := w.now().Sub(time.Unix(0, r.last.Load()))
	return max(bound-quiet, forgottenAfter/4)
}

// outcome is the error with which the client ended a subscription by itself.
func (r *pull) outcome() error {
	select {
	case err := <-r.failed:
		return err
	default:
		return nil
	}
}

// drain ends a subscription so that everything the server has sent already is taken; Stop
// would leave it until AckWait.
func drain(subscription jetstream.ConsumeContext) error {
	subscription.Drain()
	late := time.NewTimer(closeWithin)
	defer late.Stop()
	select {
	case <-subscription.Closed():
	case <-late.C: // not connected: it closes when it can
	}
	return nil
}

// take takes a message, or keeps it to give it back.
func (r *pull) take(ctx context.Context, msg jetstream.Msg) {
	r.last.Store(r.worker.now().UnixNano())
	r.mu.Lock()
	r.missing = 0
	refuses, over := r.refuses, r.over
	if refuses && !over {
		r.late = append(r.late, msg)
	}
	r.mu.Unlock()
	if over && refuses {
		_ = msg.Nak()
	}
	if refuses || r.worker.options.Source.Beyond(msg) {
		return
	}
	probe := r.probe
	if r.taken.Swap(true) {
		probe = nil // a pull that was repeated may bring a second message
	}
	r.worker.take(ctx, msg, probe)
	if r.worker.inflight.pending.Load() > 0 {
		select {
		case r.more <- struct{}{}:
		default:
		}
	}
	if r.worker.inflight.full(r.worker.pullBytes()) {
		select {
		case r.enough <- struct{}{}:
		default:
		}
	}
}

func (r *pull) refuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuses = true
}

// finish gives back what came too late. It was kept until the subscription was closed: given
// back before, the server could have sent it here again.
func (r *pull) finish() {
	r.mu.Lock()
	late := r.late
	r.late, r.over = nil, true
	r.mu.Unlock()
	for _, msg := range late {
		_ = msg.Nak()
	}
}

// onError judges what the client tells. It mends most by itself; the consumer must be bound again
// when it is gone, or when nothing comes for several heartbeats.
func (r *pull) onError(err error) {
	switch {
	case errors.Is(err, jetstream.ErrConsumerDeleted), errors.Is(err, jetstream.ErrBadRequest),
		errors.Is(err, jetstream.ErrConnectionClosed), stream.IsMissing(err):
		r.fail(err)
	case errors.Is(err, jetstream.ErrNoHeartbeat), errors.Is(err, nats.ErrNoResponders):
		r.mu.Lock()
		r.missing++
		lost := r.missing >= mostHeartbeats
		r.mu.Unlock()
		if lost {
			r.fail(err)
		}
	default:
		r.worker.options.Log.Debug("pull", zap.Error(err))
	}
}

func (r *pull) fail(err error) {
	select {
	case r.failed <- fmt.Errorf("pull: %w", err):
	default:
	}
}

// forgottenAfter is how long nothing must have come although the last message said that more is
// pending, until the pull is repeated.
const forgottenAfter = time.Second

// forgotten tells that the client may have forgotten to pull: it does so when a batch, or the
// bytes of one pull, come faster than it notes that it asked (nats.go v1.55, checkPending), and
// would notice after two heartbeats. Asked once for each sight of something pending.
func (r *pull) forgotten() bool {
	w := r.worker
	quiet := w.now().Sub(time.Unix(0, r.last.Load()))
	return quiet >= forgottenAfter && w.link.Connected() && w.inflight.pending.Swap(0) > 0
}

// errStalled says that messages are pending and do not come.
var errStalled = errors.New("messages are pending but none is delivered")

// watch asks the server, when nothing came for long, whether anything should have.
func (r *pull) watch(ctx context.Context, consumer jetstream.Consumer) error {
	w := r.worker
	if w.now().Sub(time.Unix(0, r.last.Load())) < stallAfter || !w.link.Connected() {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, w.options.Confirm)
	defer cancel()
	info, err := consumer.Info(bounded)
	if err != nil {
		if stream.IsMissing(err) {
			return fmt.Errorf("pull: %w", err)
		}
		return nil
	}
	r.last.Store(w.now().UnixNano())
	w.inflight.pending.Store(info.NumPending)
	if info.NumPending == 0 || info.Paused || info.Config.MaxAckPending > 0 && info.NumAckPending >= info.Config.MaxAckPending {
		return nil
	}
	w.options.Observer.Noticed(NoticeStalled)
	return fmt.Errorf("pull: %w", errStalled)
}
