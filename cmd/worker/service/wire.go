package service

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"forager/cmd/worker/shell"
	"forager/config"
	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive"
	"forager/mitre"
	"forager/pipeline"
	"forager/pipeline/audit"
	"forager/pipeline/kvledger"
	"forager/pipeline/stream"
)

// This file alone knows both what an operator writes (config) and what the packages take
// (their Options), so that neither knows the other.

// NewDecoder makes the reader of messages; w reads the operator's formats and lists.
func NewDecoder(c *config.Config, w *Witness, trial Trial) (*detection.Decoder, error) {
	lists, wrongLists := allowLists(c, w.ReadFile)
	formats, wrongFolders := formatFolders(c, w)
	o := detection.Options{Formats: formats, Generic: c.Formats.Unknown == "generic", Why: trial.Why, Lists: lists, Redact: append([]string{}, c.Case.Redact...), Limits: detectionLimits(c)}
	for _, p := range c.Formats.Pins {
		if wrongFolders == nil { // else the formats that pins name may be in there
			o.Pins = append(o.Pins, detection.Pin{Subject: p.Subject, Format: p.Format})
		}
	}
	d, err := detection.New(o)
	if err := config.Join(wrongLists, wrongFolders, wrongFormats(c, err)); err != nil {
		return nil, err
	}
	if trial.File == "" && trial.Format == "" {
		return d, nil
	}
	return trial.decoder(o)
}

// NewPlanner makes the planner; target is what the server is known to hold, nil offline.
func NewPlanner(c *config.Config, catalogue *mitre.Catalogue, target func() *mitre.Target, router *rules.Router, now func() time.Time) *enrich.Planner {
	return enrich.NewPlanner(enrich.PlannerOptions{
		Router:       router,
		Now:          now,
		Organisation: c.Hive.Organisation,
		Window:       caseWindow(c),
		Closed:       rules.ClosedPolicy(c.Case.Closed),
		FullHosts:    c.Case.Host == "full",
		Raw:          enrich.Raw(c.Case.Raw),
		NewCases:     newCases(c),
		TLP:          -1,
		PAP:          -1,
		Objects:      objectRules(c),
		Zip:          enrich.ZipPolicy(c.Files.Zip),
		Catalogue:    catalogue,
		Target:       target,
	})
}

// newReading makes what reads messages and decides what becomes of them.
func newReading(c *config.Config, w *Witness, catalogue *mitre.Catalogue, target func() *mitre.Target) (*reading, error) {
	router, rules := NewRouter(c, w)
	decoder, formats := NewDecoder(c, w, Trial{})
	if err := config.Join(rules, formats); err != nil {
		return nil, err
	}
	return &reading{decoder: decoder, planner: NewPlanner(c, catalogue, target, router, time.Now)}, nil
}

// caseWindow turns the configuration's "0 is no limit" into the planner's "negative is no limit".
func caseWindow(c *config.Config) time.Duration {
	if c.Case.Window == 0 {
		return -1
	}
	return c.Case.Window
}

// newCases turns the configuration's "0 is no limit" into the planner's "negative is no limit".
func newCases(c *config.Config) int {
	if c.Limits.NewCasesPerKey == 0 {
		return -1
	}
	return c.Limits.NewCasesPerKey
}

// Parts are the pieces of a worker that need no NATS.
type Parts struct {
	catalogue *mitre.Catalogue
	clients   *clients
	knowledge *health
	measures  *measures
	slots     *enrich.Slots // of what works at TheHive
	reading   *reading      // of the start

	worker atomic.Pointer[pipeline.Worker] // once it is made
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
func NewParts(c *config.Config, w *Witness, log *zap.Logger) (*Parts, error) {
	catalogue, err := NewCatalogue(c)
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
	p.reading, err = p.read(c, w)
	return p, err
}

// Client is that of the worker's own organisation.
func (p *Parts) Client() *hive.Client { return p.clients.own }

// Traced makes spans of calls at TheHive from here on. It is called before the first call.
func (p *Parts) Traced(provider trace.TracerProvider) { p.clients.traced(provider) }

// read makes a reading of a configuration, and what it needs besides.
func (p *Parts) read(c *config.Config, w *Witness) (*reading, error) {
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
		Files:     filePolicy(c),
		Opener:    pipeline.NewObjects(link),
		Ledger:    newLedger(c, link),
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
		Worker:      hostname(),
		Says:        p.says,
		Batch:       c.Hive.Batch,
		PerCase:     c.Hive.PerCase,
		Limits:      caseLimits(c),
		Events:      happenings{eventLog{log}, p.measures.metrics},
		Digest:      apply.DigestPlace(c.Case.Digest),
	}
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
	return apply.Limits{Observables: l.ObservablesPerCase, Procedures: l.ProceduresPerCase, Comments: l.CommentsPerCase, Tags: l.TagsPerCase}
}

// detectionLimits bound what is taken from one message.
func detectionLimits(c *config.Config) detection.Limits {
	l := c.Limits
	return detection.Limits{
		Observables: l.ObservablesPerDetection, Techniques: l.TechniquesPerDetection, Tags: l.TagsPerDetection, Files: l.FilesPerDetection,
		Detections: l.DetectionsPerMessage, Unpacked: int(c.Pipeline.MaxMessageBytes),
	}
}

// objectRules says which objects senders may name.
func objectRules(c *config.Config) (rules []enrich.ObjectRule) {
	for _, r := range c.Files.Objects {
		rules = append(rules, enrich.ObjectRule{Subject: r.Subject, Bucket: r.Bucket, Prefix: r.Prefix})
	}
	return rules
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
		Stream: c.Webhook.Stream, Consumer: c.NATS.Consumer, Manage: c.NATS.Manage, AckWait: c.NATS.AckWait, Log: log,
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
			AckWait:     c.NATS.AckWait,
		},
		MaxMessageBytes: int(c.Pipeline.MaxMessageBytes),
		Concurrency:     c.Hive.Concurrency,
		MaxInFlight:     c.Pipeline.MaxInFlight,
		MaxBytesHeld:    int(c.Pipeline.MaxBytesHeld),
		Lease:           c.Ledger.Lease,
		Settle:          c.Hive.Settle,
		Drain:           c.Hive.Timeout + time.Second,
		Worker:          hostname(),
		Log:             log,
	}
}

// hostname names this worker in dead letters.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
