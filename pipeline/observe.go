package pipeline

import (
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"forager/enrich"
)

// Observer is told what happened, for metrics and for the demonstration. Its methods are called
// from many goroutines and must return at once.
type Observer interface {
	// Settled is told of every verdict after it was carried out: of acknowledgements and dead
	// letters after the server confirmed them.
	Settled(s Settlement)
	// Gate is told when the gate closes, with the reason, and when it opens again.
	Gate(open bool, reason string)
	// Noticed is told of things that should not happen often, by a word of a bounded vocabulary:
	// see the Notice constants.
	Noticed(what string)
}

// What [Observer.Noticed] is told.
const (
	NoticeUnconfirmed  = "unconfirmed"          // an ack or term that the server did not confirm; the message comes again
	NoticeRebound      = "rebound"              // the subscription was made anew
	NoticeStalled      = "stalled"              // the watchdog found messages pending and none delivered
	NoticePermission   = "permission"           // the server refused a subject
	NoticePanic        = "panic"                // a panic became the error of one message
	NoticeOverflow     = "overflow"             // a message went back because its key holds its share
	NoticeKeyHot       = "key hot"              // half of what may be unacknowledged waits for one key
	NoticeLetterLost   = "letter unstored"      // a dead letter fits nowhere; its message stays in the stream
	NoticeDisagreement = "disagreement"         // subject says one format, recognition another
	NoticeUnproven     = "requeue unproven"     // headers of a requeue that nothing proves were ignored, or a dead letter got no proof
	NoticeAbandoned    = "abandoned"            // applies did not end within the drain time
	NoticeReloaded     = "reloaded"             // routes, silences, formats or lists were replaced; told by the command
	NoticeReloadFailed = "reload failed"        // they could not be read, the old ones stay; told by the command
	NoticeRuleFault    = "rule fault"           // a condition or template of a route failed on a detection; told by the command
	NoticeRefused      = "organisation closed"  // TheHive refuses the worker in one of several organisations; its messages wait
	NoticeSenderHeld   = "sender held"          // TheHive refuses most messages of one sender for one reason; they wait
	NoticeHoldFull     = "hold full"            // a detection below a threshold could not be held; its message waits in its stream
	NoticeCrowded      = "organisation crowded" // half of what may be unacknowledged waits for such an organisation
)

// Settlement is one verdict on one message, carried out.
type Settlement struct {
	Stream     string
	Sequence   uint64 // of the message in its stream
	Subject    string
	Format     string // empty when the message could not be read
	Queue      string // hash of the first plan's key; empty without a plan
	Deliveries int    // how often the server delivered the message, at most a signal
	Tries      int    // failed applies that this process counted
	Bytes      int    // of body and headers

	Action  Action
	Class   enrich.Class
	Reason  string        // bounded: a metric label
	Err     error         // what decided; nil for a plain ack
	Delay   time.Duration // of a nak
	Plans   int           // detections of the message that asked for something
	Dropped []string      // reasons of parts that asked for nothing, one each
	Waits   int           // detections of the message that are held below a threshold; they come back as a message of their own
	Carried bool          // the message was held, and comes from there

	Stored  time.Time     // when the stream stored the message
	Age     time.Duration // since the stream stored the message
	Held    time.Duration // since it arrived here
	Applied time.Duration // in the last apply that held a part of it

	Cases []enrich.Landing // where the parts of the message ended that were applied now, each once
	First *enrich.Plan     // the first plan of those, not to be kept: it holds the event; nil where none was applied

	Trace string // W3C trace id, 32 hexadecimal digits, of the sender's headers or of the message's own span; empty without
	Span  string // id of the message's own span, 16 hexadecimal digits; empty where nobody will see it
}

// nobody is the observer of who observes nothing.
type nobody struct{}

func (nobody) Settled(Settlement) {}
func (nobody) Gate(bool, string)  {}
func (nobody) Noticed(string)     {}

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
		Plans: m.plans, Dropped: m.dropped, Waits: m.waits, Carried: m.carried != nil,
		Stored: m.stored, Age: now.Sub(m.stored), Held: now.Sub(m.arrived), Applied: applied,
	}
	if _, held := errors.AsType[*heldError](err); held {
		s.Reason = reasonHeld
	}
	s.Trace, s.Span = m.traceIDs()
	s.Cases, s.First = m.landings()
	return s
}

// landings are the cases of the message's parts, each once, and the first plan.
func (m *message) landings() (cases []enrich.Landing, first *enrich.Plan) {
	for i := range m.parts {
		p := &m.parts[i]
		if first == nil {
			first = p.plan
		}
		if p.in.ID != "" && !slices.Contains(cases, p.in) {
			cases = append(cases, p.in)
		}
	}
	return cases, first
}

// numbers are the numbers of the cases; the field is left out where there are none.
func numbers(cases []enrich.Landing) zap.Field {
	if len(cases) == 0 {
		return zap.Skip()
	}
	all := make([]int, 0, len(cases))
	for _, c := range cases {
		all = append(all, c.Number)
	}
	return zap.Ints("cases", all)
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

// count is a field that is left out when it is zero.
func count(key string, n int) zap.Field {
	if n == 0 {
		return zap.Skip()
	}
	return zap.Int(key, n)
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
		zap.String("format", s.Format), zap.String("queue", s.Queue), numbers(s.Cases),
		zap.Int("deliveries", s.Deliveries), zap.Int("tries", s.Tries), zap.Int("bytes", s.Bytes),
		zap.Int("plans", s.Plans), zap.Strings("dropped", s.Dropped), count("waits", s.Waits), zap.Duration("delay", s.Delay),
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
	case s.Action == ActionNak && (s.Class == enrich.Interrupted || errors.Is(s.Err, errOrganisationClosed) || errors.Is(s.Err, enrich.ErrHeld)):
		return zap.DebugLevel
	case s.Action == ActionNak:
		return zap.WarnLevel
	default:
		return zap.InfoLevel
	}
}
