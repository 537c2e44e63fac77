package pipeline

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"forager/enrich"
)

// tracing makes the spans of messages and of applies, named as OpenTelemetry's conventions for
// messaging name them. Nil, where nobody listens, makes none.
type tracing struct {
	tracer trace.Tracer
	name   string                  // of a message's span
	common []trace.SpanStartOption // of all messages
}

func newTracing(provider trace.TracerProvider, stream, consumer string) *tracing {
	if provider == nil {
		return nil
	}
	return &tracing{
		tracer: provider.Tracer("forager/pipeline"), name: "process " + stream,
		common: []trace.SpanStartOption{
			trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(
				attribute.String("messaging.system", "nats"),
				attribute.String("messaging.operation.name", "process"),
				attribute.String("messaging.operation.type", "process"),
				attribute.String("messaging.destination.name", stream),
				attribute.String("messaging.consumer.group.name", consumer),
			),
		},
	}
}

// begin starts the span of a message. The sender's span, where the headers name one, is its parent
// and its link: the conventions ask for the link, and allow the parent where a span is of one message
// alone, so that one trace leads from the sender to TheHive. Where nothing is traced the message keeps
// the sender's context, for its line in the log.
func (t *tracing) begin(ctx context.Context, m *message) {
	ctx = fromSender(ctx, m.msg.Headers())
	sender := trace.SpanContextFromContext(ctx)
	m.sent = sender.IsValid()
	if t == nil {
		if m.sent {
			m.span = trace.SpanFromContext(ctx)
		}
		return
	}
	options := t.common
	if m.sent {
		options = append(slices.Clip(options), trace.WithLinks(trace.Link{SpanContext: sender}))
	}
	_, m.span = t.tracer.Start(ctx, t.name, options...)
	if m.span.IsRecording() {
		m.span.SetAttributes(
			attribute.String("messaging.message.id", strconv.FormatUint(m.sequence, 10)),
			attribute.Int("messaging.message.body.size", len(m.msg.Data())),
			attribute.String("forager.subject", m.msg.Subject()),
			attribute.Int("forager.deliveries", m.deliveries),
		)
	}
}

// describe says in a message's span what became of it. What goes back through no fault of its own is no error.
func (m *message) describe(s *Settlement) {
	if m.span == nil || !m.span.IsRecording() {
		return
	}
	m.span.SetAttributes(
		attribute.String("forager.format", s.Format),
		attribute.String("forager.queue", s.Queue),
		attribute.String("forager.action", s.Action.String()),
		attribute.String("forager.class", s.Class.String()),
		attribute.String("forager.reason", s.Reason),
		attribute.Int("forager.plans", s.Plans),
		attribute.Int("forager.tries", s.Tries),
	)
	if s.Action == ActionAck || s.Class == enrich.Interrupted {
		return
	}
	m.span.SetAttributes(attribute.String("error.type", s.Class.String()))
	why := s.Reason
	if s.Err != nil {
		why = s.Err.Error()
	}
	m.span.SetStatus(codes.Error, why)
}

// endSpan ends a message's span, whatever became of it.
func (m *message) endSpan() {
	if m.span != nil {
		m.span.End()
	}
}

// mostLinks is how many messages the span of an apply links to: OpenTelemetry's default limit.
const mostLinks = 128

// apply starts the span of an apply; it links to the spans of its messages, and they to it. Its
// parent is the first of them that is sampled: with a sampler that keeps few traces, a trace of its
// own would mostly be thrown away while the messages that it carries are kept. The span is nil, and the
// context the same, where nothing is traced.
func (t *tracing) apply(ctx context.Context, queue string, batch []*part) (context.Context, trace.Span) {
	if t == nil {
		return ctx, nil
	}
	messages := messagesOf(batch)
	parent := messages[0].span
	var links []trace.Link
	for _, m := range slices.Backward(messages) {
		if m.span.SpanContext().IsSampled() {
			parent = m.span
			links = append(links, trace.Link{SpanContext: m.span.SpanContext()})
		}
	}
	slices.Reverse(links)
	ctx, span := t.tracer.Start(trace.ContextWithSpan(ctx, parent), "apply",
		trace.WithLinks(links[:min(len(links), mostLinks)]...),
		trace.WithAttributes(
			attribute.String("forager.queue", queue),
			attribute.Int("forager.plans", len(batch)),
			attribute.Int("messaging.batch.message_count", len(messages)),
		))
	for _, m := range messages {
		m.span.AddLink(trace.Link{SpanContext: span.SpanContext()})
	}
	return ctx, span
}

// messagesOf are the messages of a batch, whose parts lie together, each once.
func messagesOf(batch []*part) []*message {
	all := make([]*message, len(batch))
	for i, p := range batch {
		all[i] = p.of
	}
	return slices.Compact(all)
}

// endApply ends the span of an apply, which failed when nothing in it came through.
func endApply(span trace.Span, results []error) {
	if span == nil {
		return
	}
	failed := 0
	for _, err := range results {
		if err != nil {
			failed++
		}
	}
	span.SetAttributes(attribute.Int("forager.failed", failed))
	if err, good := best(results); !good && enrich.ClassOf(err) != enrich.Interrupted {
		span.SetAttributes(attribute.String("error.type", enrich.ClassOf(err).String()))
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// fromSender adds the W3C trace context of a message's headers to a context, if it is valid.
func fromSender(ctx context.Context, h nats.Header) context.Context {
	if len(h) == 0 {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, sent(h))
}

// sent are headers as the propagator reads them. They are a stranger's: what is said twice, or in two
// spellings, or is longer than anybody needs, is not said.
type sent nats.Header

// mostState is the longest tracestate that is taken over, in bytes: what W3C asks everybody to
// propagate. It is held as long as its message.
const mostState = 512

// Get gives a header whatever the case of its name, as NATS keeps it.
func (h sent) Get(name string) string {
	var values []string
	for key, v := range h {
		if len(key) != len(name) || !strings.EqualFold(key, name) {
			continue
		}
		if values != nil {
			return ""
		}
		values = v
	}
	if len(values) != 1 || len(values[0]) > mostState {
		return ""
	}
	return values[0]
}

// Set is never called: nothing is sent by these headers.
func (h sent) Set(string, string) {}

// Keys is never called by the propagator for trace context.
func (h sent) Keys() []string { return nil }

var _ propagation.TextMapCarrier = sent(nil)
