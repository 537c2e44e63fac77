package deadletter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// ErrTooLarge says that a dead letter is larger than the server or its stream allows.
var ErrTooLarge = errors.New("dead letter is too large")

// errOther says that both places of a dead letter are taken by others.
var errOther = errors.New("another dead letter lies there")

// API errors of a message above a stream's max_msg_size, and of headers above the server's 64 KiB.
const (
	codeTooLarge        = 10054
	codeHeadersTooLarge = 10097
)

// Store publishes a dead letter and waits for the server's word; Number is ignored. One that is there already,
// from an earlier try that died before the message was terminated, is stored: time and body tell. Another one, of
// a stream that began anew, keeps its place, and this one gets its time appended. It looks only where
// something is there already. An error wraps [ErrTooLarge] where no waiting helps.
func (q *Queue) Store(ctx context.Context, m Message) error {
	encoded := encode(m)
	err := q.put(ctx, encoded)
	if !stream.IsWrongSequence(err) {
		return err
	}
	same, err := q.holds(ctx, encoded)
	if same || err != nil {
		return err
	}
	encoded.Subject += "." + strconv.FormatInt(m.Stored.UnixMilli(), 10)
	err = q.put(ctx, encoded)
	if !stream.IsWrongSequence(err) {
		return err
	}
	same, err = q.holds(ctx, encoded)
	if same || err != nil {
		return err
	}
	return fmt.Errorf("dead letter %s: %w", encoded.Subject, errOther)
}

// put stores a dead letter on a subject that has none yet.
func (q *Queue) put(ctx context.Context, encoded *nats.Msg) error {
	_, err := q.link.JetStream().PublishMsg(ctx, encoded,
		jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithExpectStream(q.name))
	if err == nil {
		return nil
	}
	api, isAPI := errors.AsType[*jetstream.APIError](err)
	if errors.Is(err, nats.ErrMaxPayload) || isAPI && (api.ErrorCode == codeTooLarge || api.ErrorCode == codeHeadersTooLarge) {
		return fmt.Errorf("store dead letter: %w: %d bytes: %w", ErrTooLarge, len(encoded.Data), err)
	}
	return fmt.Errorf("store dead letter: %w", q.link.Explain(err))
}

// holds tells whether the dead letter on this subject is this one.
func (q *Queue) holds(ctx context.Context, encoded *nats.Msg) (bool, error) {
	stream, err := q.link.JetStream().Stream(ctx, q.name)
	if err != nil {
		return false, fmt.Errorf("look at dead letter: %w", q.link.Explain(err))
	}
	there, err := stream.GetLastMsgForSubject(ctx, encoded.Subject)
	if err != nil {
		return false, fmt.Errorf("look at dead letter: %w", q.link.Explain(err))
	}
	return there.Header.Get(headerStored) == encoded.Header.Get(headerStored) && bytes.Equal(there.Data, encoded.Data), nil
}
