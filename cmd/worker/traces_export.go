package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"forager/pipeline"
)

// collector takes spans over OTLP/HTTP. The exporter of OpenTelemetry that does the same brings the
// whole of gRPC along, in words that this one never says.
type collector struct {
	settings *traceSettings
	client   *http.Client
}

func newCollector(s *traceSettings) *collector {
	return &collector{settings: s, client: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: s.tls, ForceAttemptHTTP2: true,
			MaxIdleConns: 1, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: s.timeout,
		},
		// The headers may hold credentials, which are not for whoever an answer points to.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Start has nothing to do.
func (c *collector) Start(context.Context) error { return nil }

// Stop closes the connection.
func (c *collector) Stop(context.Context) error {
	c.client.CloseIdleConnections()
	return nil
}

// UploadTraces delivers spans, and tries again for as long as the settings allow where the
// collector asks for it or does not answer.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans}) // on the wire the same as a request to export
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	if body, err = c.packed(body); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.settings.timeout)
	defer cancel()
	var why error // of the last try: the end of all tries says less
	try := func() (struct{}, error) { why = c.post(ctx, body); return struct{}{}, why }
	if _, err := backoff.Retry(ctx, try, backoff.WithMaxElapsedTime(c.settings.timeout)); err != nil {
		return why
	}
	return nil
}

func (c *collector) packed(body []byte) ([]byte, error) {
	if !c.settings.compress {
		return body, nil
	}
	var small bytes.Buffer
	w := gzip.NewWriter(&small)
	if _, err := w.Write(body); err != nil {
		return nil, fmt.Errorf("compress spans: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress spans: %w", err)
	}
	return small.Bytes(), nil
}

// mostAnswer bounds what is read of an answer, which means nothing beyond its status.
const mostAnswer = 64 << 10

// post delivers once.
func (c *collector) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.settings.endpoint, bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(fmt.Errorf("deliver spans: %w", err))
	}
	for key, value := range c.settings.headers {
		req.Header.Set(key, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", "forager")
	if c.settings.compress {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("deliver spans: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, mostAnswer)) // so that the connection is kept
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return nil
	}
	return refusal(c.settings.endpoint, resp)
}

// refusal is the error of an answer that is no success; the specification of OTLP/HTTP names
// those after which to try again.
func refusal(endpoint string, resp *http.Response) error {
	err := fmt.Errorf("deliver spans: %s answers %s", endpoint, resp.Status)
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if seconds, bad := strconv.Atoi(resp.Header.Get("Retry-After")); bad == nil && seconds > 0 {
			return fmt.Errorf("%w: %w", err, backoff.RetryAfter(seconds))
		}
		return err
	default:
		return backoff.Permanent(err)
	}
}

// outgoing are the spans on their way to the collector: a bounded number, held by a batch processor.
// What does not fit is lost, counted, and told once; nobody who ends a span ever waits.
type outgoing struct {
	sdktrace.SpanProcessor
	room int64
	now  atomic.Int64
	full atomic.Bool // it was told
	log  *zap.Logger

	mu      sync.Mutex
	failing bool
	metrics *pipeline.Metrics // nil at first
}

// OnEnd takes a span that is sampled, if there is room.
func (o *outgoing) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if o.now.Add(1) <= o.room {
		o.SpanProcessor.OnEnd(s)
		return
	}
	o.now.Add(-1)
	o.lost(1, pipeline.LostQueue)
	if !o.full.Swap(true) {
		o.log.Warn("spans end faster than the collector takes them: some are lost, and from here on only counted", zap.Int64("queue", o.room))
	}
}

func (o *outgoing) lost(spans int, why string) {
	o.mu.Lock()
	metrics := o.metrics
	o.mu.Unlock()
	if metrics != nil {
		metrics.SpansLost(spans, why)
	}
}

// told notes how a delivery went, and says it when it is news.
func (o *outgoing) told(spans int, err error) {
	o.now.Add(-int64(spans))
	o.mu.Lock()
	news := o.failing != (err != nil)
	o.failing = err != nil
	o.mu.Unlock()
	if err != nil {
		o.lost(spans, pipeline.LostCollector)
	}
	switch {
	case news && err != nil:
		o.log.Warn("the collector takes no spans: they are lost until it does; detections are carried on", zap.Error(err))
	case news:
		o.log.Info("the collector takes spans again")
	}
}

// delivery is the exporter below the batch processor. It ends with lifetime, in the middle of a
// delivery if need be.
type delivery struct {
	*otlptrace.Exporter
	out   *outgoing
	bound func(context.Context) (context.Context, context.CancelFunc)
}

func newDelivery(lifetime context.Context, to *collector, out *outgoing) *delivery {
	return &delivery{
		Exporter: otlptrace.NewUnstarted(to), out: out,
		bound: func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			stop := context.AfterFunc(lifetime, cancel)
			return ctx, func() { stop(); cancel() }
		},
	}
}

// ExportSpans delivers a batch. What became of it is told here, not by the error.
func (d *delivery) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, done := d.bound(ctx)
	defer done()
	d.out.told(len(spans), d.Exporter.ExportSpans(ctx, spans))
	return nil
}

var (
	_ otlptrace.Client       = (*collector)(nil)
	_ sdktrace.SpanProcessor = (*outgoing)(nil)
	_ sdktrace.SpanExporter  = (*delivery)(nil)
)
