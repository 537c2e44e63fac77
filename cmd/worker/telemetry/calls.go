package telemetry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"forager/hive"
)

// tracedTransport makes a span for each attempt of a call at TheHive, from its sending to the end of
// its answer: neither the wait for a place nor what the breaker refuses is in it.
type tracedTransport struct {
	next   http.RoundTripper
	tracer trace.Tracer
}

// Transport makes spans of the calls that next sends.
func Transport(next http.RoundTripper, provider trace.TracerProvider) http.RoundTripper {
	return &tracedTransport{next: next, tracer: provider.Tracer("forager/hive")}
}

// RoundTrip sends a request with a traceparent, so that a proxy or TheHive's own traces can follow it:
// it is made here and holds two random numbers. The sender's tracestate is not passed on: nothing that
// came with an event reaches TheHive unasked.
func (t *tracedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	route := templateOf(r.URL.Path)
	ctx, span := t.tracer.Start(r.Context(), r.Method+" "+route, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", r.Method),
		attribute.String("url.template", route),
		attribute.String("server.address", r.URL.Hostname()),
	))
	if a, ok := hive.AttemptOf(ctx); ok {
		span.SetAttributes(attribute.String("forager.operation", a.Op), attribute.Int("http.request.resend_count", a.Number-1))
	}
	out := r.WithContext(ctx)
	out.Header = r.Header.Clone()
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(out.Header))
	out.Header.Del("tracestate")
	resp, err := t.next.RoundTrip(out)
	if err != nil {
		failed(span, whyUnanswered(err))
		span.End()
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= http.StatusBadRequest {
		failed(span, strconv.Itoa(resp.StatusCode))
	}
	resp.Body = &endingBody{ReadCloser: resp.Body, span: span}
	return resp, nil
}

// endingBody ends the span when the answer has been read.
type endingBody struct {
	io.ReadCloser
	span trace.Span
}

// Close ends the span.
func (b *endingBody) Close() error {
	defer b.span.End()
	return b.ReadCloser.Close()
}

// failed says in a span why it failed, in one of few words: the text of an error may hold what a
// proxy's address hides.
func failed(span trace.Span, why string) {
	span.SetAttributes(attribute.String("error.type", why))
	span.SetStatus(codes.Error, why)
}

func whyUnanswered(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	default:
		return "connection"
	}
}

// CloseIdleConnections closes what the wrapped transport keeps open.
func (t *tracedTransport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// named are the parts of a path that TheHive names; the others are ids, numbers and hashes.
var named = regexp.MustCompile(`^_?[a-z][a-zA-Z]{0,31}$`)

// templateOf is a path of TheHive's API without what it is called for: "/api/v1/case/{id}/procedures".
func templateOf(path string) string {
	const root = "/api/v1/"
	_, below, ok := strings.Cut(path, root)
	if !ok {
		return root
	}
	parts := strings.Split(below, "/")
	for i, part := range parts {
		if !named.MatchString(part) {
			parts[i] = "{id}"
		}
	}
	return root + strings.Join(parts, "/")
}
