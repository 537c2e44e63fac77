package main

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	collectpb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/protobuf/proto"
)

// gathering is a collector that keeps what it gets, or answers what it is told to.
type gathering struct {
	*httptest.Server
	mu      sync.Mutex
	spans   []*collectpb.Span
	service string
	headers []http.Header
	answer  func(call int) int // nil: 200
	changed chan struct{}
}

func newGathering(t *testing.T, answer func(call int) int) *gathering {
	t.Helper()
	g := &gathering{answer: answer, changed: make(chan struct{}, 1)}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *gathering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	text, err := io.ReadAll(body)
	var data collectpb.TracesData
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(text, &data) != nil {
		http.Error(w, "no traces", http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.headers = append(g.headers, r.Header)
	if g.answer != nil {
		if status := g.answer(len(g.headers)); status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
	}
	for _, rs := range data.GetResourceSpans() {
		for _, kv := range rs.GetResource().GetAttributes() {
			if kv.GetKey() == "service.name" {
				g.service = kv.GetValue().GetStringValue()
			}
		}
		for _, ss := range rs.GetScopeSpans() {
			g.spans = append(g.spans, ss.GetSpans()...)
		}
	}
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// named are the spans of a name.
func (g *gathering) named(name string) []*collectpb.Span {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(g.spans), func(s *collectpb.Span) bool { return s.GetName() != name })
}

// began makes traces that go to an address.
func began(t *testing.T, log *zap.Logger, address string, env ...string) *traces {
	t.Helper()
	s, err := newTraces(t.Context(), append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + address}, env...), log)
	must(t, err)
	return s
}

func TestSpansReachTheCollectorWithHeadersAndCompressed(t *testing.T) {
	g := newGathering(t, func(call int) int {
		return map[bool]int{true: http.StatusServiceUnavailable, false: http.StatusOK}[call == 1]
	})
	s := began(t, zap.NewNop(), g.URL, "OTEL_EXPORTER_OTLP_HEADERS=x-key=k", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_SERVICE_NAME=carrier")
	_, span := s.tracer().Tracer("t").Start(t.Context(), "one")
	span.End()
	must(t, s.provider.ForceFlush(t.Context()))
	s.Close(t.Context())
	if len(g.named("one")) != 1 || g.service != "carrier" || len(g.headers) != 2 || g.headers[1].Get("X-Key") != "k" {
		t.Errorf("%d spans of %s after %d calls", len(g.spans), g.service, len(g.headers))
	}
}

// TestACollectorThatRefusesIsToldOfOnceAndCounted, and so is its return.
func TestACollectorThatRefusesIsToldOfOnceAndCounted(t *testing.T) {
	core, lines := observer.New(zap.InfoLevel)
	g := newGathering(t, func(call int) int { return map[bool]int{true: http.StatusForbidden, false: http.StatusOK}[call < 4] })
	s := began(t, zap.New(core), g.URL)
	m, err := newMeasures()
	must(t, err)
	s.measured(m.metrics)
	for range 5 {
		_, span := s.tracer().Tracer("t").Start(t.Context(), "one")
		span.End()
		must(t, s.provider.ForceFlush(t.Context()))
	}
	s.Close(t.Context())
	var said []string
	for _, l := range lines.All() {
		said = append(said, l.Message)
	}
	want := []string{
		"traces go to a collector", "the collector takes no spans: they are lost until it does; detections are carried on",
		"the collector takes spans again",
	}
	if !slices.Equal(said, want) || len(g.named("one")) != 2 {
		t.Errorf("%d spans arrived; said %q", len(g.spans), said)
	}
	if _, _, text := scrape(t, m.handler(), "/metrics", ""); !strings.Contains(text, `forager_spans_lost_total{reason="collector"} 3`) {
		t.Error("the lost spans are not counted")
	}
}

// TestACollectorThatAsksForPatienceGetsItWithinTheTimeOut: what it asks for beyond is a failure that says why.
func TestACollectorThatAsksForPatienceGetsItWithinTheTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := readTraces([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c", "OTEL_EXPORTER_OTLP_TIMEOUT=5000"})
		must(t, err)
		c := newCollector(s)
		for wait, want := range map[string]time.Duration{"3": 3 * time.Second, "60": 0} {
			asked := &patient{wait: wait}
			c.client.Transport = asked
			start := time.Now()
			err := c.UploadTraces(t.Context(), nil)
			if took := time.Since(start); took != want {
				t.Errorf("asked to wait %s s, waited %v", wait, took)
			}
			if (err == nil) != (want > 0) || err != nil && !strings.Contains(err.Error(), "answers 429") {
				t.Errorf("asked to wait %s s: %v", wait, err)
			}
		}
	})
}

// patient asks once to come again later.
type patient struct {
	wait  string
	calls int
}

func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	p.calls++
	if p.calls == 1 {
		return &http.Response{StatusCode: 429, Status: "429 Too Many Requests", Header: http.Header{"Retry-After": {p.wait}}, Body: http.NoBody, Request: r}, nil
	}
	return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
}

// TestASilentCollectorHoldsNobodyUp: what does not fit is counted, and the stop takes two seconds.
func TestASilentCollectorHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zap.InfoLevel)
		m, err := newMeasures()
		must(t, err)
		s := began(t, zap.New(core), "http://127.0.0.1:1", "OTEL_BSP_MAX_QUEUE_SIZE=4")
		s.measured(m.metrics)
		silent := &silence{asked: make(chan struct{}, 100)}
		s.collector.client.Transport = silent
		start := time.Now()
		for range 10 {
			_, span := s.tracer().Tracer("t").Start(t.Context(), "one")
			span.End()
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("ten spans took %v", took)
		}
		<-silent.asked
		s.Close(t.Context())
		if took := time.Since(start); took > flushWithin {
			t.Errorf("stopped after %v", took)
		}
		synctest.Wait()
		if n := lines.FilterMessageSnippet("some are lost").Len(); n != 1 {
			t.Errorf("told %d times", n)
		}
		if _, _, text := scrape(t, m.handler(), "/metrics", ""); !strings.Contains(text, `forager_spans_lost_total{reason="queue full"} 6`) {
			t.Error("the lost spans are not counted")
		}
	})
}

// silence never answers.
type silence struct{ asked chan struct{} }

func (s *silence) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked <- struct{}{}
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
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
