package service

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"forager/cmd/worker/shell"
	"forager/config"
	"forager/enrich/apply"
	"forager/pipeline"
	"forager/pipeline/stream"
)

// ReplaySite is what a replay needs.
type ReplaySite struct {
	Link     *stream.Link
	Parts    *Parts
	Rules    *Live
	Config   *config.Config
	Options  pipeline.Options
	Enricher *apply.Applier
}

// NewReplaySite wires it as a worker is wired.
func NewReplaySite(ctx context.Context, c *config.Config, w *Witness, log *zap.Logger) (*ReplaySite, error) {
	if err := beforeFiles(c, log); err != nil {
		return nil, err
	}
	parts, err := NewParts(c, w, log)
	if err != nil {
		return nil, err
	}
	link, err := stream.Connect(ctx, Connection(c, log), log)
	if err != nil {
		return nil, shell.Misuse(err)
	}
	s := &ReplaySite{Link: link, Parts: parts, Config: c, Options: PipelineOptions(c, log)}
	s.Options.Check, s.Options.Organisations = parts.knowledge.check, parts.clients.served
	s.Rules = newLive(parts.reading, log, nil)
	if s.Enricher, err = NewEnricher(c, parts, link, log); err != nil {
		link.Close()
		return nil, err
	}
	return s, nil
}

// Start waits until TheHive has said what it holds, and makes what is missing where that is wanted.
func (s *ReplaySite) Start(ctx context.Context) error {
	begin := newStart(s.Options.Log)
	begin.need("TheHive", s.Parts.knowledge.check)
	if s.Options.Manage {
		begin.need("NATS", func(ctx context.Context) error { return stream.Ensure(ctx, s.Link, s.Options.Streams()) })
	}
	if err := begin.wait(ctx); err != nil {
		return fmt.Errorf("replay: interrupted before it began: %w", err)
	}
	return nil
}

// Close drops the connections.
func (s *ReplaySite) Close() {
	s.Link.Close()
	s.Parts.clients.own.CloseIdle()
}
