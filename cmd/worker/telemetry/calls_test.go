package telemetry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"forager/hive"
)

// replying answers, or fails, as it is told to, and keeps the last request.
type replying struct {
	status int
	err    error
	got    *http.Request
}

func (r *replying) RoundTrip(q *http.Request) (*http.Response, error) {
	r.got = q
	if r.err != nil {
		return nil, r.err
	}
	return &http.Response{StatusCode: r.status, Body: io.NopCloser(strings.NewReader("{}")), Request: q}, nil
}

func TestACallIsASpanOfItsRouteAndItsAttempt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reply  replying
		status codes.Code
		why    string
		code   string
	}{
		"answered":   {replying{status: 200}, codes.Unset, "", "200"},
		"refused":    {replying{status: 404}, codes.Error, "404", "404"},
		"failed":     {replying{status: 502}, codes.Error, "502", "502"},
		"too slow":   {replying{err: context.DeadlineExceeded}, codes.Error, "timeout", ""},
		"given up":   {replying{err: context.Canceled}, codes.Error, "canceled", ""},
		"no address": {replying{err: errors.New("proxy http://u:s3cret@p refused")}, codes.Error, "connection", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
			client, err := hive.New(hive.Options{URL: "http://hive:9000/base", APIKey: "k", Transport: &tracedTransport{next: &c.reply, tracer: provider.Tracer("t")}})
			must(t, err)
			state, err := trace.ParseTraceState("of=the-sender")
			must(t, err)
			ctx := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: state,
			}))
			_ = client.UpdateCase(ctx, "~4711", hive.CaseUpdate{AddTags: []string{"a"}})
			span := recorder.Ended()[0]
			at := span.SpanContext()
			if span.Name() != "PATCH /api/v1/case/{id}" || span.SpanKind() != trace.SpanKindClient || at.TraceID() != (trace.TraceID{1}) || span.Parent().SpanID() != (trace.SpanID{2}) {
				t.Errorf("%s %s in %s below %s", span.Name(), span.SpanKind(), at.TraceID(), span.Parent().SpanID())
			}
			if span.Status().Code != c.status || strings.Contains(span.Status().Description, "s3cret") {
				t.Errorf("status %v", span.Status())
			}
			want := map[string]string{
				"http.request.method": "PATCH", "url.template": "/api/v1/case/{id}", "server.address": "hive",
				"forager.operation": "update case", "http.request.resend_count": "0",
			}
			for key, value := range map[string]string{"error.type": c.why, "http.response.status_code": c.code} {
				if value != "" {
					want[key] = value
				}
			}
			got := map[string]string{}
			for _, kv := range span.Attributes() {
				got[string(kv.Key)] = kv.Value.String()
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			last := recorder.Ended()[len(recorder.Ended())-1].SpanContext()
			header := c.reply.got.Header
			if got, want := header.Get("traceparent"), "00-"+last.TraceID().String()+"-"+last.SpanID().String()+"-01"; got != want || header.Get("tracestate") != "" {
				t.Errorf("traceparent %q, want %q; tracestate %q", got, want, header.Get("tracestate"))
			}
		})
	}
}

// TestAttemptsAreCounted: what is tried again is a span of its own.
func TestAttemptsAreCounted(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	client, err := hive.New(hive.Options{URL: "http://hive:9000", APIKey: "k", Transport: &tracedTransport{next: &replying{status: 503}, tracer: provider.Tracer("t")}})
	must(t, err)
	if _, err := client.Case(t.Context(), "1"); err == nil {
		t.Error("a refusal is no error")
	}
	var counts []string
	for _, s := range recorder.Ended() {
		for _, kv := range s.Attributes() {
			if kv.Key == "http.request.resend_count" {
				counts = append(counts, kv.Value.String())
			}
		}
	}
	if d := cmp.Diff([]string{"0", "1", "2"}, counts); d != "" {
		t.Error(d)
	}
}

func TestPathsLoseWhatTheyAreCalledFor(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/api/v1/case":                             "/api/v1/case",
		"/thehive/api/v1/case/~123/procedures":     "/api/v1/case/{id}/procedures",
		"/api/v1/case/42":                          "/api/v1/case/{id}",
		"/api/v1/case/_bulk":                       "/api/v1/case/_bulk",
		"/api/v1/case/_merge/~1,~2":                "/api/v1/case/_merge/{id}",
		"/api/v1/pattern/T1059.001":                "/api/v1/pattern/{id}",
		"/api/v1/case/~1/attachment/0aff/download": "/api/v1/case/{id}/attachment/{id}/download",
		"/api/v1/procedure/delete/_bulk":           "/api/v1/procedure/delete/_bulk",
		"/api/v1/user/current":                     "/api/v1/user/current",
		"/somewhere/else":                          "/api/v1/",
	} {
		if got := templateOf(path); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}
