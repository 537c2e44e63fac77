package service

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"go.uber.org/zap"

	"forager/cmd/worker/intake"
	"forager/cmd/worker/recent"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/view"
	"forager/config"
	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/hive"
	"forager/pipeline"
	"forager/pipeline/kvledger"
	"forager/pipeline/metrics"
	"forager/pipeline/rollback"
	"forager/pipeline/stream"
)

// refreshEvery is how often TheHive is asked which ATT&CK patterns it holds.
const refreshEvery = time.Hour

// flushEvery is how often comments are looked through for numbers that lag.
const flushEvery = time.Minute

// Service is the worker, wired: what run and demo share.
type Service struct {
	Link      *stream.Link
	worker    *pipeline.Worker
	client    *hive.Client
	Knowledge *enrich.Knowledge
	Decoder   *detection.Decoder // of the start
	Planner   *enrich.Planner    // of the start
	live      *Live
	parts     *Parts
	reloader  *reloader // nil: nothing is reloaded
	hangup    chan os.Signal
	applier   *apply.Applier
	hooks     *hooks         // nil: off
	back      *back          // nil: off
	intake    *intake.Server // nil: off
	ledger    *kvledger.Ledger
	meter     *stream.Meter
	rollbacks *rollback.Watch
	keep      time.Duration   // of ledger entries
	history   *recent.History // nil: there is no page
	view      *view.View      // nil: nobody may look
	drift     string          // where NATS differs from the configuration, as told last
	start     *start
	log       *zap.Logger
}

// New wires a worker; options are those of the configuration, perhaps with an observer. It does not need NATS or TheHive to be up; it fails on what no
// waiting cures.
// Files of rules are read by w.
func New(ctx context.Context, c *config.Config, w *rulefiles.Witness, options pipeline.Options) (*Service, error) {
	return Network{}.New(ctx, c, w, options)
}

// New does what the function of this name does, over this network.
func (n Network) New(ctx context.Context, c *config.Config, w *rulefiles.Witness, options pipeline.Options) (*Service, error) {
	if err := beforeFiles(c, options.Log); err != nil {
		return nil, err
	}
	tellExposed(c, options.Log)
	parts, err := n.parts(c, w, options)
	if err != nil {
		return nil, err
	}
	link, err := stream.Connect(ctx, n.connection(c, options.Log), options.Log)
	if err != nil {
		return nil, shell.Misuse(err)
	}
	applier, err := NewApplier(c, parts, link, options.Log)
	if err != nil {
		link.Close()
		return nil, err
	}
	options.Check, options.Organisations = parts.knowledge.check, parts.clients.served
	rollbacks, err := parts.remember(c, link, &options)
	if err != nil {
		link.Close()
		return nil, err
	}
	rules := newLive(parts.reading, options.Log, options.Observer)
	options.Replicas, options.Slots, options.Replan, options.Opened, options.Carries = applier.Replicas, parts.slots, rules, applier.Opened, true
	worker, err := pipeline.New(link, options, rules, parts.measures.metrics.Planning(rules), parts.measures.metrics.Applying(applier))
	if err != nil {
		link.Close()
		return nil, shell.Misuse(err)
	}
	parts.worker.Store(worker)
	back, err := openBack(c, link, parts, parts.measures.metrics, options.Log)
	if err != nil {
		link.Close()
		return nil, err
	}
	hooks, err := n.openHooks(ctx, c, link, applier, back, parts.measures.metrics, options.Log)
	if err != nil {
		link.Close()
		return nil, err
	}
	events, err := openIntake(ctx, c, link, parts.measures.metrics.Intake, options.Log)
	if err != nil {
		hooks.Close()
		link.Close()
		return nil, err
	}
	begin := newStart(options.Log)
	begin.need("TheHive", parts.knowledge.check)
	begin.need("NATS", reaching(link, options))
	s := &Service{
		start: begin, Link: link, worker: worker, client: parts.clients.own, Knowledge: parts.knowledge.known,
		Decoder: parts.reading.decoder, Planner: parts.reading.planner, live: rules, parts: parts,
		applier: applier, hooks: hooks, back: back, intake: events, history: parts.history, log: options.Log,
		ledger: parts.memory(c, link), rollbacks: rollbacks, meter: stream.NewMeter(link, options.Streams()), keep: c.Ledger.Keep,
	}
	return s, s.watched()
}

// Run works until ctx ends, and hands back what is not done. It begins to consume when NATS holds
// what is needed and TheHive has answered once: without that nothing could be carried anywhere,
// and no technique be mapped to what the server knows.
func (s *Service) Run(ctx context.Context) (err error) {
	ctx, stop := context.WithCancel(ctx)
	beside := pipeline.Tasks{Failed: func(err error) {
		s.log.Error("a panic ends the worker", zap.Error(err))
		stop()
	}}
	defer func() {
		stop()
		err = errors.Join(err, beside.Wait())
	}()
	beside.Go("intake", func() { s.intake.DrainAfter(ctx) })
	if s.reloader != nil {
		beside.Go("reload", func() { s.reloader.run(ctx, s.hangup) })
	}
	if err := s.start.wait(ctx); ctx.Err() != nil {
		return nil // told to stop before it began: nothing was taken, nothing is handed back
	} else if err != nil {
		return err
	}
	beside.Go("sessions", func() { s.applier.Follow(ctx, s.ledger) })
	beside.Go("maintain", func() { s.maintain(ctx) })
	beside.Go("webhook", func() { s.hooks.run(ctx) })
	beside.Go("feedback", func() { s.back.run(ctx) })
	s.measureOnce(ctx, false)
	s.lookBack(ctx)
	beside.Go("rollbacks", func() { s.rollbacks.Run(ctx) })
	beside.Go("measure", func() { s.measure(ctx) })
	beside.Go("sweep", func() { s.sweep(ctx) })
	defer s.endSession(ctx)
	return s.worker.Run(ctx)
}

// lookBack looks, before anything is taken, whether the stream or the ledger went back while nobody ran.
func (s *Service) lookBack(ctx context.Context) {
	if err := s.rollbacks.Look(ctx); err != nil && ctx.Err() == nil {
		s.log.Info("whether the stream went back while nobody ran cannot be seen yet", zap.Error(err))
	}
}

// endSession tells the other workers that this one is gone, so that nobody waits for its lease.
func (s *Service) endSession(ctx context.Context) {
	if err := s.applier.Close(context.WithoutCancel(ctx)); err != nil {
		s.log.Info("the session did not end in order; others wait for its lease", zap.Error(err))
	}
}

// maintain brings the numbers in comments up to date after quiet minutes, and asks TheHive for
// its ATT&CK patterns every hour. Neither is worth more than a word when it fails: the numbers
// only lag, the last answer stays good, and a TheHive that is away is the gate's concern.
func (s *Service) maintain(ctx context.Context) {
	quiet, hourly := time.NewTicker(flushEvery), time.NewTicker(refreshEvery)
	defer quiet.Stop()
	defer hourly.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-quiet.C:
			err = s.applier.FlushComments(ctx)
		case <-s.applier.News():
			err = s.applier.UseNews(ctx)
		case <-hourly.C:
			_, err = s.Knowledge.Refresh(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Info("housekeeping waits for the next time", zap.Error(err))
		}
	}
}

// Ready tells whether work gets done, and if not, why not.
func (s *Service) Ready() (bool, []string) {
	if reasons := s.start.reasons(); len(reasons) > 0 {
		return false, reasons
	}
	ready, reasons := s.worker.Ready()
	more := s.rollbacks.Reasons()
	return ready && len(more) == 0, append(reasons, more...)
}

// Notes says what is not as it should be, and keeps nobody from work.
func (s *Service) Notes() []string {
	notes := append(s.worker.Notes(), s.rollbacks.Notes()...)
	if s.reloader != nil {
		notes = append(notes, s.reloader.notes()...)
	}
	return notes
}

// Close drops the connections.
func (s *Service) Close() {
	s.hooks.Close()
	s.intake.Close()
	if s.view != nil {
		s.view.Close()
	}
	s.Link.Close()
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

// Serve runs the service behind its operations server, which answers from the first moment on.
func (s *Service) Serve(ctx context.Context, c *config.Config) (err error) {
	if c.Ops.Addr != "" {
		ops, err := listenOps(ctx, c.Ops, s, s.parts.measures.handler(), s.opsPage(c))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ops.Close()) }()
		s.log.Info("operations server listens", zap.String("addr", ops.addr))
	}
	s.log.Info("started", zap.String("version", shell.Version()), zap.String("stream", c.NATS.Stream), zap.String("consumer", c.NATS.Consumer))
	err = s.Run(ctx)
	s.log.Info("stopped", zap.Error(err))
	return err
}

// MetricsHandler answers scrapes.
func (s *Service) MetricsHandler() http.Handler { return s.parts.measures.handler() }

// Metrics are the worker's own.
func (s *Service) Metrics() *metrics.Metrics { return s.parts.measures.metrics }

// Use puts a decoder and a planner in force, between two messages.
func (s *Service) Use(d *detection.Decoder, p *enrich.Planner) {
	s.live.now.Store(&reading{decoder: d, planner: p})
}

// ReloadsBy makes the service read its rules anew, on hangup and when one of the files changed. It is
// called before the service runs. files is what c was read from, load how it is read again; a new
// level of the log is set at level.
func (s *Service) ReloadsBy(hangup chan os.Signal, c *config.Config, files *rulefiles.Witness, load func(*rulefiles.Witness) (*config.Config, error), level zap.AtomicLevel) {
	s.hangup = hangup
	s.reloader = &reloader{live: s.live, config: c, files: files, load: load, build: s.parts.read, log: s.log, level: level}
}
