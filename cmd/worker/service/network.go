package service

import (
	"context"
	"net"

	"go.uber.org/zap"

	"forager/cmd/worker/rulefiles"
	"forager/config"
	"forager/pipeline"
	"forager/pipeline/stream"
)

// Network is how a service reaches its servers, and how TheHive's webhook reaches it. The zero value is
// the system's; a simulation of many hours keeps all of it in memory.
type Network struct {
	NATS  func(network, address string) (net.Conn, error)                      // connects to NATS; nil: the system
	Hive  func(ctx context.Context, network, address string) (net.Conn, error) // connects to TheHive; nil: the system
	Hooks func(address string) (net.Listener, error)                           // takes the webhook in; nil: the system
}

// parts are those that need no NATS, whose clients connect over this network.
func (n Network) parts(c *config.Config, w *rulefiles.Witness, options pipeline.Options) (*Parts, error) {
	all, err := NewParts(c, w, options.Log)
	if err != nil {
		return nil, err
	}
	if n.Hive != nil {
		if err := all.clients.dials(n.Hive); err != nil {
			return nil, err
		}
	}
	all.clients.traced(options.Tracer)
	return all, nil
}

// connection is how NATS is reached over this network.
func (n Network) connection(c *config.Config, log *zap.Logger) stream.Connection {
	o := Connection(c, log)
	o.Dial = n.NATS
	return o
}

// listen listens for TheHive's webhook.
func (n Network) listen(ctx context.Context, address string) (net.Listener, error) {
	if n.Hooks != nil {
		return n.Hooks(address)
	}
	var system net.ListenConfig
	return system.Listen(ctx, "tcp", address)
}
