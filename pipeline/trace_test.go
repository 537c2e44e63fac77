package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"forager/enrich"
)

// A sender's context, as W3C writes it.
const (
	senderTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	senderSpan  = "00f067aa0ba902b7"
	traceparent = "00-" + senderTrace + "-" + senderSpan + "-01"
)

// traced is a rig whose worker makes spans.
func traced(t *testing.T, change func(*Options)) (*rig, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder), sdk.WithSampler(sdk.ParentBased(sdk.AlwaysSample())))
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	return newRig(t, func(o *Options) {
		o.Tracer = provider
		if change != nil {
			change(o)
		}
	}), recorder
}

// send publishes a message with headers.
func (r *rig) send(body string, h nats.Header) {
	r.t.Helper()
	if _, err := r.js.PublishMsg(r.t.Context(), &nats.Msg{Subject: "alerts.test", Data: []byte(body), Header: h}); err != nil {
		r.t.Fatal(err)
	}
}

// spansOf are the ended spans whose name begins so.
func spansOf(recorder *tracetest.SpanRecorder, prefix string) []sdk.ReadOnlySpan {
	var all []sdk.ReadOnlySpan
	for _, s := range recorder.Ended() {
		if strings.HasPrefix(s.Name(), prefix) {
			all = append(all, s)
		}
	}
	return all
}

// said are a span's attributes.
func said(s sdk.ReadOnlySpan) map[string]string {
	all := map[string]string{}
	for _, kv := range s.Attributes() {
		all[string(kv.Key)] = kv.Value.String()
	}
	return all
}

func linked(s sdk.ReadOnlySpan) []trace.SpanID {
	var all []trace.SpanID
	for _, l := range s.Links() {
		all = append(all, l.SpanContext.SpanID())
	}
	return all
}

func TestASendersTraceLeadsThroughTheMessageIntoItsApply(t *testing.T) {
	r, recorder := traced(t, nil)
	inside := make(chan trace.SpanContext, 1)
	r.applier.set(func(ctx context.Context, _ string, plans []enrich.Plan) []error {
		inside <- trace.SpanContextFromContext(ctx)
		return make([]error, len(plans))
	})
	r.ensure()
	body := `{"id":"a","keys":["k"]}`
	r.send(body, nats.Header{"Traceparent": {traceparent}, "tracestate": {"vendor=1"}})
	_, stop := r.start()
	r.ended(1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	messages, applies := spansOf(recorder, "process "), spansOf(recorder, "apply")
	if len(messages) != 1 || len(applies) != 1 {
		t.Fatalf("%d spans of messages, %d of applies", len(messages), len(applies))
	}
	message, apply := messages[0], applies[0]
	if parent := message.Parent(); parent.TraceID().String() != senderTrace || parent.SpanID().String() != senderSpan || !parent.IsRemote() {
		t.Errorf("parent of the message %v", parent)
	}
	if got := message.SpanContext().TraceState().String(); got != "vendor=1" {
		t.Errorf("state %q", got)
	}
	if message.SpanKind() != trace.SpanKindConsumer || message.Name() != "process DET" || message.Status().Code != codes.Unset {
		t.Errorf("%s %s %v", message.SpanKind(), message.Name(), message.Status())
	}
	if apply.Parent().SpanID() != message.SpanContext().SpanID() || apply.SpanContext().TraceID().String() != senderTrace {
		t.Errorf("apply below %v", apply.Parent())
	}
	if got := <-inside; got.SpanID() != apply.SpanContext().SpanID() {
		t.Errorf("the applier's context carries %v", got)
	}
	if d := cmp.Diff([]string{senderSpan, apply.SpanContext().SpanID().String()}, texts(linked(message))); d != "" {
		t.Errorf("links of the message: %s", d)
	}
	if d := cmp.Diff([]string{message.SpanContext().SpanID().String()}, texts(linked(apply))); d != "" {
		t.Errorf("links of the apply: %s", d)
	}
	want := map[string]string{
		"messaging.system": "nats", "messaging.operation.name": "process", "messaging.operation.type": "process",
		"messaging.destination.name": "DET", "messaging.consumer.group.name": "worker", "messaging.message.id": "1",
		"messaging.message.body.size": fmt.Sprint(len(body)), "forager.subject": "alerts.test", "forager.deliveries": "1",
		"forager.format": "test", "forager.queue": "k", "forager.action": "ack", "forager.class": "none", "forager.reason": "",
		"forager.plans": "1", "forager.tries": "0",
	}
	if d := cmp.Diff(want, said(message)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{"forager.queue": "k", "forager.plans": "1", "messaging.batch.message_count": "1", "forager.failed": "0"}, said(apply)); d != "" {
		t.Error(d)
	}
}

func texts(ids []trace.SpanID) []string {
	var all []string
	for _, id := range ids {
		all = append(all, id.String())
	}
	return all
}

// TestMessagesThatShareAnApplyAndItsSpanKnowEachOther: the first apply holds the queue until others wait behind it.
func TestMessagesThatShareAnApplyAndItsSpanKnowEachOther(t *testing.T) {
	r, recorder := traced(t, nil)
	first, behind, last := make(chan bool), make(chan bool), make(chan bool)
	r.applier.set(func(_ context.Context, queue string, plans []enrich.Plan) []error {
		switch {
		case queue == "other":
			close(last)
		case plans[0].SourceID == "first/0":
			close(first)
			<-behind
		}
		return make([]error, len(plans))
	})
	r.ensure()
	_, stop := r.start()
	r.send(`{"id":"first","keys":["k"]}`, nil)
	<-first
	r.send(`{"id":"b","keys":["k"]}`, nats.Header{"traceparent": {strings.TrimSuffix(traceparent, "1") + "0"}}) // not sampled
	r.send(`{"id":"c","keys":["k","k"]}`, nats.Header{"traceparent": {traceparent}})
	r.send(`{"id":"d","keys":["k"]}`, nil)
	r.send(`{"id":"last","keys":["other"]}`, nil) // when it is applied, those before it wait
	<-last
	close(behind)
	r.ended(5)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	applies := spansOf(recorder, "apply")
	if len(applies) != 3 {
		t.Fatalf("%d applies", len(applies))
	}
	shared := applies[slices.IndexFunc(applies, func(s sdk.ReadOnlySpan) bool { return said(s)["forager.plans"] == "4" })]
	if got := shared.SpanContext().TraceID().String(); got != senderTrace {
		t.Errorf("the apply is in trace %s, not in the first that is sampled", got)
	}
	if got := said(shared); got["messaging.batch.message_count"] != "3" {
		t.Errorf("%v", got)
	}
	var own []string
	for _, s := range spansOf(recorder, "process ") {
		if links := texts(linked(s)); links[len(links)-1] == shared.SpanContext().SpanID().String() {
			own = append(own, s.SpanContext().SpanID().String())
		}
	}
	got := map[string]bool{}
	for _, id := range texts(linked(shared)) {
		got[id] = true
	}
	if len(own) != 2 || len(got) != 2 || !got[own[0]] || !got[own[1]] {
		t.Errorf("the apply links to %v, to it link %v", got, own)
	}
}

func TestSpansSayWhatWentWrong(t *testing.T) {
	for name, test := range map[string]struct {
		body    string
		result  error
		class   string
		message codes.Code
		apply   codes.Code
	}{
		"dead letter":                       {`{"id":`, nil, "malformed", codes.Error, codes.Unset},
		"a panic of the decoder":            {`{"id":"x","panic":true}`, nil, "transient", codes.Error, codes.Unset},
		"put back after a failure":          {`{"id":"x","keys":["k"]}`, errPassing, "transient", codes.Error, codes.Error},
		"put back through no fault of ours": {`{"id":"x","keys":["k"]}`, enrich.ErrStopping, "interrupted", codes.Unset, codes.Unset},
		"refused by TheHive":                {`{"id":"x","keys":["k"]}`, &enrich.MalformedError{Reason: "no"}, "malformed", codes.Error, codes.Error},
		"dropped":                           {`{"id":"x","drop":"silenced"}`, nil, "dropped", codes.Unset, codes.Unset},
	} {
		t.Run(name, func(t *testing.T) {
			r, recorder := traced(t, nil)
			r.applier.set(all(test.result))
			r.ensure()
			r.publishRaw("alerts.test", []byte(test.body))
			_, stop := r.start()
			r.seen.until(t, "a verdict", func() bool { return r.seen.count(func(Settlement) bool { return true }) > 0 })
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			message := spansOf(recorder, "process ")[0]
			if got := message.Status(); got.Code != test.message || got.Code == codes.Error && got.Description == "" {
				t.Errorf("message %v", got)
			}
			if got := said(message); got["forager.class"] != test.class || (got["error.type"] != "") != (test.message == codes.Error) {
				t.Errorf("%v", got)
			}
			for _, a := range spansOf(recorder, "apply") {
				if a.Status().Code != test.apply {
					t.Errorf("apply %v", a.Status())
				}
			}
		})
	}
}

// TestTheLineOfAMessageNamesItsTrace whether or not it is recorded here, and none that nobody knows.
func TestTheLineOfAMessageNamesItsTrace(t *testing.T) {
	for _, how := range []string{"off", "recorded", "left out"} {
		for _, header := range []nats.Header{nil, {"traceparent": {traceparent}}} {
			t.Run(fmt.Sprintf("%s sender=%t", how, header != nil), func(t *testing.T) {
				core, lines := observer.New(zapcore.InfoLevel)
				r, recorder := traced(t, func(o *Options) {
					o.Log = zap.New(core)
					switch how {
					case "off":
						o.Tracer = nil
					case "left out":
						o.Tracer = sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample()))
					}
				})
				r.ensure()
				r.send(`{"id":"a","keys":["k"]}`, header)
				_, stop := r.start()
				r.ended(1)
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				line := lines.FilterMessage("message settled").All()[0].ContextMap()
				want := map[string]any{}
				if header != nil {
					want["trace"] = senderTrace
				}
				if how == "recorded" {
					at := spansOf(recorder, "process ")[0].SpanContext()
					want["trace"], want["span"] = at.TraceID().String(), at.SpanID().String()
				}
				got := map[string]any{}
				for _, key := range []string{"trace", "span"} {
					if v, ok := line[key]; ok {
						got[key] = v
					}
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Error(d)
				}
			})
		}
	}
}
