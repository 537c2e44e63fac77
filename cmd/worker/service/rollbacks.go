package service

import (
	"go.uber.org/zap"

	"forager/config"
	"forager/pipeline"
	"forager/pipeline/kvledger"
	"forager/pipeline/rollback"
	"forager/pipeline/stream"
)

// newRollbacks makes what notices that the stream or the ledger went back.
func newRollbacks(c *config.Config, link *stream.Link, ledger *kvledger.Ledger, t stream.Topology, log *zap.Logger) *rollback.Watch {
	return rollback.New(link, ledger, rollback.Options{Topology: t, File: c.NATS.EndsFile, Log: log})
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
