package telemetry

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"forager/cmd/worker/telemetry/collectortest"
)

// losses counts by reason.
type losses struct {
	mu sync.Mutex
	by map[string]int
}

func (l *losses) SpansLost(spans int, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[string]int{}
	}
	l.by[reason] += spans
}

func (l *losses) seen() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.by)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// gathering serves a collector.
func gathering(t *testing.T, answer func(call int) int) (*collectortest.Collector, string) {
	t.Helper()
	c := &collectortest.Collector{Answer: answer}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return c, server.URL
}

// began makes traces that go to an address.
func began(t *testing.T, log *zap.Logger, address string, env ...string) *Traces {
	t.Helper()
	s, err := Start(t.Context(), Options{Env: append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + address}, env...), Log: log})
	must(t, err)
	return s
}

func TestSpansReachTheCollectorWithHeadersAndCompressed(t *testing.T) {
	g, address := gathering(t, func(call int) int {
		return map[bool]int{true: http.StatusServiceUnavailable, false: http.StatusOK}[call == 1]
	})
	s := began(t, zap.NewNop(), address, "OTEL_EXPORTER_OTLP_HEADERS=x-key=k", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_SERVICE_NAME=carrier")
	_, span := s.Provider().Tracer("t").Start(t.Context(), "one")
	span.End()
	must(t, s.provider.ForceFlush(t.Context()))
	s.Close(t.Context())
	if len(g.Named("one")) != 1 || g.Service() != "carrier" || len(g.Headers()) != 2 || g.Headers()[1].Get("X-Key") != "k" {
		t.Errorf("%d spans of %s after %d calls", len(g.Spans()), g.Service(), len(g.Headers()))
	}
}

// TestACollectorThatRefusesIsToldOfOnceAndCounted, and so is its return.
func TestACollectorThatRefusesIsToldOfOnceAndCounted(t *testing.T) {
	core, lines := observer.New(zap.InfoLevel)
	g, address := gathering(t, func(call int) int { return map[bool]int{true: http.StatusForbidden, false: http.StatusOK}[call < 4] })
	s := began(t, zap.New(core), address)
	var count losses
	s.CountLosses(&count)
	for range 5 {
		_, span := s.Provider().Tracer("t").Start(t.Context(), "one")
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
	if !slices.Equal(said, want) || len(g.Named("one")) != 2 {
		t.Errorf("%d spans arrived; said %q", len(g.Spans()), said)
	}
	if d := cmp.Diff(map[string]int{"collector": 3}, count.seen()); d != "" {
		t.Error(d)
	}
}

// TestACollectorThatAsksForPatienceGetsItWithinTheTimeOut: what it asks for beyond is a failure that says why.
func TestACollectorThatAsksForPatienceGetsItWithinTheTimeOut(t *testing.T) {
	for wait, want := range map[string]int{"3": 2, "60": 1} {
		synctest.Test(t, func(t *testing.T) {
			core, lines := observer.New(zap.WarnLevel)
			asked := &patient{wait: wait}
			s, err := read(Options{Env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c", "OTEL_EXPORTER_OTLP_TIMEOUT=5000"}})
			must(t, err)
			traces := start(t.Context(), zap.New(core), s, &http.Client{Transport: asked})
			began := time.Now()
			_, span := traces.Provider().Tracer("t").Start(t.Context(), "one")
			span.End()
			must(t, traces.provider.ForceFlush(t.Context()))
			took := time.Since(began)
			traces.Close(t.Context())
			if took > 5*time.Second || asked.calls != want {
				t.Errorf("asked to wait %s s: %d calls in %v", wait, asked.calls, took)
			}
			if (lines.Len() == 0) != (want == 2) {
				t.Errorf("asked to wait %s s: %v", wait, lines.All())
			}
		})
	}
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
		var count losses
		read, err := read(Options{Env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c", "OTEL_BSP_MAX_QUEUE_SIZE=4"}})
		must(t, err)
		silent := &silence{asked: make(chan struct{}, 100)}
		s := start(t.Context(), zap.New(core), read, &http.Client{Transport: silent})
		s.CountLosses(&count)
		start := time.Now()
		for range 10 {
			_, span := s.Provider().Tracer("t").Start(t.Context(), "one")
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
		if got := count.seen()["queue full"]; got != 6 {
			t.Errorf("%d counted as lost", got)
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
