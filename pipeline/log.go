package pipeline

import (
	"errors"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"forager/enrich"
)

// settlement says what was decided on a message; what becomes of it is filled in later.
func (w *Worker) settlement(m *message, tries int, err error, v Verdict) Settlement {
	now := w.now()
	m.mu.Lock()
	applied := m.applied
	m.mu.Unlock()
	s := Settlement{
		Stream: m.stream, Sequence: m.sequence, Subject: m.msg.Subject(), Format: m.format,
		Queue: m.queue, Deliveries: m.deliveries, Tries: tries, Bytes: m.bytes,
		Action: v.Action, Delay: v.Delay, Class: enrich.ClassOf(err), Reason: enrich.ReasonOf(err), Err: err,
		Plans: m.plans, Dropped: m.dropped,
		Age: now.Sub(m.stored), Held: now.Sub(m.arrived), Applied: applied,
	}
	if _, held := errors.AsType[*heldError](err); held {
		s.Reason = reasonHeld
	}
	s.Trace, s.Span = m.traceIDs()
	return s
}

// traceIDs are the ids by which the message is found in a store of traces: the trace that the sender
// began, whether or not it is recorded here, and the span that is. An id that nobody knows is left out.
func (m *message) traceIDs() (traceID, spanID string) {
	recorded := m.span != nil && m.span.IsRecording()
	if !recorded && !m.sent {
		return "", ""
	}
	at := m.span.SpanContext()
	if recorded {
		spanID = at.SpanID().String()
	}
	return at.TraceID().String(), spanID
}

// optional is a field that is left out when it is empty.
func optional(key, value string) zap.Field {
	if value == "" {
		return zap.Skip()
	}
	return zap.String(key, value)
}

// write logs the one wide line of a verdict. Nothing of the event's content is in it but its
// subject and format; errors name items, shortened by those who made them.
func (w *Worker) write(s *Settlement) {
	line := w.options.Log.Check(level(s), "message settled")
	if line == nil {
		return
	}
	line.Write(
		zap.Stringer("action", s.Action), zap.Stringer("class", s.Class), zap.String("reason", s.Reason),
		zap.String("stream", s.Stream), zap.Uint64("sequence", s.Sequence), zap.String("subject", s.Subject),
		zap.String("format", s.Format), zap.String("queue", s.Queue),
		zap.Int("deliveries", s.Deliveries), zap.Int("tries", s.Tries), zap.Int("bytes", s.Bytes),
		zap.Int("plans", s.Plans), zap.Strings("dropped", s.Dropped), zap.Duration("delay", s.Delay),
		zap.Duration("age", s.Age), zap.Duration("held", s.Held), zap.Duration("applied", s.Applied),
		zap.Error(s.Err), optional("trace", s.Trace), optional("span", s.Span),
	)
}

// level: a dead letter is for people, a retry for whoever looks, the rest is routine, and what
// went back through no fault of its own is noise: that an organisation is closed was said once.
func level(s *Settlement) zapcore.Level {
	switch {
	case s.Action == ActionDeadLetter:
		return zap.ErrorLevel
	case s.Action == ActionNak && (s.Class == enrich.Interrupted || errors.Is(s.Err, errDoorClosed) || errors.Is(s.Err, enrich.ErrHeld)):
		return zap.DebugLevel
	case s.Action == ActionNak:
		return zap.WarnLevel
	default:
		return zap.InfoLevel
	}
}
