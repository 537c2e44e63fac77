package service

import (
	"forager/cmd/worker/recent"
	"forager/cmd/worker/shell"
	"forager/config"
	"forager/pipeline"
	"forager/pipeline/journal"
	"forager/pipeline/rollback"
	"forager/pipeline/stream"
)

// remember makes what remembers settlements: where the stream ends, and the journal.
func (p *Parts) remember(c *config.Config, link *stream.Link, o *pipeline.Options) (*rollback.Watch, error) {
	watch := rollback.New(link, p.memory(c, link), rollback.Options{Topology: o.Streams(), File: c.NATS.EndsFile, Log: o.Log})
	o.Observer = onPage(p.history, settling{p.measures.observer(o.Observer), watch})
	if c.Journal.Stream == "" {
		return watch, nil
	}
	lines, err := journal.New(link, journal.Options{Stream: c.Journal.Stream, Of: c.NATS.Stream, Manage: c.NATS.Manage, Keep: c.Journal.Keep})
	if err != nil {
		return nil, shell.Misuse(err)
	}
	o.Journal = lines
	return watch, nil
}

// onPage tells the page's history first: who hears that a message is settled finds it on the page. Without a history there is no page.
func onPage(history *recent.History, others pipeline.Observer) pipeline.Observer {
	if history == nil {
		return others
	}
	return observers{history, others}
}

// settling tells another of every message that the stream is known to have held.
type settling struct {
	pipeline.Observer
	settled *rollback.Watch
}

// Settled passes a verdict on.
func (s settling) Settled(of pipeline.Settlement) {
	s.settled.Settled(of.Sequence, of.Stored)
	s.Observer.Settled(of)
}
