package deadletter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// Message is a dead letter: a message that was given up, with what was known of it then.
type Message struct {
	Number   uint64    // in the dead-letter stream: names the dead letter
	Reason   string    // bounded: "invalid json", "observable rejected", "transient", …
	Class    string    // of the error: malformed, rejected, transient
	Step     string    // what TheHive refused: observable, procedure, comment, case; or empty
	Status   int       // TheHive's HTTP status; 0 is none
	Detail   string    // the error's own words, shortened
	Attempts int       // how often the server delivered the message
	Format   string    // format that read it; empty when none could
	Subject  string    // original subject
	Stream   string    // original stream
	Sequence uint64    // original sequence
	Stored   time.Time // when the stream stored the message
	Time     time.Time // when it was stored first; earlier than Stored after a requeue
	Died     time.Time // when it became a dead letter
	Worker   string    // who gave it up
	Requeued int       // how often it was requeued before
	Proof    string    // of Time and Requeued, for the worker that meets the requeued message; empty in those of older versions

	Header map[string][]string // the original's own headers
	Body   []byte              // the original's bytes
}

// Filter chooses dead letters; zero fields choose all.
type Filter struct {
	Reason string    // exactly
	Format string    // exactly
	Stream string    // original stream
	Since  time.Time // died at or after
	Until  time.Time // died before
}

// Match tells whether a dead letter is chosen.
func (f Filter) Match(m Message) bool {
	return (f.Reason == "" || f.Reason == m.Reason) && (f.Format == "" || f.Format == m.Format) &&
		(f.Stream == "" || f.Stream == m.Stream) &&
		(f.Since.IsZero() || !m.Died.Before(f.Since)) && (f.Until.IsZero() || m.Died.Before(f.Until))
}

// Queue is the dead-letter stream: the worker stores in it, people list, requeue and purge. Safe for concurrent use.
type Queue struct {
	link *stream.Link
	name string
}

// ErrNotFound says that there is no dead letter of a number.
var ErrNotFound = errors.New("no such dead letter")

// Open looks at a dead-letter stream; an empty name is "FORAGER_DLQ". It makes no call.
func Open(link *stream.Link, name string) *Queue {
	return &Queue{link: link, name: cmp.Or(name, stream.DefaultDeadLetters)}
}

// List goes through the dead letters that the filter chooses, oldest first, up to the last there is
// when it begins: those that die again while they are requeued are not seen twice. An error
// ends it.
func (q *Queue) List(ctx context.Context, f Filter) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		from, err := q.link.JetStream().Stream(ctx, q.name)
		if err != nil {
			yield(Message{}, fmt.Errorf("list dead letters: %w", q.link.Explain(err)))
			return
		}
		q.walk(ctx, from, f, yield)
	}
}

func (q *Queue) walk(ctx context.Context, from jetstream.Stream, f Filter, yield func(Message, error) bool) {
	state := from.CachedInfo().State
	for next := state.FirstSeq; next != 0 && next <= state.LastSeq; next++ {
		raw, err := from.GetMsg(ctx, next, jetstream.WithGetMsgSubject(stream.DeadLetterPrefix+">"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return
		}
		if err != nil {
			yield(Message{}, fmt.Errorf("list dead letters: %w", q.link.Explain(err)))
			return
		}
		next = raw.Sequence
		if m := decode(raw); next <= state.LastSeq && f.Match(m) && !yield(m, nil) {
			return
		}
	}
}

// Get returns the dead letter of a number, or an error wrapping [ErrNotFound].
func (q *Queue) Get(ctx context.Context, number uint64) (Message, error) {
	stream, err := q.link.JetStream().Stream(ctx, q.name)
	if err != nil {
		return Message{}, fmt.Errorf("get dead letter %d: %w", number, q.link.Explain(err))
	}
	raw, err := stream.GetMsg(ctx, number)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Message{}, fmt.Errorf("get dead letter %d: %w", number, ErrNotFound)
	}
	if err != nil {
		return Message{}, fmt.Errorf("get dead letter %d: %w", number, q.link.Explain(err))
	}
	return decode(raw), nil
}

// Of returns the dead letter of a message, or an error wrapping [ErrNotFound].
func (q *Queue) Of(ctx context.Context, from string, sequence uint64) (Message, error) {
	held, err := q.link.JetStream().Stream(ctx, q.name)
	if err != nil {
		return Message{}, fmt.Errorf("look for a dead letter: %w", q.link.Explain(err))
	}
	raw, err := held.GetLastMsgForSubject(ctx, Subject(from, sequence))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Message{}, fmt.Errorf("dead letter of %s %d: %w", from, sequence, ErrNotFound)
	}
	if err != nil {
		return Message{}, fmt.Errorf("look for a dead letter: %w", q.link.Explain(err))
	}
	return decode(raw), nil
}

// Requeue publishes the original message to its stream again, waits for the server's word, and
// removes the dead letter. The message keeps its first time, so that a detection without a time of its own does not
// move; but where the dead letter has no proof of it, it is as old as the requeue. Its message id is made for
// this dead letter: no deduplication window takes it for the original, and a requeue that is repeated is
// stored once within the window; later it is a detection sent twice, which adds nothing in TheHive.
func (q *Queue) Requeue(ctx context.Context, m Message) error {
	again := nats.NewMsg(m.Subject)
	again.Data = m.Body
	keepOriginals(again.Header, m.Header, false)
	for name := range again.Header { // what would act, or pass for ours, stays behind
		if strings.HasPrefix(name, originalPrefix) {
			again.Header.Del(name)
		}
	}
	next := m.Next()
	again.Header.Set(HeaderTime, next.Time)
	again.Header.Set(HeaderRequeued, next.Requeued)
	if next.Proof != "" {
		again.Header.Set(HeaderProof, next.Proof)
	}
	id := fmt.Sprintf("forager-requeue-%s-%d-%d", q.name, m.Number, m.Died.UnixNano())
	_, err := q.link.JetStream().PublishMsg(ctx, again, jetstream.WithMsgID(id), jetstream.WithExpectStream(m.Stream))
	if err != nil {
		return fmt.Errorf("requeue dead letter %d: %w", m.Number, q.link.Explain(err))
	}
	return q.Purge(ctx, m)
}

// Purge removes a dead letter for good; one that is gone already is no error.
func (q *Queue) Purge(ctx context.Context, m Message) error {
	found, err := q.link.JetStream().Stream(ctx, q.name)
	if err != nil {
		return fmt.Errorf("purge dead letter %d: %w", m.Number, q.link.Explain(err))
	}
	err = found.DeleteMsg(ctx, m.Number)
	if err != nil && !stream.IsNoMessage(err) {
		return fmt.Errorf("purge dead letter %d: %w", m.Number, q.link.Explain(err))
	}
	return nil
}
