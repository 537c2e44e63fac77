package pipeline

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc/pool"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"forager/enrich"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// BenchmarkPipeline compares, in one run, the worker with an applier that costs nothing to bare
// consumption with the same number of confirmed acknowledgements in flight. It reports messages
// a second of each and their ratio.
func BenchmarkPipeline(b *testing.B) {
	for _, keys := range []int{1, 5, 50, 4000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			const messages = 40_000
			for b.Loop() {
				bare := rateOf(b, keys, messages, consumeBare)
				worker := rateOf(b, keys, messages, consumeWorker)
				b.ReportMetric(bare, "bare/s")
				b.ReportMetric(worker, "worker/s")
				b.ReportMetric(worker/bare, "ratio")
			}
		})
	}
}

// rateOf fills a new server with a backlog and times how it is consumed.
func rateOf(b *testing.B, keys, messages int, consume func(*testing.B, *stream.Link, int)) float64 {
	b.Helper()
	server, err := natstest.Start(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	link, err := stream.Connect(b.Context(), stream.Connection{URLs: []string{server.URL()}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer link.Close()
	if err := stream.Ensure(b.Context(), link, benchOptions().Streams()); err != nil {
		b.Fatal(err)
	}
	backlog(b, link, keys, messages)
	began := time.Now()
	consume(b, link, messages)
	return float64(messages) / time.Since(began).Seconds()
}

func benchOptions() Options {
	return Options{Topology: stream.Topology{Stream: "DET", Consumer: "worker", Subjects: []string{"alerts.>"}, Manage: true}}
}

// backlog publishes messages of one kilobyte.
func backlog(b *testing.B, link *stream.Link, keys, messages int) {
	b.Helper()
	js, err := jetstream.New(link.Conn(), jetstream.WithPublishAsyncMaxPending(4000))
	if err != nil {
		b.Fatal(err)
	}
	padding := strings.Repeat("x", 960)
	for i := range messages {
		body := fmt.Sprintf(`{"id":"%d","keys":["key%d"],"padding":"%s"}`, i, i%keys, padding)
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: "alerts.test", Data: []byte(body)}, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}

func consumeBare(b *testing.B, link *stream.Link, messages int) {
	b.Helper()
	consumer, err := link.JetStream().Consumer(b.Context(), "DET", "worker")
	if err != nil {
		b.Fatal(err)
	}
	acks := pool.New().WithMaxGoroutines(64)
	done := make(chan struct{})
	var n atomic.Int64
	subscription, err := consumer.Consume(func(msg jetstream.Msg) {
		acks.Go(func() {
			if msg.DoubleAck(b.Context()) == nil && n.Add(1) == int64(messages) {
				close(done)
			}
		})
	}, jetstream.PullMaxMessages(500), jetstream.PullExpiry(stream.PullExpiry), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		b.Fatal(err)
	}
	<-done
	subscription.Stop()
	acks.Wait()
}

func consumeWorker(b *testing.B, link *stream.Link, messages int) {
	b.Helper()
	work(b, link, nil, &scripted{}, &countdown{left: int64(messages), done: make(chan struct{})})
}

// work runs a worker until all has ended.
func work(b *testing.B, link *stream.Link, provider trace.TracerProvider, applier Applier, ends *countdown) {
	b.Helper()
	options := benchOptions()
	options.Observer, options.Tracer = ends, provider
	w, err := New(link, options, decoding{}, planning{}, applier)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	running := pool.New()
	running.Go(func() { _ = w.Run(ctx) })
	<-ends.done
	cancel()
	running.Wait()
}

// countdown is an observer that waits for so many ends.
type countdown struct {
	nobody
	left int64
	done chan struct{}
	naks atomic.Int64
}

func (c *countdown) Settled(s Settlement) {
	if s.Action == ActionNak {
		c.naks.Add(1)
		return
	}
	if atomic.AddInt64(&c.left, -1) == 0 {
		close(c.done)
	}
}

// BenchmarkHotKeys times few keys whose every apply takes as long as five calls of 20 ms, and
// reports how many plans one apply carried, and how many messages went back for want of room.
func BenchmarkHotKeys(b *testing.B) {
	for _, keys := range []int{1, 5, 200} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			for b.Loop() {
				const messages = 20_000
				slow := &scripted{}
				slow.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
					<-time.After(100 * time.Millisecond)
					return make([]error, len(plans))
				})
				ends := &countdown{left: messages, done: make(chan struct{})}
				rate := rateOf(b, keys, messages, func(b *testing.B, link *stream.Link, _ int) { work(b, link, nil, slow, ends) })
				b.ReportMetric(rate, "messages/s")
				b.ReportMetric(float64(messages)/float64(len(slow.batches)), "plans/apply")
				b.ReportMetric(float64(ends.naks.Load())/messages, "naks/message")
			}
		})
	}
}

// forgetful is an applier that does nothing and remembers nothing.
type forgetful struct{}

func (forgetful) Apply(_ context.Context, b enrich.Batch) []error {
	return make([]error, len(b.Plans))
}

// BenchmarkTracing compares, in one run, the worker without traces to one whose sampler keeps none,
// and to one that keeps all and gives them to an exporter that throws them away. It reports messages a second of the first and the
// ratios of the others to it.
func BenchmarkTracing(b *testing.B) {
	const messages = 40_000
	rate := func(provider trace.TracerProvider) float64 {
		return rateOf(b, 50, messages, func(b *testing.B, link *stream.Link, messages int) {
			work(b, link, provider, &scripted{}, &countdown{left: int64(messages), done: make(chan struct{})})
		})
	}
	for b.Loop() {
		off := rate(nil)
		b.ReportMetric(off, "off/s")
		b.ReportMetric(rate(sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample())))/off, "none/off")
		b.ReportMetric(rate(sdk.NewTracerProvider(sdk.WithSampler(sdk.AlwaysSample()), sdk.WithBatcher(tracetest.NewNoopExporter())))/off, "all/off")
	}
}
