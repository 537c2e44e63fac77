package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"forager/config"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/hive"
	"forager/mitre"
	"forager/pipeline"
)

// This file alone knows both what an operator writes (config) and what the packages take
// (their Options), so that neither knows the other.

// newDecoder makes the reader of messages.
func newDecoder(c *config.Config, pins []detection.Pin, why bool) (*detection.Decoder, error) {
	o := detection.Options{Pins: pins, Why: why}
	for _, dir := range c.Formats.Directories {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, &usageError{fmt.Errorf("formats.directories: %s is no directory that can be read", dir)}
		}
		o.Formats = append(o.Formats, os.DirFS(dir))
	}
	for _, p := range c.Formats.Pins {
		o.Pins = append(o.Pins, detection.Pin{Subject: p.Subject, Format: p.Format})
	}
	d, err := detection.New(o)
	if err != nil {
		return nil, &usageError{fmt.Errorf("formats: %w", err)}
	}
	return d, nil
}

// newCatalogue makes the ATT&CK catalogue: the embedded one and the operator's bundles.
func newCatalogue(c *config.Config) (*mitre.Catalogue, error) {
	return withBundles(mitre.Embedded(), c.Attack.Bundles)
}

// newPlanner makes the planner; target is what the server is known to hold, nil offline.
func newPlanner(c *config.Config, catalogue *mitre.Catalogue, target func() *mitre.Target) *enrich.Planner {
	return enrich.NewPlanner(enrich.PlannerOptions{
		Organisation: c.Hive.Organisation,
		Window:       caseWindow(c),
		Closed:       enrich.ClosedPolicy(c.Case.Closed),
		TLP:          -1,
		PAP:          -1,
		Catalogue:    catalogue,
		Target:       target,
	})
}

// caseWindow turns the configuration's "0 is no limit" into the planner's "negative is no limit".
func caseWindow(c *config.Config) time.Duration {
	if c.Case.Window == 0 {
		return -1
	}
	return c.Case.Window
}

// explainer wires what explain needs: the worker's own decoder and planner, and no network.
func (c *explainCmd) explainer(sh *shell, cfg *config.Config) (*explainer, error) {
	var pins []detection.Pin
	if c.Format != "" {
		pins = []detection.Pin{{Subject: ">", Format: c.Format}}
	}
	decoder, err := newDecoder(cfg, pins, c.Why)
	if err != nil {
		return nil, err
	}
	catalogue, err := newCatalogue(cfg)
	if err != nil {
		return nil, err
	}
	out := json.NewEncoder(sh.out)
	out.SetEscapeHTML(false)
	return &explainer{
		decoder: decoder, planner: newPlanner(cfg, catalogue, nil), out: out,
		subject: c.Subject, most: int(cfg.Pipeline.MaxMessageBytes),
	}, nil
}

// parts are the pieces of a worker that need no NATS.
type parts struct {
	decoder   *detection.Decoder
	catalogue *mitre.Catalogue
	client    *hive.Client
	knowledge *health
	planner   *enrich.Planner
}

func newParts(c *config.Config) (*parts, error) {
	decoder, err := newDecoder(c, nil, false)
	if err != nil {
		return nil, err
	}
	catalogue, err := newCatalogue(c)
	if err != nil {
		return nil, err
	}
	client, err := newClient(c)
	if err != nil {
		return nil, &usageError{err}
	}
	known := enrich.NewKnowledge(client, catalogue)
	return &parts{
		decoder: decoder, catalogue: catalogue, client: client,
		knowledge: &health{client: client, known: known},
		planner:   newPlanner(c, catalogue, known.Target),
	}, nil
}

// newClient makes the client of TheHive, with breaker and limit around its transport.
func newClient(c *config.Config) (*hive.Client, error) {
	o := hive.Options{
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
	transport, err := hive.NewTransport(o)
	if err != nil {
		return nil, err
	}
	o.Transport = newGuardedTransport(transport, c.Hive.Concurrency)
	return hive.New(o)
}

// newEnricher makes what carries plans to TheHive.
func newEnricher(c *config.Config, p *parts, link *pipeline.Link, log *zap.Logger) (*enrich.Enricher, error) {
	ledger := pipeline.NewLedger(link, pipeline.LedgerOptions{
		Bucket: c.Ledger.Bucket,
		Young:  c.Ledger.Lease + c.Hive.Settle,
	})
	return enrich.New(enrich.Options{
		Hive:      func(string) enrich.Hive { return p.client },
		Ledger:    ledger,
		Knowledge: p.knowledge.known,
		Call:      c.Hive.Timeout,
		Lease:     c.Ledger.Lease,
		Settle:    c.Hive.Settle,
		Slots:     2 * c.Hive.Concurrency,
		Batch:     c.Hive.Batch,
		Events:    eventLog{log},
	})
}

// connection says how to reach NATS.
func connection(c *config.Config) pipeline.Connection {
	n := c.NATS
	o := pipeline.Connection{
		Name: "forager", User: n.User, Password: n.Password.Reveal(), Token: n.Token.Reveal(),
		Credentials: n.CredsFile, NKeySeed: n.NKeyFile,
		ClientCertificate: n.CertFile, ClientKey: n.KeyFile, HandshakeFirst: n.TLSFirst, InboxPrefix: n.InboxPrefix,
	}
	for url := range strings.SplitSeq(n.URL, ",") {
		o.URLs = append(o.URLs, strings.TrimSpace(url))
	}
	if n.CAFile != "" {
		o.RootCAs = []string{n.CAFile}
	}
	return o
}

// pipelineOptions says what is consumed, and how much is held.
func pipelineOptions(c *config.Config, log *zap.Logger) pipeline.Options {
	return pipeline.Options{
		Stream:          c.NATS.Stream,
		Consumer:        c.NATS.Consumer,
		Subjects:        c.NATS.Subjects,
		Manage:          c.NATS.Manage,
		Bucket:          c.Ledger.Bucket,
		DeadLetters:     c.DeadLetters.Stream,
		MaxMessageBytes: int(c.Pipeline.MaxMessageBytes),
		Concurrency:     c.Hive.Concurrency,
		MaxInFlight:     c.Pipeline.MaxInFlight,
		MaxBytesHeld:    int(c.Pipeline.MaxBytesHeld),
		AckWait:         c.NATS.AckWait,
		Lease:           c.Ledger.Lease,
		Settle:          c.Hive.Settle,
		Drain:           c.Hive.Timeout + time.Second,
		Worker:          hostname(),
		Log:             log,
	}
}
