package service

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"forager/cmd/worker/recent"
	"forager/cmd/worker/shell"
	"forager/enrich/apply"
	"forager/hive"
	"forager/pipeline"
	"forager/pipeline/metrics"
	"forager/pipeline/stream"
)

// measureEvery is how often NATS is asked how far behind the consumer is.
const measureEvery = 15 * time.Second

// Entries of cases that are over are looked for once in so long, and so many keys in a second: a
// sweep must not be felt.
const (
	sweepEvery = time.Hour
	sweepPause = 20 * time.Millisecond
)

// measures are the metrics of one worker, in a registry of their own.
type measures struct {
	registry *prometheus.Registry
	metrics  *metrics.Metrics
}

func newMeasures() (*measures, error) {
	r := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	m, err := metrics.New(r, shell.Version())
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return &measures{registry: r, metrics: m}, nil
}

// handler answers scrapes, in the format that the scraper asks for: native histograms need its protobuf.
func (m *measures) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, EnableOpenMetrics: true})
}

// called counts an attempt of a call at TheHive.
func (m *measures) called(c hive.Call) { m.metrics.Called(c.Op, c.Status, c.Duration) }

// observers tells several, in their order.
type observers []pipeline.Observer

// observer is the metrics and, where there is one, another.
func (m *measures) observer(other pipeline.Observer) pipeline.Observer {
	if other == nil {
		return m.metrics
	}
	return observers{m.metrics, other}
}

func (all observers) Settled(s pipeline.Settlement) {
	for _, o := range all {
		o.Settled(s)
	}
}

func (all observers) Gate(open bool, reason string) {
	for _, o := range all {
		o.Gate(open, reason)
	}
}

func (all observers) Noticed(what string) {
	for _, o := range all {
		o.Noticed(what)
	}
}

// happenings tells the log and the metrics.
type happenings struct {
	log     eventLog
	metrics *metrics.Metrics
	history *recent.History // nil: there is no page
}

func (h happenings) Happened(e apply.Event) {
	h.metrics.Happened(e)
	if h.history != nil {
		h.history.Happened(e)
	}
	h.log.Happened(e)
}

// watched adds to the metrics what is read at each scrape.
func (s *Service) watched() error {
	ready := func() bool { ok, _ := s.Ready(); return ok }
	s.parts.measures.metrics.WatchRollbacks(s.rollbacks.Stands)
	return errors.Join(s.parts.measures.metrics.WatchThresholds(s.worker.Thresholds), s.parts.measures.metrics.Watch(s.worker.Held, s.parts.clients.throttle.Limit, ready, s.worker.Organisations, s.applier.Replicas))
}

// measure asks NATS for the lag until ctx ends.
func (s *Service) measure(ctx context.Context) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			failing = s.measureOnce(ctx, failing)
			s.measureHeld(ctx)
			s.noteReadiness()
			s.hooks.measure(ctx)
		}
	}
}

// measureOnce shows the lag, or says once why it cannot; it tells whether it failed. What the
// stream dropped while nobody ran is seen by the first look alone, before anything is pulled.
func (s *Service) measureOnce(ctx context.Context, failing bool) bool {
	lag, err := s.meter.Measure(ctx)
	if err == nil {
		s.parts.measures.metrics.Measured(lag)
		if s.history != nil {
			s.history.Measured(lag)
		}
		s.tellDrift(lag.Drift)
	} else if !failing && ctx.Err() == nil {
		s.log.Warn("the lag cannot be measured", zap.Error(err))
	}
	return err != nil
}

// measureHeld asks how much waits below thresholds; without an answer the last stands.
func (s *Service) measureHeld(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stream.APITimeout)
	defer cancel()
	fill, err := s.worker.HeldBelow(ctx)
	if err != nil {
		s.log.Debug("what waits below thresholds cannot be measured", zap.Error(err))
		return
	}
	oldest := time.Duration(0)
	if fill.Messages > 0 {
		oldest = max(time.Since(fill.Oldest), 0)
	}
	s.parts.measures.metrics.Held(fill.Messages, fill.Ratio, oldest)
}

// noteReadiness lets the page say since when no work gets done, also where nobody looked then.
func (s *Service) noteReadiness() {
	if s.history != nil {
		ready, _ := s.Ready()
		s.history.Ready(ready)
	}
}

// tellDrift logs where stream and consumer differ from the configuration, each time that this changes.
func (s *Service) tellDrift(drift string) {
	before := s.drift
	s.drift = drift
	switch drift {
	case before:
	case "":
		s.log.Info("NATS is as the configuration says")
	default:
		s.log.Warn("NATS differs from the configuration: change one of them, or let nats.manage do it", zap.String("what", drift))
	}
}

// sweep purges ledger entries of cases that are over, now and then.
func (s *Service) sweep(ctx context.Context) {
	for {
		wait := time.NewTimer(sweepEvery/2 + rand.N(sweepEvery)) // replicas that start together sweep apart
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		lag, err := s.meter.Measure(ctx)
		if err != nil {
			continue
		}
		swept, err := s.applier.Sweep(ctx, slowly(ctx, s.ledger.Keys(ctx)), apply.SweepOptions{
			Organisations: s.parts.clients.served(), Keep: max(s.keep, lag.Retention),
		})
		if ctx.Err() == nil {
			s.log.Info("ledger swept", zap.Int("purged", swept.Purged), zap.Int("keptForOrganisation", swept.Kept), zap.Int("failed", swept.Failed), zap.Error(err))
		}
	}
}

// slowly pauses between keys.
func slowly(ctx context.Context, keys iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		tick := time.NewTicker(sweepPause)
		defer tick.Stop()
		for key, err := range keys {
			select {
			case <-ctx.Done():
				yield("", ctx.Err())
				return
			case <-tick.C:
			}
			if !yield(key, err) {
				return
			}
		}
	}
}

var (
	_ pipeline.Observer = observers(nil)
	_ apply.Events      = happenings{}
)
