package telemetry

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// Options say who sends traces, and what the environment asks for.
type Options struct {
	Env     []string // "NAME=value", the last of a name counts
	Version string   // of the worker, as service.version
	Host    string   // its name, as host.name
	Log     *zap.Logger
}

// Losses counts spans that never reached the collector. The reasons are those of
// metrics.Metrics: "queue full" and "collector".
type Losses interface {
	SpansLost(spans int, reason string)
}

// Traces sends spans to a collector; nil sends none. All methods may be called on nil.
type Traces struct {
	provider *sdktrace.TracerProvider
	queue    *queue
	abandon  context.CancelFunc // what is still on its way
	log      *zap.Logger
}

// flushWithin is how long a stop waits for spans that are not delivered.
const flushWithin = 2 * time.Second

// Start begins as OpenTelemetry's variables say, and returns nil where they ask for no traces. Its
// error names what is wrong with them. Nothing of it is global but the handler of the SDK's own
// errors, which there is no other way to hear.
func Start(ctx context.Context, o Options) (*Traces, error) {
	s, err := read(o)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, nil //nolint:nilnil // off is no error
	}
	return start(ctx, o.Log, s, s.client()), nil
}

// Check tells what is wrong with the variables; nil is nothing.
func Check(o Options) error {
	_, err := read(o)
	return err
}

func start(ctx context.Context, log *zap.Logger, s *settings, via *http.Client) *Traces {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("tracing", zap.Error(err)) }))
	lifetime, abandon := context.WithCancel(context.WithoutCancel(ctx))
	q := &queue{room: int64(s.queue), log: log}
	q.SpanProcessor = sdktrace.NewBatchSpanProcessor(newDelivery(lifetime, s.exporter(via), q), func(o *sdktrace.BatchSpanProcessorOptions) {
		o.MaxQueueSize, o.MaxExportBatchSize, o.BatchTimeout, o.ExportTimeout = s.queue, s.batch, s.delay, s.within
	})
	log.Info("traces go to a collector", zap.String("endpoint", s.endpoint), zap.String("sampler", s.sampling))
	return &Traces{
		queue: q, abandon: abandon, log: log,
		provider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(q), sdktrace.WithSampler(s.sampler), sdktrace.WithResource(s.resource)),
	}
}

// client carries deliveries. It follows no redirect: the headers may hold credentials, which are
// not for whoever an answer points to.
func (s *settings) client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: s.tls, ForceAttemptHTTP2: true,
			MaxIdleConns: 1, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: s.timeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// exporter delivers over OTLP/HTTP, and tries again for as long as the settings allow where the
// collector asks for it or does not answer.
func (s *settings) exporter(via *http.Client) *otlptrace.Exporter {
	compression := otlptracehttp.NoCompression
	if s.compress {
		compression = otlptracehttp.GzipCompression
	}
	return otlptrace.NewUnstarted(otlptracehttp.NewClient(
		otlptracehttp.WithHTTPClient(via), otlptracehttp.WithEndpointURL(s.endpoint), otlptracehttp.WithHeaders(s.headers),
		otlptracehttp.WithCompression(compression), otlptracehttp.WithTimeout(s.timeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second / 2, MaxInterval: 5 * time.Second, MaxElapsedTime: s.timeout,
		}),
	))
}

// Provider makes the tracers of the worker; nil when traces are off.
func (t *Traces) Provider() trace.TracerProvider {
	if t == nil {
		return nil
	}
	return t.provider
}

// CountLosses counts what is lost from here on.
func (t *Traces) CountLosses(l Losses) {
	if t == nil {
		return
	}
	t.queue.mu.Lock()
	defer t.queue.mu.Unlock()
	t.queue.losses = l
}

// Close delivers what is left, as far as it can be done within two seconds.
func (t *Traces) Close(ctx context.Context) {
	if t == nil {
		return
	}
	defer t.abandon()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last spans were not delivered", zap.Error(err))
	}
}
