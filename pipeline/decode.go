package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc/panics"

	"forager/enrich"
	"forager/enrich/detection"
)

// read makes a message of a delivery. It fails only on what is no JetStream delivery at all.
func (w *Worker) read(msg jetstream.Msg) (*message, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	w.inflight.pending.Store(meta.NumPending)
	return &message{
		position: position{
			stream: meta.Stream, sequence: meta.Sequence.Stream,
			deliveries: int(min(meta.NumDelivered, 1<<31-1)),
			stored:     meta.Timestamp, arrived: w.now(), bytes: len(msg.Data()) + headerBytes(msg.Headers()),
		},
		standing: standing{msg: msg},
	}, nil
}

// decode fills in the plans of a message that are not applied yet. It makes no call, but where
// a message says that it was requeued. What goes wrong is kept with the message, whose other parts
// go on.
func (w *Worker) decode(ctx context.Context, m *message) {
	known := w.unfinished.recall(m.sequence, m.stored)
	m.tried, m.alone = known.tries > 0, known.tries >= aloneAfter
	var caught panics.Catcher
	caught.Try(func() { w.fill(ctx, m, known.results) })
	if r := caught.Recovered(); r != nil {
		w.options.Observer.Noticed(NoticePanic)
		m.parts, m.failed = nil, fmt.Errorf("decode: %w", r.AsError())
	}
	m.open = len(m.parts)
	m.sender = w.senders.name(m.msg.Subject(), m.format)
}

// Planned is what a message would ask for.
type Planned struct {
	Sequence uint64
	Subject  string
	Stored   time.Time
	Format   string
	Plans    []enrich.Plan
	Dropped  []Unasked // parts that ask for nothing
	Err      error     // what would make it a dead letter, beside what its other parts ask for
	Failed   Named     // the first detection that can be read and fails; empty where none does
}

// Named says which detection something is about, as its product does; empty for what is none.
type Named struct{ ID, Title, Host string }

// Unasked is a part of a message that asks for nothing.
type Unasked struct {
	Named

	Reason string
}

// Planned tells what a message would ask for, without any effect: it is not answered. It fails on what is no
// JetStream delivery.
func (w *Worker) Planned(ctx context.Context, msg jetstream.Msg) (Planned, error) {
	m, err := w.read(msg)
	if err != nil {
		return Planned{}, err
	}
	w.decode(ctx, m)
	p := Planned{
		Sequence: m.sequence, Subject: m.msg.Subject(), Stored: m.stored, Format: m.format, Err: m.failed,
	}
	if len(m.dropped) > 0 || m.failed != nil {
		w.name(m, &p)
	}
	for i := range m.parts {
		p.Plans = append(p.Plans, *m.parts[i].plan)
	}
	return p, nil
}

// name reads a message again, since a worker keeps of what asks for nothing the reasons alone.
func (w *Worker) name(m *message, p *Planned) {
	result, err := w.decoder.Decode(m.content())
	if err != nil {
		for _, reason := range m.dropped {
			p.Dropped = append(p.Dropped, Unasked{Reason: reason})
		}
		return
	}
	for _, d := range result.Dropped {
		p.Dropped = append(p.Dropped, Unasked{Reason: d.Reason})
	}
	for i, d := range result.Detections {
		named := Named{ID: d.ID, Title: d.Title, Host: d.Host}
		_, err := w.planner.Plan(d, m.origin(i))
		switch {
		case enrich.ClassOf(err) == enrich.Dropped:
			p.Dropped = append(p.Dropped, Unasked{named, enrich.ReasonOf(err)})
		case err != nil && p.Failed == Named{}:
			p.Failed = named
		}
	}
}

// aloneAfter is how many failed applies a message may share with others.
const aloneAfter = 3

// ReasonTooLarge is the reason of a dead letter above Options.MaxMessageBytes.
const ReasonTooLarge = "message too large"

func (w *Worker) fill(ctx context.Context, m *message, results map[int]error) {
	if m.failed = w.believe(ctx, m); m.failed != nil {
		return
	}
	if m.failed = w.tooLarge(m); m.failed != nil {
		return
	}
	result, err := w.decoder.Decode(m.content())
	m.format = result.Format
	if err != nil {
		m.failed = err
		return
	}
	w.agree(result)
	w.aside(m, result)
	for i := range result.Detections {
		if m.carried == nil || slices.Contains(m.carried.Parts, i) {
			w.plan(m, i, result.Detections[i], results)
		}
	}
	if m.plans+m.waits == 0 && m.failed == nil && len(m.dropped) == 0 {
		m.failed = &enrich.MalformedError{Reason: "no detections"}
	}
}

// aside notes what of a message asks for nothing, or cannot be read; of one that was held that was noted before.
func (w *Worker) aside(m *message, result detection.Result) {
	if m.carried != nil {
		return
	}
	for _, d := range result.Dropped {
		m.dropped = append(m.dropped, d.Reason)
	}
	for _, e := range result.Unreadable {
		m.fail(e)
	}
}

// mostHeaderBytes is what the headers of a message may have: what a forwarder says there are some words.
const mostHeaderBytes = 32 << 10

// tooLarge refuses a message whose body or headers are beyond their limits; nil is none.
func (w *Worker) tooLarge(m *message) error {
	body, headers := len(m.msg.Data()), headerBytes(m.msg.Headers())
	switch {
	case body > w.options.MaxMessageBytes:
		return &enrich.MalformedError{Reason: ReasonTooLarge, Detail: fmt.Sprintf("%d bytes of at most %d", body, w.options.MaxMessageBytes)}
	case headers > mostHeaderBytes:
		return &enrich.MalformedError{Reason: ReasonTooLarge, Detail: fmt.Sprintf("headers of %d bytes of at most %d", headers, mostHeaderBytes)}
	default:
		return nil
	}
}

// headerBytes is what headers weigh, about.
func headerBytes(h nats.Header) int {
	n := 0
	for name, values := range h {
		for _, value := range values {
			n += len(name) + len(value) + len(": \r\n")
		}
	}
	return n
}

// agree counts subjects that promise another format than the content is.
func (w *Worker) agree(r detection.Result) {
	if r.Pinned != "" && r.Recognised != "" && r.Pinned != r.Recognised {
		w.options.Observer.Noticed(NoticeDisagreement)
	}
}

// plan adds the part of one detection, unless it has its result from an earlier delivery.
func (w *Worker) plan(m *message, index int, d detection.Detection, results map[int]error) {
	plan, err := w.planner.Plan(d, m.origin(index))
	if enrich.ClassOf(err) == enrich.Dropped {
		m.dropped = append(m.dropped, enrich.ReasonOf(err))
		return
	}
	m.plans++
	if err != nil {
		m.fail(err)
		return
	}
	if m.queue == "" {
		m.queue = plan.Queue()
	}
	if known, done := results[index]; done && (m.carried == nil || !errors.Is(known, errWaits)) {
		if enrich.ClassOf(known) == enrich.Dropped {
			m.void(known)
		}
		m.fail(known)
		return
	}
	m.parts = append(m.parts, part{
		of: m, index: index, queue: plan.Queue(), plan: &plan, waits: plan.Threshold != nil && (m.carried == nil || !m.carried.Passed),
	})
}

// content is what the message says.
func (m *message) content() detection.Message {
	msg := m.delivery()
	return detection.Message{Subject: msg.Subject(), Header: msg.Headers(), Body: msg.Data(), Time: m.original()}
}

// origin is where a detection of the message comes from.
func (m *message) origin(index int) enrich.Origin {
	return enrich.Origin{Stream: m.stream, Sequence: m.sequence, Part: index, Time: m.original(), Subject: m.msg.Subject(), Requeued: m.requeued > 0}
}

// again makes the plans of a batch that were not kept, and gives the parts that have one. A part whose plan
// is another now, since the rules were changed meanwhile, goes back with its message.
func (w *Worker) again(batch []*part) []*part {
	made := make(map[*message]detection.Result)
	return slices.DeleteFunc(batch, func(p *part) bool {
		if p.plan != nil {
			return false
		}
		if _, ok := made[p.of]; !ok {
			made[p.of] = w.readAgain(p.of)
		}
		if found := made[p.of].Detections; p.index < len(found) {
			if plan, err := w.options.Replan.Plan(found[p.index], p.of.origin(p.index)); err == nil && plan.Queue() == p.queue {
				p.plan = &plan
				return false
			}
		}
		w.finishPart(p, errReplanned, 0)
		return true
	})
}

// readAgain decodes a message that was decoded before.
func (w *Worker) readAgain(m *message) (result detection.Result) {
	var caught panics.Catcher
	caught.Try(func() {
		result, _ = w.decoder.Decode(m.content())
	})
	return result
}

// fail keeps the worst of what made parts unfit.
func (m *message) fail(err error) {
	if rank(err) > rank(m.failed) {
		m.failed = err
	}
}

// original is when the message was stored first: a requeued dead letter proves it. Only an earlier
// time is believed.
func (m *message) original() time.Time {
	if m.first.IsZero() || m.first.After(m.stored) {
		return m.stored
	}
	return m.first
}
