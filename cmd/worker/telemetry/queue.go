package telemetry

import (
	"context"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"

	"forager/pipeline/metrics"
)

// queue holds the spans on their way to the collector: a bounded number, held by a batch processor.
// What does not fit is lost, counted, and told once; nobody who ends a span ever waits.
type queue struct {
	sdktrace.SpanProcessor
	room int64
	now  atomic.Int64
	full atomic.Bool // it was told
	log  *zap.Logger

	mu      sync.Mutex
	failing bool
	losses  Losses // nil at first
}

// OnEnd takes a span that is sampled, if there is room.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.now.Add(1) <= q.room {
		q.SpanProcessor.OnEnd(s)
		return
	}
	q.now.Add(-1)
	q.lost(1, metrics.LostQueue)
	if !q.full.Swap(true) {
		q.log.Warn("spans end faster than the collector takes them: some are lost, and from here on only counted", zap.Int64("queue", q.room))
	}
}

func (q *queue) lost(spans int, why string) {
	q.mu.Lock()
	losses := q.losses
	q.mu.Unlock()
	if losses != nil {
		losses.SpansLost(spans, why)
	}
}

// told notes how a delivery went, and says it when it is news.
func (q *queue) told(spans int, err error) {
	q.now.Add(-int64(spans))
	q.mu.Lock()
	news := q.failing != (err != nil)
	q.failing = err != nil
	q.mu.Unlock()
	if err != nil {
		q.lost(spans, metrics.LostCollector)
	}
	switch {
	case news && err != nil:
		q.log.Warn("the collector takes no spans: they are lost until it does; detections are carried on", zap.Error(err))
	case news:
		q.log.Info("the collector takes spans again")
	}
}

// delivery is the exporter below the batch processor. It ends with lifetime, in the middle of a
// delivery if need be.
type delivery struct {
	*otlptrace.Exporter
	queue *queue
	bound func(context.Context) (context.Context, context.CancelFunc)
}

func newDelivery(lifetime context.Context, to *otlptrace.Exporter, q *queue) *delivery {
	return &delivery{
		Exporter: to, queue: q,
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
	d.queue.told(len(spans), d.Exporter.ExportSpans(ctx, spans))
	return nil
}

var (
	_ sdktrace.SpanProcessor = (*queue)(nil)
	_ sdktrace.SpanExporter  = (*delivery)(nil)
)
