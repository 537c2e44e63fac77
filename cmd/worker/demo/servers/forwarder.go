package servers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// MostUnconfirmed is how many messages may be on their way to the stream at once.
const MostUnconfirmed = 256

// Forwarder publishes events as a SIEM's forwarder does: outside the worker, to the stream's
// subject, each confirmed by the server.
type Forwarder struct {
	nc        *nats.Conn
	JetStream jetstream.JetStream
}

// NewForwarder connects to a server; the error is that of NATS.
func NewForwarder(url string) (*Forwarder, error) {
	nc, err := nats.Connect(url, nats.Name("demo forwarder"))
	if err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(MostUnconfirmed))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("forward: %w", err)
	}
	return &Forwarder{nc: nc, JetStream: js}, nil
}

// Send publishes an event and gives the wait for its confirmation. Its error is that of this
// event alone.
func (f *Forwarder) Send(subject string, body []byte) (Confirmation, error) {
	ack, err := f.JetStream.PublishAsync(subject, body, jetstream.WithStallWait(time.Minute))
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

// Confirmation waits until the server has stored an event and gives its place in the stream.
type Confirmation func(context.Context) (sequence uint64, err error)

// Close ends the connection.
func (f *Forwarder) Close() { f.nc.Close() }
