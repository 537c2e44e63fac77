package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"forager/cmd/worker/intake"
	"forager/cmd/worker/shell"
	"forager/config"
	store "forager/pipeline/intake"
	"forager/pipeline/metrics"
	"forager/pipeline/stream"
)

// openIntake listens for senders of events; nil, and a word in the log, when it is off. It needs the
// stream alone, so that events are taken in while TheHive is down.
func openIntake(ctx context.Context, c *config.Config, link *stream.Link, counts *metrics.Intake, log *zap.Logger) (*intake.Server, error) {
	if c.Intake.Addr == "" || len(c.Intake.Sources) == 0 {
		log.Info("the intake of events is off: it needs intake.addr and intake.sources")
		return nil, nil //nolint:nilnil // off is no error
	}
	to, err := store.New(link, store.Options{Stream: c.NATS.Stream})
	if err != nil {
		return nil, shell.Misuse(err)
	}
	handler, err := intake.NewHandler(intakeOptions(c, counts, log), to)
	if err != nil {
		return nil, err
	}
	server, err := intake.Listen(ctx, c.Intake.Addr, handler)
	if err != nil {
		return nil, err
	}
	log.Info("takes events in", zap.String("addr", server.Addr), zap.Int("sources", len(c.Intake.Sources)))
	return server, nil
}

// intakeOptions says who may send, and how much.
func intakeOptions(c *config.Config, counts *metrics.Intake, log *zap.Logger) intake.Options {
	o := intake.Options{
		MaxBody: int64(c.Pipeline.MaxMessageBytes), MaxInFlight: c.Intake.MaxInFlight, MaxBytesHeld: int64(c.Intake.MaxBytesHeld), Log: log,
		Told: func(source, result string, bytes int, took time.Duration) {
			counts.Took(source, result, result == intake.Stored || result == intake.Duplicate, bytes, took)
		},
	}
	var names []string
	for i, s := range c.Intake.Sources {
		o.Sources = append(o.Sources, sourceOf(i, s, log))
		names = append(names, s.Name)
	}
	counts.Expect(names, intake.Words())
	return o
}

// sourceOf is a source with the secret that it has now.
func sourceOf(i int, s config.Sender, log *zap.Logger) intake.Source {
	key := fmt.Sprintf("intake.sources[%d].", i)
	secret := func(name, file string, given config.Secret) func() string {
		if file == "" && given.Empty() {
			return nil
		}
		return newRotating(key+name, file, given, log).text
	}
	return intake.Source{
		Name: s.Name, Subject: s.Subject, User: s.User, SignatureHeader: s.SignatureHeader, Rate: s.Rate,
		Token:    secret("tokenFile", s.TokenFile, s.Token),
		Password: secret("passwordFile", s.PasswordFile, s.Password),
		Key:      secret("keyFile", s.KeyFile, s.Key),
	}
}

// Intake is the intake of events without a worker: what "worker intake" runs.
type Intake struct {
	link     *stream.Link
	server   *intake.Server
	registry *prometheus.Registry
	log      *zap.Logger
}

// NewIntake listens for senders. It does not need NATS to be up; it fails on what no waiting cures.
func NewIntake(ctx context.Context, c *config.Config, log *zap.Logger) (*Intake, error) {
	tellExposed(c, log)
	link, err := stream.Connect(ctx, Connection(c, log), log)
	if err != nil {
		return nil, shell.Misuse(err)
	}
	i := &Intake{link: link, registry: prometheus.NewRegistry(), log: log}
	i.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	counts, err := metrics.NewIntake(i.registry, shell.Version(), func() bool { ready, _ := i.Ready(); return ready })
	if err == nil {
		i.server, err = openIntake(ctx, c, link, counts, log)
	}
	if err != nil {
		link.Close()
		return nil, err
	}
	return i, nil
}

// Ready tells whether events could be handed over, and if not, why not.
func (i *Intake) Ready() (bool, []string) {
	if err := i.link.Reach(); err != nil {
		return false, []string{err.Error()}
	}
	return true, nil
}

// Notes says what the server refused: such an event is answered with 503.
func (i *Intake) Notes() []string { return i.link.Violations() }

// Serve runs until ctx ends, behind its operations server; requests that have begun are answered.
func (i *Intake) Serve(ctx context.Context, c *config.Config) (err error) {
	if c.Ops.Addr != "" {
		ops, err := listenOps(ctx, c.Ops, i, (&measures{registry: i.registry}).handler(), nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ops.Close()) }()
		i.log.Info("operations server listens", zap.String("addr", ops.addr))
	}
	i.log.Info("started", zap.String("version", shell.Version()), zap.String("stream", c.NATS.Stream))
	i.server.DrainAfter(ctx)
	i.log.Info("stopped")
	return nil
}

// Close stops listening, and drops the connection.
func (i *Intake) Close() {
	i.server.Close()
	i.link.Close()
}
