package hold

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich"
	"forager/enrich/claim"
	"forager/pipeline/stream"
)

// Errors on which callers decide.
var (
	// ErrGone says that there is no copy in a place: its detections were settled.
	ErrGone = errors.New("no copy lies there")
	// ErrTooLarge says that a message with the headers of its copy is larger than the server takes.
	ErrTooLarge = fmt.Errorf("a copy is larger than the server takes: %w", enrich.ErrHeld)
)

// Copies keeps copies of messages, each in its place, for all replicas.
//
// Errors: ErrGone of Get; ErrTooLarge of Put; every other error means that it is unknown whether the change took place.
type Copies interface {
	// Put keeps a copy of a message for some of its parts. A copy that lies there already is the same, and no error.
	Put(ctx context.Context, p Place, m *Message, parts []int) error
	// Get reads a copy, as the last Put left it.
	Get(ctx context.Context, p Place) (m Message, parts []int, err error)
	// Delete removes a copy; none is no error.
	Delete(ctx context.Context, p Place) error
	// Places are those in which a copy lies.
	Places(ctx context.Context) ([]Place, error)
}

// Stream is [Copies] in a JetStream stream.
type Stream struct {
	link     *stream.Link
	topology stream.Topology
	prefix   string // of the subjects: copies of workers with another ledger are theirs
}

var _ Copies = (*Stream)(nil)

// Open looks at the hold stream of a topology. It makes no call.
func Open(link *stream.Link, topology stream.Topology) *Stream {
	t := topology.WithDefaults()
	return &Stream{link: link, topology: t, prefix: stream.HoldPrefix + t.Bucket + "."}
}

// Put keeps a copy, confirmed by the server. Where the topology lets the worker manage its streams, a missing one is made.
func (s *Stream) Put(ctx context.Context, p Place, m *Message, parts []int) error {
	err := s.put(ctx, encode(s.prefix+p.String(), m, parts))
	if s.topology.Manage && (stream.IsUntaken(err) || stream.IsMissing(err)) {
		if err := stream.EnsureHold(ctx, s.link, s.topology); err != nil {
			return s.failed("make the hold stream", err)
		}
		err = s.put(ctx, encode(s.prefix+p.String(), m, parts))
	}
	switch {
	case err == nil, stream.IsWrongSequence(err): // the name says what it is a copy of
		return nil
	case errors.Is(err, nats.ErrMaxPayload), isTooLarge(err):
		return fmt.Errorf("hold: %w: %d bytes: %w", ErrTooLarge, len(m.Body), err)
	default:
		return s.failed("hold", err)
	}
}

func (s *Stream) put(ctx context.Context, copied *nats.Msg) error {
	bounded, cancel := context.WithTimeout(ctx, stream.APITimeout)
	defer cancel()
	_, err := s.link.JetStream().PublishMsg(bounded, copied,
		jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithExpectStream(s.topology.Hold))
	return err
}

// API errors of a message above a stream's max_msg_size, and of headers above the server's 64 KiB.
const (
	codeTooLarge        = 10054
	codeHeadersTooLarge = 10097
)

func isTooLarge(err error) bool {
	api, is := errors.AsType[*jetstream.APIError](err)
	return is && (api.ErrorCode == codeTooLarge || api.ErrorCode == codeHeadersTooLarge)
}

// Get reads a copy from the stream's leader: a replica that lags could miss one.
func (s *Stream) Get(ctx context.Context, p Place) (m Message, parts []int, err error) {
	bounded, cancel := context.WithTimeout(ctx, stream.APITimeout)
	defer cancel()
	found, err := s.link.JetStream().Stream(bounded, s.topology.Hold)
	if err != nil {
		return m, nil, s.failed("look at what is held", err)
	}
	raw, err := found.GetLastMsgForSubject(bounded, s.prefix+p.String())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return m, nil, fmt.Errorf("hold %s: %w", p, ErrGone)
	}
	if err != nil {
		return m, nil, s.failed("read what is held", err)
	}
	return decode(raw.Header, raw.Data)
}

// Delete removes a copy for good.
func (s *Stream) Delete(ctx context.Context, p Place) error {
	bounded, cancel := context.WithTimeout(ctx, stream.APITimeout)
	defer cancel()
	found, err := s.link.JetStream().Stream(bounded, s.topology.Hold)
	if err == nil {
		err = found.Purge(bounded, jetstream.WithPurgeSubject(s.prefix+p.String()))
	}
	if err != nil {
		return s.failed("remove what was held", err)
	}
	return nil
}

// Places lists the copies; a missing stream has none.
func (s *Stream) Places(ctx context.Context) ([]Place, error) {
	found, err := s.link.JetStream().Stream(ctx, s.topology.Hold)
	if stream.IsMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, s.failed("list what is held", err)
	}
	info, err := found.Info(ctx, jetstream.WithSubjectFilter(s.prefix+">"))
	if err != nil {
		return nil, s.failed("list what is held", err)
	}
	var all []Place
	for subject := range info.State.Subjects {
		if p, is := placeOf(strings.TrimPrefix(subject, s.prefix)); is {
			all = append(all, p)
		}
	}
	return all, nil
}

// Fill is how full a hold stream is, of all ledgers together.
type Fill struct {
	Messages uint64    // copies
	Oldest   time.Time // when the first of them was held; zero where there is none
	Ratio    float64   // of what the stream takes, by messages or bytes, 0–1; 0 where it has no limit
}

// Fill asks how full the stream is; a missing one has nothing.
func (s *Stream) Fill(ctx context.Context) (Fill, error) {
	found, err := s.link.JetStream().Stream(ctx, s.topology.Hold)
	if stream.IsMissing(err) {
		return Fill{}, nil
	}
	if err != nil {
		return Fill{}, s.failed("look how much is held", err)
	}
	state, most := found.CachedInfo().State, found.CachedInfo().Config
	f := Fill{Messages: state.Msgs}
	if state.Msgs > 0 {
		f.Oldest = state.FirstTime
	}
	if most.MaxMsgs > 0 {
		f.Ratio = float64(state.Msgs) / float64(most.MaxMsgs)
	}
	if most.MaxBytes > 0 {
		f.Ratio = max(f.Ratio, float64(state.Bytes)/float64(most.MaxBytes))
	}
	return f, nil
}

func (s *Stream) failed(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, claim.ErrUnreachable, s.link.Explain(err))
}
