package pipeline

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"go.uber.org/zap"

	"forager/enrich"
	"forager/pipeline/stream"
)

// readiness is whether messages may come.
type readiness struct {
	mu      sync.Mutex
	bound   bool   // to a consumer
	trouble string // why not
	stopped bool
}

func (r *readiness) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
}

// bind notes whether a consumer is bound, and tells whether the trouble is another than before.
func (r *readiness) bind(err error) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.trouble
	r.bound, r.trouble = err == nil, ""
	if err != nil {
		r.trouble = err.Error()
	}
	return r.trouble != before
}

// reasons are why no message may come; none is that they may.
func (r *readiness) reasons() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return []string{"stopping"}
	}
	if !r.bound {
		return []string{r.trouble}
	}
	return nil
}

// Ready tells whether messages are consumed and can succeed, and if not, why.
func (w *Worker) Ready() (bool, []string) {
	reasons := w.readiness.reasons()
	if err := w.link.Reach(); err != nil {
		reasons = append(reasons, stream.OneLine(err.Error()))
	}
	if open, _, _, _ := w.gate.state(); !open {
		reasons = append(reasons, "gate is closed: "+w.gate.why())
	}
	if closed, all := w.closed(); all {
		reasons = append(reasons, closed...)
	}
	for _, refused := range w.link.Violations() {
		reasons = append(reasons, "nats refused to "+refused)
	}
	return len(reasons) == 0, slices.Compact(reasons)
}

// Notes are what is worth knowing although work gets done: how many replicas share it, the senders whose messages
// TheHive refuses, and the organisations, of several, in which it refuses the worker.
func (w *Worker) Notes() []string {
	notes := w.senders.held()
	if w.options.Replicas != nil {
		if n, known := w.options.Replicas(); known {
			notes = append(notes, fmt.Sprintf("replicas that live: %d", n))
		}
	}
	if closed, all := w.closed(); !all {
		notes = append(notes, closed...) // all are reasons not to be ready
	}
	return notes
}

// closed names the organisations whose gate is closed; all tells that no other is served.
func (w *Worker) closed() (closed []string, all bool) {
	organisations := w.organisations.all()
	for _, o := range organisations {
		if !o.Open {
			closed = append(closed, fmt.Sprintf("gate of organisation %s is closed, about %d messages wait: %s", o.Name, o.Waiting, o.Why))
		}
	}
	return closed, len(closed) > 0 && len(closed) == len(organisations)
}

// gateChanged says once why the gate closed, and that it opened.
func (w *Worker) gateChanged(open bool, reason string, err error) {
	w.options.Observer.Gate(open, reason)
	if open {
		w.options.Log.Info("gate opened")
		return
	}
	w.options.Log.Error("gate closed: nothing is consumed until this is mended", zap.String("reason", reason), zap.Error(err))
}

// senderChanged says once why a sender is held up, and that it is not any more.
func (w *Worker) senderChanged(name senderName, held bool, reason string) {
	who := zap.String("sender", stream.OneLine(name.String()))
	if !held {
		w.options.Log.Info("messages of a sender are taken again", who)
		return
	}
	w.options.Observer.Noticed(NoticeSenderHeld)
	w.options.Log.Error("TheHive refuses most messages of a sender: they wait until this is mended, others go on", who, zap.String("reason", reason))
}

// breakerChanged says once why the gate of an organisation closed, and that it opened.
func (w *Worker) breakerChanged(b *breaker, open bool, err error) {
	name := zap.String("organisation", enrich.OrganisationName(b.name))
	if open {
		w.options.Log.Info("gate of an organisation opened", name)
		return
	}
	b.mu.Lock()
	b.why = err.Error()
	b.mu.Unlock()
	w.options.Observer.Noticed(NoticeRefused)
	w.options.Log.Error("gate of an organisation closed: its detections wait until this is mended, others go on", name, zap.Error(err))
}

// tellCrowded says that half of what may be unacknowledged waits for one organisation: at all of
// it the server delivers nothing any more, of no organisation.
func (w *Worker) tellCrowded(name string) {
	w.options.Observer.Noticed(NoticeCrowded)
	w.options.Log.Warn("half of what may be unacknowledged waits for one organisation: at all of it nothing is delivered for the others either",
		zap.String("organisation", enrich.OrganisationName(name)), zap.Int("maxAckPending", w.mostPending()))
}

// mostPending is how many messages may be unacknowledged, as the consumer says, else as it would
// be made.
func (w *Worker) mostPending() int {
	switch n := w.terms.ackPending.Load(); {
	case n > 0:
		return int(n)
	case n < 0:
		return math.MaxInt
	default:
		return w.options.MaxAckPending
	}
}
