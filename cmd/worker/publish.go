//go:build !image

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// mostUnconfirmed is how many messages may be on their way to the stream at once.
const mostUnconfirmed = 256

// forwarder publishes events as a SIEM's forwarder does: outside the worker, to the stream's
// subject, each confirmed by the server.
type forwarder struct {
	nc *nats.Conn
	js jetstream.JetStream
}

func newForwarder(url string) (*forwarder, error) {
	nc, err := nats.Connect(url, nats.Name("demo forwarder"))
	if err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(mostUnconfirmed))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("forward: %w", err)
	}
	return &forwarder{nc: nc, js: js}, nil
}

// send publishes an event and gives the wait for its confirmation. Its error is that of this
// event alone.
func (f *forwarder) send(subject string, body []byte) (confirmation, error) {
	ack, err := f.js.PublishAsync(subject, body, jetstream.WithStallWait(time.Minute))
	if err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	return func(ctx context.Context) (uint64, error) {
		select {
		case a := <-ack.Ok():
			return a.Sequence, nil
		case err := <-ack.Err():
			return 0, fmt.Errorf("forward: %w", err)
		case <-ctx.Done():
			return 0, fmt.Errorf("forward: %w", context.Cause(ctx))
		case <-time.After(time.Minute):
			return 0, errors.New("forward: the server did not confirm an event within a minute")
		}
	}, nil
}

// confirmation waits until the server has stored an event and gives its place in the stream.
type confirmation func(context.Context) (sequence uint64, err error)

// Close ends the connection.
func (f *forwarder) Close() { f.nc.Close() }
