package main

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"forager/pipeline"
)

// traces sends spans to an OpenTelemetry collector; nil sends none.
type traces struct {
	provider  *sdktrace.TracerProvider
	out       *outgoing
	collector *collector
	abandon   context.CancelFunc // what is still on its way
}

// flushWithin is how long a stop waits for spans that are not delivered.
const flushWithin = 2 * time.Second

// newTraces begins as OpenTelemetry's variables say; they are the caller's when they are wrong.
// Nothing of it is global but the handler of the SDK's own errors, which there is no other way to hear.
func newTraces(ctx context.Context, env []string, log *zap.Logger) (*traces, error) {
	s, err := readTraces(env)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, nil //nolint:nilnil // off is no error
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("tracing", zap.Error(err)) }))
	lifetime, abandon := context.WithCancel(context.WithoutCancel(ctx))
	out, to := &outgoing{room: int64(s.queue), log: log}, newCollector(s)
	out.SpanProcessor = sdktrace.NewBatchSpanProcessor(newDelivery(lifetime, to, out), func(o *sdktrace.BatchSpanProcessorOptions) {
		o.MaxQueueSize, o.MaxExportBatchSize, o.BatchTimeout, o.ExportTimeout = s.queue, s.batch, s.delay, s.within
	})
	log.Info("traces go to a collector", zap.String("endpoint", s.endpoint), zap.String("sampler", s.sampling))
	return &traces{
		out: out, collector: to, abandon: abandon,
		provider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(out), sdktrace.WithSampler(s.sampler), sdktrace.WithResource(s.resource)),
	}, nil
}

// tracer is the provider, nil when traces are off.
func (t *traces) tracer() trace.TracerProvider {
	if t == nil {
		return nil
	}
	return t.provider
}

// measured counts what is lost from here on.
func (t *traces) measured(m *pipeline.Metrics) {
	if t == nil {
		return
	}
	t.out.mu.Lock()
	defer t.out.mu.Unlock()
	t.out.metrics = m
}

// Close delivers what is left, as far as it can be done soon.
func (t *traces) Close(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.out.log.Warn("the last spans were not delivered", zap.Error(err))
	}
	t.abandon()
}
