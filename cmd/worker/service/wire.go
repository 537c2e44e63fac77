package service

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"forager/cmd/worker/recent"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/shell"
	"forager/config"
	"forager/enrich"
	"forager/enrich/apply"
	"forager/hive"
	"forager/mitre"
	"forager/pipeline"
	"forager/pipeline/audit"
	"forager/pipeline/feedback"
	"forager/pipeline/kvledger"
	"forager/pipeline/objects"
	"forager/pipeline/stream"
)

// This file alone knows both what an operator writes (config) and what the packages take
// (their Options), so that neither knows the other.

// newReading makes what reads messages and decides what becomes of them.
func newReading(c *config.Config, w *rulefiles.Witness, catalogue *mitre.Catalogue, target func() *mitre.Target) (*reading, error) {
	router, rules := rulefiles.NewRouter(c, w)
	decoder, formats := rulefiles.NewDecoder(c, w, rulefiles.Trial{})
	if err := config.Join(rules, formats); err != nil {
		return nil, err
	}
	r := &reading{decoder: decoder, planner: rulefiles.NewPlanner(c, catalogue, target, router, time.Now)}
	if !c.Ops.Page || len(c.Lookups) == 0 {
		return r, nil
	}
	notes := new(rulefiles.Asked)
	asked, err := rulefiles.NewAskedRouter(c, w, notes) // the tables are those that are open already
	if err != nil {
		return nil, err
	}
	r.asking = &asking{planner: rulefiles.NewPlanner(c, catalogue, target, asked, time.Now), notes: notes}
	return r, nil
}

// Parts are the pieces of a worker that need no NATS.
type Parts struct {
	catalogue *mitre.Catalogue
	clients   *clients
	knowledge *health
	measures  *measures
	slots     *enrich.Slots   // of what works at TheHive
	reading   *reading        // of the start
	history   *recent.History // nil: there is no page

	worker atomic.Pointer[pipeline.Worker] // once it is made
	back   atomic.Pointer[feedback.Runner] // where sources are told, once it is made
	ledger atomic.Pointer[kvledger.Ledger] // once it is made: who learns that it went back tells all
}

// says tells other people's "worker status" why this worker consumes nothing.
func (p *Parts) says() string {
	w := p.worker.Load()
	if w == nil {
		return ""
	}
	_, reasons := w.Ready()
	return strings.Join(reasons, "; ")
}

// NewParts makes them; w reads the operator's files.
func NewParts(c *config.Config, w *rulefiles.Witness, log *zap.Logger) (*Parts, error) {
	catalogue, err := rulefiles.NewCatalogue(c)
	if err != nil {
		return nil, err
	}
	counts, err := newMeasures()
	if err != nil {
		return nil, err
	}
	all, err := newClients(c, counts.called, log)
	if err != nil {
		return nil, shell.Misuse(err)
	}
	known := enrich.NewKnowledge(all, catalogue)
	p := &Parts{catalogue: catalogue, clients: all, measures: counts, slots: enrich.NewSlots(2 * c.Hive.Concurrency), knowledge: &health{clients: all, known: known}}
	if c.Ops.Page {
		p.history = recent.New(time.Now)
	}
	p.reading, err = p.read(c, w)
	return p, err
}

// Client is that of the worker's own organisation.
func (p *Parts) Client() *hive.Client { return p.clients.own }

// Traced makes spans of calls at TheHive from here on. It is called before the first call.
func (p *Parts) Traced(provider trace.TracerProvider) { p.clients.traced(provider) }

// read makes a reading of a configuration, and what it needs besides.
func (p *Parts) read(c *config.Config, w *rulefiles.Witness) (*reading, error) {
	r, err := newReading(c, w, p.catalogue, p.knowledge.known.Target)
	if err != nil {
		return nil, err
	}
	return r, p.clients.serve(c)
}

// HiveOptions says how TheHive is reached.
func HiveOptions(c *config.Config) hive.Options {
	return hive.Options{
		URL:          c.Hive.URL,
		APIKey:       c.Hive.APIKey.Reveal(),
		User:         c.Hive.User,
		Password:     c.Hive.Password.Reveal(),
		Organisation: c.Hive.Organisation,
		Concurrency:  c.Hive.Concurrency,
		Timeout:      c.Hive.Timeout,
		CAFile:       c.Hive.CAFile,
		CertFile:     c.Hive.CertFile,
		KeyFile:      c.Hive.KeyFile,
		Proxy:        c.Hive.Proxy,
		UserAgent:    "forager",
	}
}

// memory is the worker's one view of the memory that the replicas share.
func (p *Parts) memory(c *config.Config, link *stream.Link) *kvledger.Ledger {
	p.ledger.CompareAndSwap(nil, newLedger(c, link))
	return p.ledger.Load()
}

// newLedger is the memory that the replicas share.
func newLedger(c *config.Config, link *stream.Link) *kvledger.Ledger {
	return kvledger.New(link, kvledger.Options{Bucket: c.Ledger.Bucket, Young: c.Ledger.Lease + c.Hive.Settle})
}

// NewApplier makes what carries plans to TheHive.
func NewApplier(c *config.Config, p *Parts, link *stream.Link, log *zap.Logger) (*apply.Applier, error) {
	return apply.New(ApplierOptions(c, p, link, log))
}

// ApplierOptions says what an applier works with.
func ApplierOptions(c *config.Config, p *Parts, link *stream.Link, log *zap.Logger) apply.Options {
	return apply.Options{
		Hive:      p.clients.of,
		Cortex:    p.clients.cortex,
		Files:     filePolicy(c),
		Opener:    objects.New(link),
		Ledger:    p.memory(c, link),
		Knowledge: p.knowledge.known,
		Login: func(ctx context.Context) (string, error) {
			u, err := p.clients.CurrentUser(ctx)
			return u.Login, err
		},
		Call:        c.Hive.Timeout,
		Lease:       c.Ledger.Lease,
		Settle:      c.Hive.Settle,
		Slots:       p.slots,
		Concurrency: c.Hive.Concurrency,
		Worker:      workerName(),
		Says:        p.says,
		Batch:       c.Hive.Batch,
		PerCase:     c.Hive.PerCase,
		Limits:      caseLimits(c),
		Events:      happenings{eventLog{log}, p.measures.metrics, p.history},
		Digest:      apply.DigestPlace(c.Case.Digest),

		SourceAlerts: sourceAlerts(c),
		Joined:       func(id string) { p.back.Load().Note(id) },
		Unrelated:    !c.Case.Related,
	}
}

// sourceAlerts is how many alerts a case remembers: none where nobody is told of them.
func sourceAlerts(c *config.Config) int {
	if c.Feedback.Subject == "" {
		return 0
	}
	return c.Feedback.PerCase
}

// filePolicy says what becomes of files.
func filePolicy(c *config.Config) apply.FilePolicy {
	return apply.FilePolicy{
		Attach: c.Files.As == "attachment", MaxBytes: int64(c.Files.MaxBytes), ZipPassword: c.Files.ZipPassword.Reveal(),
		Spool: c.Files.Spool, SpoolBytes: int64(c.Files.SpoolBytes),
	}
}

// caseLimits bound what is added to one case.
func caseLimits(c *config.Config) apply.Limits {
	l := c.Limits
	return apply.Limits{Observables: l.ObservablesPerCase, Analyses: l.AnalysesPerCase, Outstanding: l.AnalysesOutstanding, Procedures: l.ProceduresPerCase, Comments: l.CommentsPerCase, Tags: l.TagsPerCase}
}

// Connection says how to reach NATS. The log tells of secrets that were exchanged.
func Connection(c *config.Config, log *zap.Logger) stream.Connection {
	n := c.NATS
	o := stream.Connection{
		Name: "forager", User: n.User, Password: n.Password.Reveal(), Token: n.Token.Reveal(), Secret: natsSecret(c, log).text,
		Credentials: n.CredsFile, NKeySeed: n.NKeyFile,
		ClientCertificate: n.CertFile, ClientKey: n.KeyFile, HandshakeFirst: n.TLSFirst, InboxPrefix: n.InboxPrefix, Domain: n.Domain, APIPrefix: n.APIPrefix,
	}
	for url := range strings.SplitSeq(n.URL, ",") {
		o.URLs = append(o.URLs, strings.TrimSpace(url))
	}
	if n.CAFile != "" {
		o.RootCAs = []string{n.CAFile}
	}
	return o
}

// AuditOptions says where the documents of TheHive's webhook wait.
func AuditOptions(c *config.Config, log *zap.Logger) audit.Options {
	return audit.Options{
		Stream: c.Webhook.Stream, Consumer: c.NATS.Consumer, Manage: c.NATS.Manage, Replicas: c.NATS.Replicas, AckWait: c.NATS.AckWait, Log: log,
	}
}

// PipelineOptions says what is consumed, and how much is held.
func PipelineOptions(c *config.Config, log *zap.Logger) pipeline.Options {
	return pipeline.Options{
		Topology: stream.Topology{
			Stream:      c.NATS.Stream,
			Consumer:    c.NATS.Consumer,
			Subjects:    c.NATS.Subjects,
			Manage:      c.NATS.Manage,
			Bucket:      c.Ledger.Bucket,
			DeadLetters: c.DeadLetters.Stream,
			Hold:        c.Hold.Stream,
			Replicas:    c.NATS.Replicas,
			MaxAge:      c.NATS.MaxAge,
			MaxBytes:    int64(c.NATS.MaxBytes),
			MaxLetters:  int64(c.DeadLetters.MaxBytes),
			AckWait:     c.NATS.AckWait,
		},
		MaxMessageBytes: int(c.Pipeline.MaxMessageBytes),
		Concurrency:     c.Hive.Concurrency,
		MaxInFlight:     c.Pipeline.MaxInFlight,
		MaxBytesHeld:    int(c.Pipeline.MaxBytesHeld),
		Lease:           c.Ledger.Lease,
		Settle:          c.Hive.Settle,
		Drain:           c.Hive.Timeout + time.Second,
		Worker:          workerName(),
		Log:             log,
	}
}

// workerName names this worker in the ledger, in dead letters and on pages. A container has a host name of its own, and
// is process 1 in it; elsewhere several workers share one, and the process tells them apart.
func workerName() string { return nameOf(hostname(), os.Getpid()) }

func nameOf(host string, process int) string {
	if process == 1 {
		return host
	}
	return host + " (pid " + strconv.Itoa(process) + ")"
}

// hostname is that of the system.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
