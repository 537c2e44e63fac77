package pipeline

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

func TestHostileHeadersAreNoTrace(t *testing.T) {
	zeros := strings.Repeat("0", 32)
	for name, test := range map[string]struct {
		header nats.Header
		trace  string
		state  string
	}{
		"none":                     {nil, "", ""},
		"others":                   {nats.Header{"Nats-Msg-Id": {"x"}}, "", ""},
		"valid":                    {nats.Header{"traceparent": {traceparent}}, senderTrace, ""},
		"another case":             {nats.Header{"TRACEPARENT": {traceparent}, "TraceState": {"a=b"}}, senderTrace, "a=b"},
		"twice":                    {nats.Header{"traceparent": {traceparent, traceparent}}, "", ""},
		"in two spellings":         {nats.Header{"traceparent": {traceparent}, "Traceparent": {traceparent}}, "", ""},
		"no value":                 {nats.Header{"traceparent": {}}, "", ""},
		"zeros":                    {nats.Header{"traceparent": {"00-" + zeros + "-" + senderSpan + "-01"}}, "", ""},
		"no hexadecimals":          {nats.Header{"traceparent": {"00-" + strings.Repeat("g", 32) + "-" + senderSpan + "-01"}}, "", ""},
		"upper case":               {nats.Header{"traceparent": {strings.ToUpper(traceparent)}}, "", ""},
		"a version that cannot be": {nats.Header{"traceparent": {"ff" + traceparent[2:]}}, "", ""},
		"too long":                 {nats.Header{"traceparent": {traceparent + strings.Repeat("-", 1<<16)}}, "", ""},
		"a line end":               {nats.Header{"traceparent": {traceparent + "\r\nX: y"}}, "", ""},
		"a long state":             {nats.Header{"traceparent": {traceparent}, "tracestate": {"a=" + strings.Repeat("b", mostState)}}, senderTrace, ""},
		"a broken state":           {nats.Header{"traceparent": {traceparent}, "tracestate": {"a=\r\nb"}}, senderTrace, ""},
		"baggage":                  {nats.Header{"traceparent": {traceparent}, "baggage": {"a=b"}}, senderTrace, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := trace.SpanContextFromContext(fromSender(t.Context(), test.header))
			id := ""
			if got.IsValid() {
				id = got.TraceID().String()
			}
			if id != test.trace || got.TraceState().String() != test.state {
				t.Errorf("trace %q, state %q", id, got.TraceState())
			}
		})
	}
}

func FuzzSenderHeaders(f *testing.F) {
	f.Add("traceparent", traceparent, "tracestate", "a=b")
	f.Add("Traceparent", "cc"+traceparent[2:]+"-more", "TRACESTATE", "a@b=c,d=e")
	f.Fuzz(func(t *testing.T, name, value, other, text string) {
		got := trace.SpanContextFromContext(fromSender(t.Context(), nats.Header{name: {value}, other: {text}}))
		if got.IsValid() && (!got.IsRemote() || !strings.Contains(value+text, got.TraceID().String())) || got.TraceState().Len() > 0 && len(got.TraceState().String()) > mostState {
			t.Errorf("%v", got)
		}
	})
}

func TestAnApplyLinksToNoMoreThanItsLimit(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	made := newTracing(sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)), "DET", "worker")
	var batch []*part
	for range 3 * mostLinks {
		m := &message{}
		_, m.span = made.tracer.Start(t.Context(), "message")
		batch = append(batch, &part{of: m})
	}
	_, span := made.apply(t.Context(), "q", batch)
	endApply(span, make([]error, len(batch)))
	apply := recorder.Ended()[0]
	if len(apply.Links()) != mostLinks || apply.DroppedLinks() != 0 {
		t.Errorf("%d links, %d dropped", len(apply.Links()), apply.DroppedLinks())
	}
	if first := batch[0].of.span.SpanContext().SpanID(); apply.Links()[0].SpanContext.SpanID() != first || apply.Parent().SpanID() != first {
		t.Error("the oldest message is not the first")
	}
	if got := attribute.NewSet(apply.Attributes()...); !got.HasValue("forager.failed") {
		t.Error("no count of failures")
	}
}

var errUnlucky = errors.New("unlucky")

func TestAnApplyThatHelpedSomebodyIsNoError(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	made := newTracing(sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)), "DET", "worker")
	m := &message{}
	_, m.span = made.tracer.Start(t.Context(), "message")
	_, span := made.apply(t.Context(), "q", []*part{{of: m}, {of: m}})
	endApply(span, []error{nil, errUnlucky})
	if got := recorder.Ended()[0]; got.Status().Code != codes.Unset || said(got)["forager.failed"] != "1" || said(got)["messaging.batch.message_count"] != "1" {
		t.Errorf("%v %v", got.Status(), said(got))
	}
}

// delivered is a delivery that is only looked at.
type delivered struct {
	jetstream.Msg
	header nats.Header
}

func (d delivered) Headers() nats.Header { return d.header }

// TestWithoutTracesNothingIsAllocated: off costs a look at the headers.
func TestWithoutTracesNothingIsAllocated(t *testing.T) {
	var off *tracing
	for _, header := range []nats.Header{nil, {"Nats-Msg-Id": {"x"}, "Content-Type": {"application/json"}}} {
		m := &message{standing: standing{msg: delivered{header: header}}}
		batch, results, s := []*part{{of: m}}, []error{nil}, &Settlement{}
		ctx := t.Context()
		allocations := testing.AllocsPerRun(100, func() {
			off.begin(ctx, m)
			_, span := off.apply(ctx, "q", batch)
			endApply(span, results)
			m.describe(s)
			s.Trace, s.Span = m.traceIDs()
			m.endSpan()
		})
		if allocations != 0 || m.span != nil {
			t.Errorf("%v allocations with headers %v", allocations, header)
		}
	}
}
