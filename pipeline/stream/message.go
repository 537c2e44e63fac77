package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoMessage says that a stream does not have a message.
var ErrNoMessage = errors.New("the stream does not have it")

// Stored is a message as a stream has it.
type Stored struct {
	Subject  string
	Sequence uint64
	Header   map[string][]string
	Body     []byte
	Time     time.Time // when the stream stored it
}

// ReadMessage reads a message of a stream by its sequence; nothing is consumed. It needs the permission
// $JS.API.STREAM.MSG.GET of the stream, or $JS.API.DIRECT.GET where the stream allows that. The error wraps
// [ErrNoMessage], or is NATS'.
func (l *Link) ReadMessage(ctx context.Context, name string, sequence uint64) (Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, APITimeout)
	defer cancel()
	stream, err := l.js.Stream(ctx, name)
	if err != nil {
		return Stored{}, fmt.Errorf("read message %d of %s: %w", sequence, name, l.Explain(err))
	}
	raw, err := stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Stored{}, fmt.Errorf("read message %d of %s: %w", sequence, name, ErrNoMessage)
	}
	if err != nil {
		return Stored{}, fmt.Errorf("read message %d of %s: %w", sequence, name, l.Explain(err))
	}
	return Stored{Subject: raw.Subject, Sequence: raw.Sequence, Header: raw.Header, Body: raw.Data, Time: raw.Time}, nil
}
