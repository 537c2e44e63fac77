package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// Options says where events go. Zero values are replaced by the defaults named with each field.
type Options struct {
	Stream string        // the stream that must store them; has no default
	Within time.Duration // how long Put waits for the stream, 5 s
}

// Event is one message as a sender hands it over.
type Event struct {
	Subject string // without wildcards
	ID      string // by which it is known when it is sent again; empty is never
	Header  map[string][]string
	Body    []byte
}

// Receipt says where an event is.
type Receipt struct {
	Stream    string
	Sequence  uint64
	Duplicate bool // it was there before: the sequence is that of the first
}

// Why an event is not stored.
type Why string

// The reasons of a [Refusal].
const (
	TooLarge    Why = "too large"    // for the server, whenever it comes
	Full        Why = "stream full"  // and refuses what is new
	NoStream    Why = "no stream"    // no stream listens to the subject, or it has no leader
	OtherStream Why = "wrong stream" // the subject belongs to another
	Unreachable Why = "not connected"
	Unknown     Why = "no answer" // the stream may have it
	Refused     Why = "refused"   // by the stream, for another reason
)

// Refusal is the error of [Store.Put]. All but TooLarge may pass: the same event may be sent again.
type Refusal struct {
	Why Why
	Err error
}

// Error says both.
func (r *Refusal) Error() string { return fmt.Sprintf("store event: %s: %v", r.Why, r.Err) }

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Store puts events into a stream. Safe for concurrent use.
type Store struct {
	link    *stream.Link
	options Options
}

// New makes a store. It makes no call; an error wraps [stream.ErrTopology].
func New(link *stream.Link, o Options) (*Store, error) {
	if !stream.ValidName(o.Stream) {
		return nil, fmt.Errorf("%w: stream %q: a JetStream name is not empty and has no dot, star, > or space", stream.ErrTopology, o.Stream)
	}
	o.Within = cmp.Or(o.Within, stream.APITimeout)
	return &Store{link: link, options: o}, nil
}

// Put stores one event, and keeps nothing of its body. Its error is a *[Refusal].
func (s *Store) Put(ctx context.Context, e Event) (Receipt, error) {
	if !s.link.Connected() {
		return Receipt{}, s.refuse(Unreachable, stream.ErrNotConnected)
	}
	msg := &nats.Msg{Subject: e.Subject, Header: nats.Header(e.Header), Data: e.Body}
	if most := s.link.Conn().MaxPayload(); most > 0 && int64(msg.Size()) > most {
		return Receipt{}, s.refuse(TooLarge, fmt.Errorf("%d bytes, the server takes %d", msg.Size(), most))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.Within) // it is on its way, though the sender may have gone
	defer cancel()
	options := []jetstream.PublishOpt{jetstream.WithExpectStream(s.options.Stream)}
	if e.ID != "" {
		options = append(options, jetstream.WithMsgID(e.ID))
	}
	ack, err := s.link.JetStream().PublishMsg(ctx, msg, options...)
	if err != nil {
		return Receipt{}, s.refuse(whyOf(err), err)
	}
	return Receipt{Stream: ack.Stream, Sequence: ack.Sequence, Duplicate: ack.Duplicate}, nil
}

func (s *Store) refuse(why Why, err error) *Refusal {
	return &Refusal{Why: why, Err: s.link.Explain(err)}
}

// Codes of the server (nats-server's errors.json) that the client has no name for.
const (
	insufficientStorage = 10023
	storeFailed         = 10077 // the stream's limits, with discard new
	resourcesExceeded   = 10002
	messageTooLarge     = 10054 // the stream's max_msg_size
	notThisStream       = 10060
	noSpace             = 10047 // storage of the account or server
	memoryExceeded      = 10028
)

// whyOf says what an error of a publish means.
func whyOf(err error) Why {
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		switch e.ErrorCode { //nolint:exhaustive // a publish has few of them
		case messageTooLarge:
			return TooLarge
		case storeFailed, insufficientStorage, resourcesExceeded, noSpace, memoryExceeded:
			return Full
		case notThisStream:
			return OtherStream
		}
		return Refused
	}
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return TooLarge
	case stream.IsUntaken(err):
		return NoStream
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionReconnecting), errors.Is(err, nats.ErrReconnectBufExceeded):
		return Unreachable
	default:
		return Unknown
	}
}
