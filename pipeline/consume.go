package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/retry"
)

// consume binds the consumer and pulls from it until ctx ends, binding again whenever the
// consumer is lost. It fails only when the connection is closed for good.
func (w *Worker) consume(ctx context.Context) error {
	pauses := retry.Backoff{First: 250 * time.Millisecond, Last: 10 * time.Second}.Pauses()
	for ctx.Err() == nil {
		consumer, err := w.bind(ctx)
		if err == nil {
			pauses.Reset()
			w.isBound(nil)
			err = w.pull(ctx, consumer)
		}
		if gone := w.link.ClosedForGood(); gone != nil {
			return fmt.Errorf("consume: %w", gone)
		}
		if err != nil && ctx.Err() == nil {
			w.isBound(err)
			w.options.Observer.Noticed(NoticeRebound)
			pauses.Wait(ctx)
		}
	}
	return nil
}

// bind looks the consumer up, and refuses one that cannot be worked with.
func (w *Worker) bind(ctx context.Context) (jetstream.Consumer, error) {
	consumer, err := w.options.Source.Consumer(ctx)
	if err != nil {
		return nil, err
	}
	return consumer, w.fit(ctx, consumer.CachedInfo())
}

// pull pulls round after round, as many messages as may be held, or one to see whether the gate
// can open. It returns nil when ctx ends, and an error when the consumer must be bound again.
func (w *Worker) pull(ctx context.Context, consumer jetstream.Consumer) error {
	if w.options.Check != nil {
		if err := w.check(ctx); err != nil && ctx.Err() == nil {
			w.gate.close(reasonFor(err), err)
		}
	}
	for ctx.Err() == nil {
		open, _, _, changed := w.gate.state()
		var err error
		if open {
			err = w.pullOpen(ctx, consumer, changed)
		} else {
			err = w.pullProbe(ctx, consumer, changed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pullOpen pulls as many messages as there is room for, or waits for room.
func (w *Worker) pullOpen(ctx context.Context, consumer jetstream.Consumer, changed <-chan struct{}) error {
	room := w.inflight.room(w.pullBytes())
	if room > 0 {
		room = w.group.allow(room, w.now())
	}
	room = w.options.Source.Allow(ctx, room)
	if room > 0 {
		_, err := w.pullBatch(ctx, consumer, pulling{messages: room, until: changed})
		return err
	}
	again := time.NewTimer(lookBeyond)
	defer again.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-w.inflight.freed:
	case <-again.C:
	}
	return nil
}

// pullProbe waits, asks TheHive, and pulls one message, whose verdict may open the gate. When
// TheHive says that it is well and no message comes to prove it, that is proof enough.
func (w *Worker) pullProbe(ctx context.Context, consumer jetstream.Consumer, changed <-chan struct{}) error {
	if !w.restBeforeProbe(ctx, changed) {
		return nil
	}
	for range probesInARow {
		again, err := w.probe(ctx, consumer)
		if err != nil || !again {
			return err
		}
	}
	return nil
}

// probesInARow is how many messages that need no apply a probe gets over before it asks again.
const probesInARow = 100

// probe pulls one message; again says that it proved nothing, since it needed no apply: what cannot
// be read must not keep the gate closed.
func (w *Worker) probe(ctx context.Context, consumer jetstream.Consumer) (again bool, err error) {
	p := newProbe()
	taken, err := w.pullBatch(ctx, consumer, pulling{messages: 1, within: probeWait, probe: p})
	if err != nil || ctx.Err() != nil {
		return false, err
	}
	if !taken {
		if w.options.Check != nil && w.link.Connected() {
			w.gate.open()
		}
		return false, nil
	}
	select {
	case met := <-p.ended:
		open, reason, _, _ := w.gate.state()
		return !met && !open && reason != reasonLetters, nil
	case <-ctx.Done():
		return false, nil
	}
}

// probe is how whoever pulled one message through a closed gate hears of its verdict.
type probe struct{ ended chan bool }

func newProbe() *probe { return &probe{ended: make(chan bool, 1)} }

// end tells, once, whether an apply of the message was made. It may be called on nil.
func (p *probe) end(met bool) {
	if p == nil {
		return
	}
	select {
	case p.ended <- met:
	default:
	}
}

// restBeforeProbe waits for the gate's pause and asks TheHive; it tells whether to probe.
func (w *Worker) restBeforeProbe(ctx context.Context, changed <-chan struct{}) bool {
	rest := time.NewTimer(retry.Jitter(w.gate.wait()))
	defer rest.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-changed:
		return false
	case <-rest.C:
	}
	if w.options.Check == nil {
		return true
	}
	if err := w.check(ctx); err != nil {
		w.gate.close(reasonFor(err), err)
		return false
	}
	return true
}

// probeWait is how long a probe waits for a message to come.
const probeWait = 5 * time.Second
