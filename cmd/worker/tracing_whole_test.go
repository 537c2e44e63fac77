package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"
	collectpb "go.opentelemetry.io/proto/otlp/trace/v1"

	"forager/cmd/worker/demo/servers"
	"forager/cmd/worker/telemetry/collectortest"
	"forager/cmd/worker/workertest"
	"forager/hive/hivetest"
	"forager/pipeline/natstest"
)

// The context of a sender that traces what it publishes.
const (
	sendersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	sendersSpan  = "00f067aa0ba902b7"
)

// tracedRun is "worker run" between an embedded NATS and a simulated TheHive, which notes whose trace
// its calls belong to.
type tracedRun struct {
	t    *testing.T
	hive *hivetest.Hive
	js   jetstream.JetStream
	log  bytes.Buffer
	stop func() (code int)

	mu    sync.Mutex
	calls map[string]string // method and path → traceparent, of the last such call
}

func (r *tracedRun) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	r.calls[q.Method+" "+q.URL.Path] = q.Header.Get("traceparent")
	r.mu.Unlock()
	r.hive.ServeHTTP(w, q)
}

// embeddedJetStream is a server of its own, and a client as a sender has one.
func embeddedJetStream(t *testing.T) (url string, js jetstream.JetStream) {
	t.Helper()
	embedded, err := natstest.Start(t.TempDir())
	workertest.Must(t, err)
	t.Cleanup(embedded.Close)
	nc, err := nats.Connect(embedded.URL())
	workertest.Must(t, err)
	t.Cleanup(nc.Close)
	js, err = jetstream.New(nc)
	workertest.Must(t, err)
	return embedded.URL(), js
}

// newTracedRun publishes one detection with its sender's context, and runs the worker.
func newTracedRun(t *testing.T, env ...string) *tracedRun {
	t.Helper()
	r := &tracedRun{t: t, hive: hivetest.New(hivetest.Options{}), calls: map[string]string{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	url, js := embeddedJetStream(t)
	r.js = js
	_, err := r.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "DEMO", Subjects: []string{"demo.>"}})
	workertest.Must(t, err)
	_, err = r.js.PublishMsg(t.Context(), &nats.Msg{
		Subject: "demo.native", Header: nats.Header{"traceparent": {"00-" + sendersTrace + "-" + sendersSpan + "-01"}},
		Data: []byte(`{"schema":"forager.detection/v1","id":"d-1","time":"2026-03-02T08:12:40Z","title":"One","severity":2,"host":"web01","techniques":["T1059.001"]}`),
	})
	workertest.Must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running conc.WaitGroup
	code := -1
	quiet := func(v string) bool { return strings.HasPrefix(v, "FORAGER_LOG_") }
	env = append(slices.DeleteFunc(servers.Config(url, server.URL), quiet), append(env, "FORAGER_OPS_ADDR=")...)
	running.Go(func() { code = run(ctx, []string{"run"}, env, strings.NewReader(""), t.Output(), &r.log) })
	r.stop = sync.OnceValue(func() int { cancel(); running.Wait(); return code })
	t.Cleanup(func() { r.stop() })
	return r
}

// settled waits until the message is acknowledged, and stops the worker.
func (r *tracedRun) settled() {
	r.t.Helper()
	workertest.Eventually(r.t, "the acknowledgement", func() bool {
		c, err := r.js.Consumer(r.t.Context(), "DEMO", "demo")
		return err == nil && c.CachedInfo().AckFloor.Stream == 1
	})
	if code := r.stop(); code != exitDone {
		r.t.Fatalf("exit %d: %s", code, r.log.String())
	}
}

// line is the log's line with a message.
func (r *tracedRun) line(msg string) map[string]any {
	r.t.Helper()
	for text := range strings.Lines(r.log.String()) {
		var l map[string]any
		workertest.Must(r.t, json.Unmarshal([]byte(text), &l))
		if l["msg"] == msg {
			return l
		}
	}
	return nil
}

func TestATraceLeadsFromTheSenderToEveryCall(t *testing.T) {
	t.Parallel()
	g := &collectortest.Collector{}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	r := newTracedRun(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL)
	r.settled()
	messages, applies := g.Named("process DEMO"), g.Named("apply")
	if len(messages) != 1 || len(applies) != 1 {
		t.Fatalf("%d messages, %d applies", len(messages), len(applies))
	}
	message, apply := messages[0], applies[0]
	if hex.EncodeToString(message.GetTraceId()) != sendersTrace || hex.EncodeToString(message.GetParentSpanId()) != sendersSpan {
		t.Errorf("the message is below %x in %x", message.GetParentSpanId(), message.GetTraceId())
	}
	if !bytes.Equal(apply.GetParentSpanId(), message.GetSpanId()) {
		t.Errorf("the apply is below %x, not below the message", apply.GetParentSpanId())
	}
	var calls []string
	for _, s := range g.Spans() {
		if s.GetKind() != collectpb.Span_SPAN_KIND_CLIENT || !bytes.Equal(s.GetTraceId(), message.GetTraceId()) {
			continue
		}
		if !bytes.Equal(s.GetParentSpanId(), apply.GetSpanId()) {
			t.Errorf("%s is below %x, not below the apply", s.GetName(), s.GetParentSpanId())
		}
		calls = append(calls, s.GetName())
	}
	for _, want := range []string{"POST /api/v1/query", "POST /api/v1/case", "POST /api/v1/case/{id}/procedures"} {
		if !slices.Contains(calls, want) {
			t.Errorf("no span of %s among %q", want, calls)
		}
	}
	if got, want := r.calls["POST /api/v1/case"], "00-"+sendersTrace+"-"+hex.EncodeToString(g.Named("POST /api/v1/case")[0].GetSpanId())+"-01"; got != want {
		t.Errorf("TheHive was told %q, want %q", got, want)
	}
	if l := r.line("message settled"); l["trace"] != sendersTrace || l["span"] != hex.EncodeToString(message.GetSpanId()) {
		t.Errorf("line %v", l)
	}
}

func TestACollectorThatIsAwayKeepsNoDetectionUp(t *testing.T) {
	t.Parallel()
	nobody, err := workertest.FreeAddress(t.Context())
	workertest.Must(t, err)
	r := newTracedRun(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+nobody, "OTEL_EXPORTER_OTLP_TIMEOUT=500", "OTEL_BSP_SCHEDULE_DELAY=10")
	r.settled()
	if l := r.line("message settled"); l["action"] != "ack" {
		t.Errorf("line %v", l)
	}
	if l := r.line("the collector takes no spans: they are lost until it does; detections are carried on"); !strings.Contains(fmt.Sprint(l["error"]), "connection refused") {
		t.Errorf("said of the collector: %v", l)
	}
}

// TestWithoutTracesTheHiveIsToldNone, and the line in the log has the sender's all the same.
func TestWithoutTracesTheHiveIsToldNone(t *testing.T) {
	t.Parallel()
	r := newTracedRun(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_TRACES_EXPORTER=none")
	r.settled()
	if got := r.calls["POST /api/v1/case"]; got != "" {
		t.Errorf("TheHive was told %q", got)
	}
	if l := r.line("message settled"); l["trace"] != sendersTrace || l["span"] != nil {
		t.Errorf("line %v", l)
	}
}
