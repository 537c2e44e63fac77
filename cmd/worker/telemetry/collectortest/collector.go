// Package collectortest is an OpenTelemetry collector for tests: it keeps the spans that it gets
// over OTLP/HTTP, or answers what it is told to.
package collectortest

import (
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"sync"

	collectpb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector takes traces at /v1/traces, plain or in gzip. It serves many calls at once.
type Collector struct {
	// Answer, unless it is nil, gives the HTTP status of each call; the first is 1. What is not
	// answered with 200 is not kept.
	Answer func(call int) int

	mu      sync.Mutex
	spans   []*collectpb.Span
	service string
	headers []http.Header
}

// ServeHTTP takes one delivery.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, ok := read(r)
	if !ok {
		http.Error(w, "no traces", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = append(c.headers, r.Header)
	if c.Answer != nil {
		if status := c.Answer(len(c.headers)); status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
	}
	for _, from := range data.GetResourceSpans() {
		for _, kv := range from.GetResource().GetAttributes() {
			if kv.GetKey() == "service.name" {
				c.service = kv.GetValue().GetStringValue()
			}
		}
		for _, scope := range from.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
}

// read decodes a delivery.
func read(r *http.Request) (*collectpb.TracesData, bool) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, false
		}
		body = unpacked
	}
	text, err := io.ReadAll(body)
	var data collectpb.TracesData
	return &data, err == nil && r.URL.Path == "/v1/traces" && proto.Unmarshal(text, &data) == nil
}

// Spans are those that were kept, in the order of their arrival.
func (c *Collector) Spans() []*collectpb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Named are the kept spans of a name.
func (c *Collector) Named(name string) []*collectpb.Span {
	return slices.DeleteFunc(c.Spans(), func(s *collectpb.Span) bool { return s.GetName() != name })
}

// Service is the service.name of the last spans that were kept.
func (c *Collector) Service() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.service
}

// Headers are those of each call, in order.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.headers)
}
