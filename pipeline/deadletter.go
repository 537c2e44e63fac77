package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// errTooLarge says that a dead letter is larger than the server or its stream allows.
var errTooLarge = errors.New("dead letter is too large")

// errOtherLetter says that both places of a letter are taken by others.
var errOtherLetter = errors.New("another dead letter lies there")

// API errors of a message above a stream's max_msg_size, and of headers above the server's 64 KiB.
const (
	codeTooLarge        = 10054
	codeHeadersTooLarge = 10097
)

// box is the dead-letter stream as the worker sees it: it puts in, and looks only where
// something lies already.
type box struct {
	link   *stream.Link
	stream string
}

// store publishes a letter and waits for the server's word. A letter that lies there already,
// from an earlier try that died before the term, is stored: time and body tell. Another one, of
// a stream that began anew, keeps its place, and this one gets the time appended.
func (b *box) store(ctx context.Context, letter *nats.Msg) error {
	err := b.put(ctx, letter)
	if !stream.IsWrongSequence(err) {
		return err
	}
	same, err := b.holds(ctx, letter)
	if same || err != nil {
		return err
	}
	stored, err := time.Parse(time.RFC3339Nano, letter.Header.Get(headerStored))
	if err != nil {
		return fmt.Errorf("dead letter: %w", err)
	}
	letter.Subject += "." + strconv.FormatInt(stored.UnixMilli(), 10)
	err = b.put(ctx, letter)
	if !stream.IsWrongSequence(err) {
		return err
	}
	same, err = b.holds(ctx, letter)
	if same || err != nil {
		return err
	}
	return fmt.Errorf("dead letter %s: %w", letter.Subject, errOtherLetter)
}

// put stores a letter on a subject that has none yet.
func (b *box) put(ctx context.Context, letter *nats.Msg) error {
	_, err := b.link.JetStream().PublishMsg(ctx, letter,
		jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithExpectStream(b.stream))
	if err == nil {
		return nil
	}
	api, isAPI := errors.AsType[*jetstream.APIError](err)
	if errors.Is(err, nats.ErrMaxPayload) || isAPI && (api.ErrorCode == codeTooLarge || api.ErrorCode == codeHeadersTooLarge) {
		return fmt.Errorf("store dead letter: %w: %d bytes: %w", errTooLarge, len(letter.Data), err)
	}
	return fmt.Errorf("store dead letter: %w", b.link.Explain(err))
}

// holds tells whether the letter on this subject is this one.
func (b *box) holds(ctx context.Context, letter *nats.Msg) (bool, error) {
	stream, err := b.link.JetStream().Stream(ctx, b.stream)
	if err != nil {
		return false, fmt.Errorf("look at dead letter: %w", b.link.Explain(err))
	}
	there, err := stream.GetLastMsgForSubject(ctx, letter.Subject)
	if err != nil {
		return false, fmt.Errorf("look at dead letter: %w", b.link.Explain(err))
	}
	return there.Header.Get(headerStored) == letter.Header.Get(headerStored) && bytes.Equal(there.Data, letter.Data), nil
}
