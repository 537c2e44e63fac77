package main

import (
	"context"
	"errors"
	"os"
	"time"

	"go.uber.org/zap"

	"forager/config"
	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/hive"
	"forager/pipeline"
	"forager/pipeline/kvledger"
	"forager/pipeline/stream"
)

// refreshEvery is how often TheHive is asked which ATT&CK patterns it holds.
const refreshEvery = time.Hour

// tidyEvery is how often comments are looked through for numbers that lag.
const tidyEvery = time.Minute

// service is the worker, wired: what run and demo share.
type service struct {
	link      *stream.Link
	worker    *pipeline.Worker
	client    *hive.Client
	knowledge *enrich.Knowledge
	decoder   *detection.Decoder // of the start
	planner   *enrich.Planner    // of the start
	live      *live
	parts     *parts
	reloader  *reloader // nil: nothing is reloaded
	hangup    chan os.Signal
	enricher  *apply.Applier
	hooks     *hooks // nil: off
	ledger    *kvledger.Ledger
	meter     *stream.Meter
	keep      time.Duration // of ledger entries
	drift     string        // where NATS differs from the configuration, as told last
	start     *start
	log       *zap.Logger
}

// newService wires a worker; options are those of the configuration, perhaps with an observer. It does not need NATS or TheHive to be up; it fails on what no
// waiting cures.
// Files of rules are read by w.
func newService(ctx context.Context, c *config.Config, w *witness, options pipeline.Options) (*service, error) {
	if err := beforeFiles(c, options.Log); err != nil {
		return nil, err
	}
	tellExposed(c, options.Log)
	parts, err := newParts(c, w, options.Log)
	if err != nil {
		return nil, err
	}
	parts.clients.traced(options.Tracer)
	link, err := stream.Connect(ctx, connection(c, options.Log), options.Log)
	if err != nil {
		return nil, &usageError{err}
	}
	enricher, err := newEnricher(c, parts, link, options.Log)
	if err != nil {
		link.Close()
		return nil, err
	}
	options.Check, options.Organisations = parts.knowledge.check, parts.clients.served
	options.Observer = parts.measures.observer(options.Observer)
	rules := newLive(parts.reading, options.Log, options.Observer)
	worker, err := pipeline.New(link, options, rules, parts.measures.metrics.Planning(rules), parts.measures.metrics.Applying(enricher))
	if err != nil {
		link.Close()
		return nil, &usageError{err}
	}
	hooks, err := openHooks(ctx, c, link, enricher, parts.measures.metrics, options.Log)
	if err != nil {
		link.Close()
		return nil, err
	}
	begin := newStart(options.Log)
	begin.need("TheHive", parts.knowledge.check)
	begin.need("NATS", reaching(link, options))
	s := &service{
		start: begin, link: link, worker: worker, client: parts.clients.own, knowledge: parts.knowledge.known,
		decoder: parts.reading.decoder, planner: parts.reading.planner, live: rules, parts: parts,
		enricher: enricher, hooks: hooks, log: options.Log,
		ledger: newLedger(c, link), meter: stream.NewMeter(link, options.Streams()), keep: c.Ledger.Keep,
	}
	return s, s.watched()
}

// run works until ctx ends, and hands back what is not done. It begins to consume when NATS holds
// what is needed and TheHive has answered once: without that nothing could be carried anywhere,
// and no technique be mapped to what the server knows.
func (s *service) run(ctx context.Context) (err error) {
	ctx, stop := context.WithCancel(ctx)
	beside := pipeline.Crew{Failed: func(err error) {
		s.log.Error("a panic ends the worker", zap.Error(err))
		stop()
	}}
	defer func() {
		stop()
		err = errors.Join(err, beside.Wait())
	}()
	if s.reloader != nil {
		beside.Go("reload", func() { s.reloader.run(ctx, s.hangup) })
	}
	if err := s.start.wait(ctx); ctx.Err() != nil {
		return nil // told to stop before it began: nothing was taken, nothing is handed back
	} else if err != nil {
		return err
	}
	beside.Go("keep house", func() { s.keepHouse(ctx) })
	beside.Go("webhook", func() { s.hooks.run(ctx) })
	s.measureOnce(ctx, false)
	beside.Go("measure", func() { s.measure(ctx) })
	beside.Go("sweep", func() { s.sweep(ctx) })
	return s.worker.Run(ctx)
}

// keepHouse brings the numbers in comments up to date after quiet minutes, and asks TheHive for
// its ATT&CK patterns every hour. Neither is worth more than a word when it fails: the numbers
// only lag, the last answer stays good, and a TheHive that is away is the gate's concern.
func (s *service) keepHouse(ctx context.Context) {
	tidy, hourly := time.NewTicker(tidyEvery), time.NewTicker(refreshEvery)
	defer tidy.Stop()
	defer hourly.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-tidy.C:
			err = s.enricher.FlushComments(ctx)
		case <-hourly.C:
			_, err = s.knowledge.Refresh(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Info("housekeeping waits for the next time", zap.Error(err))
		}
	}
}

// Ready tells whether work gets done, and if not, why not.
func (s *service) Ready() (bool, []string) {
	if reasons := s.start.reasons(); len(reasons) > 0 {
		return false, reasons
	}
	return s.worker.Ready()
}

// Notes says what is not as it should be, and keeps nobody from work.
func (s *service) Notes() []string {
	notes := s.worker.Notes()
	if s.reloader != nil {
		notes = append(notes, s.reloader.notes()...)
	}
	return notes
}

// Close drops the connections.
func (s *service) Close() {
	s.hooks.Close()
	s.link.Close()
	s.client.CloseIdle()
}

// health asks TheHive whether it is well, for the gate.
type health struct {
	clients *clients
	known   *enrich.Knowledge
}

// check fails while TheHive does not answer, refuses the worker in every organisation that is
// served, or holds no ATT&CK patterns.
func (h *health) check(ctx context.Context) error {
	if _, err := h.clients.CurrentUser(ctx); err != nil {
		return err
	}
	_, err := h.known.Refresh(ctx)
	return err
}
