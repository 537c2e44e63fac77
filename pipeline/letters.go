package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// DeadLetter is a message that no try could settle, with what was known of it when it died.
type DeadLetter struct {
	Number   uint64    // in the dead-letter stream: names the letter
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
	Proof    string    // of Time and Requeued, for the worker that meets the requeued message; empty in letters of older versions

	Header map[string][]string // the original's own headers
	Body   []byte              // the original's bytes
}

// LetterFilter chooses dead letters; zero fields choose all.
type LetterFilter struct {
	Reason string    // exactly
	Format string    // exactly
	Stream string    // original stream
	Since  time.Time // died at or after
	Until  time.Time // died before
}

// Match tells whether a letter is chosen.
func (f LetterFilter) Match(l DeadLetter) bool {
	return (f.Reason == "" || f.Reason == l.Reason) && (f.Format == "" || f.Format == l.Format) &&
		(f.Stream == "" || f.Stream == l.Stream) &&
		(f.Since.IsZero() || !l.Died.Before(f.Since)) && (f.Until.IsZero() || l.Died.Before(f.Until))
}

// Letters is the dead-letter stream for people: list, show, requeue, purge.
type Letters struct {
	link *stream.Link
	name string
}

// ErrNoLetter says that there is no dead letter of a number.
var ErrNoLetter = errors.New("no such dead letter")

// OpenLetters looks at a dead-letter stream; an empty name is "FORAGER_DLQ". It makes no call.
func OpenLetters(link *stream.Link, name string) *Letters {
	return &Letters{link: link, name: cmp.Or(name, stream.DefaultDeadLetters)}
}

// List goes through the letters that the filter chooses, oldest first, up to the last there is
// when it begins: letters that die again while they are requeued are not seen twice. An error
// ends it.
func (l *Letters) List(ctx context.Context, f LetterFilter) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		letters, err := l.link.JetStream().Stream(ctx, l.name)
		if err != nil {
			yield(DeadLetter{}, fmt.Errorf("list dead letters: %w", l.link.Explain(err)))
			return
		}
		l.walk(ctx, letters, f, yield)
	}
}

func (l *Letters) walk(ctx context.Context, letters jetstream.Stream, f LetterFilter, yield func(DeadLetter, error) bool) {
	state := letters.CachedInfo().State
	for next := state.FirstSeq; next != 0 && next <= state.LastSeq; next++ {
		raw, err := letters.GetMsg(ctx, next, jetstream.WithGetMsgSubject(stream.DeadLetterPrefix+">"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return
		}
		if err != nil {
			yield(DeadLetter{}, fmt.Errorf("list dead letters: %w", l.link.Explain(err)))
			return
		}
		next = raw.Sequence
		if letter := readLetter(raw); next <= state.LastSeq && f.Match(letter) && !yield(letter, nil) {
			return
		}
	}
}

// Get returns the letter of a number, or an error wrapping [ErrNoLetter].
func (l *Letters) Get(ctx context.Context, number uint64) (DeadLetter, error) {
	stream, err := l.link.JetStream().Stream(ctx, l.name)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("get dead letter %d: %w", number, l.link.Explain(err))
	}
	raw, err := stream.GetMsg(ctx, number)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return DeadLetter{}, fmt.Errorf("get dead letter %d: %w", number, ErrNoLetter)
	}
	if err != nil {
		return DeadLetter{}, fmt.Errorf("get dead letter %d: %w", number, l.link.Explain(err))
	}
	return readLetter(raw), nil
}

// Requeue publishes the original message to its stream again, waits for the server's word, and
// removes the letter. The message keeps its first time, so that a detection without a time of
// its own does not move, but where the letter has no proof of it: it is as old as the requeue then. Its message id is made for this letter: no deduplication window takes
// it for the original, and a requeue that is repeated is stored once within the window; later
// it is a detection sent twice, which adds nothing in TheHive.
func (l *Letters) Requeue(ctx context.Context, letter DeadLetter) error {
	m := nats.NewMsg(letter.Subject)
	m.Data = letter.Body
	keepOriginals(m.Header, letter.Header, false)
	for name := range m.Header { // what would act, or pass for ours, stays behind
		if strings.HasPrefix(name, originalPrefix) {
			m.Header.Del(name)
		}
	}
	m.Header.Set(headerTime, instant(letter.Time))
	m.Header.Set(headerRequeued, strconv.Itoa(letter.Requeued+1))
	if letter.Proof != "" {
		m.Header.Set(headerProof, letter.Proof)
	}
	id := fmt.Sprintf("forager-requeue-%s-%d-%d", l.name, letter.Number, letter.Died.UnixNano())
	_, err := l.link.JetStream().PublishMsg(ctx, m, jetstream.WithMsgID(id), jetstream.WithExpectStream(letter.Stream))
	if err != nil {
		return fmt.Errorf("requeue dead letter %d: %w", letter.Number, l.link.Explain(err))
	}
	return l.Purge(ctx, letter)
}

// Purge removes a letter for good; one that is gone already is no error.
func (l *Letters) Purge(ctx context.Context, letter DeadLetter) error {
	found, err := l.link.JetStream().Stream(ctx, l.name)
	if err != nil {
		return fmt.Errorf("purge dead letter %d: %w", letter.Number, l.link.Explain(err))
	}
	err = found.DeleteMsg(ctx, letter.Number)
	if err != nil && !stream.IsNoMessage(err) {
		return fmt.Errorf("purge dead letter %d: %w", letter.Number, l.link.Explain(err))
	}
	return nil
}

// readLetter reads what [Worker.letter] wrote. Foreign messages give what they have.
func readLetter(raw *jetstream.RawStreamMsg) DeadLetter {
	h := raw.Header
	l := DeadLetter{
		Number: raw.Sequence, Reason: h.Get(headerReason), Class: h.Get(headerClass), Step: h.Get(headerStep),
		Status: number(h, headerStatus), Detail: h.Get(headerError), Attempts: number(h, headerAttempts),
		Format: h.Get(headerFormat), Subject: decodeSubject(h.Get(headerSubject)), Stream: h.Get(headerStream),
		Stored: moment(h, headerStored), Time: moment(h, headerTime), Died: moment(h, headerDied),
		Worker: h.Get(headerWorker), Requeued: number(h, headerRequeued), Proof: h.Get(headerProof), Body: raw.Data,
	}
	l.Sequence, _ = strconv.ParseUint(h.Get(headerSequence), 10, 64)
	if l.Died.IsZero() {
		l.Died = raw.Time
	}
	l.Header = originals(h)
	return l
}

// originals gives the original's headers their names back.
func originals(h nats.Header) map[string][]string {
	own := map[string][]string{}
	for name, values := range maps.All(h) {
		original, kept := strings.CutPrefix(name, originalPrefix)
		if kept || !strings.HasPrefix(strings.ToLower(name), foragerPrefix) && !strings.HasPrefix(strings.ToLower(name), natsPrefix) {
			own[original] = values
		}
	}
	return own
}

func number(h nats.Header, name string) int {
	n, _ := strconv.Atoi(h.Get(name))
	return n
}

func moment(h nats.Header, name string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, h.Get(name))
	return t
}
