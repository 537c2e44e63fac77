package feedback

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc/pool"

	"forager/enrich/feedback"
	"forager/pipeline/stream"
)

// Options says where sources are told. Zero values are replaced by the defaults named with each field, but for Subject.
type Options struct {
	Stream   string // "FORAGER_FEEDBACK"
	Subject  string // what subjects begin with
	Manage   bool   // create the stream where it is missing
	Replicas int    // copies of what Manage creates, 1
	// Stored is told of each message that the stream has: anew, or already. It must not block; nil: nobody is.
	Stored func(event feedback.Event, anew bool)
}

// WithDefaults fills in what was left zero.
func (o Options) WithDefaults() Options {
	o.Stream = cmp.Or(o.Stream, "FORAGER_FEEDBACK")
	o.Replicas = cmp.Or(o.Replicas, 1)
	if o.Stored == nil {
		o.Stored = func(feedback.Event, bool) {}
	}
	return o
}

// Subjects are what the stream listens to.
func (o Options) Subjects() []string { return []string{o.Subject + ".*.*.*"} }

// OfSource is the subject of all that one source is told: what its forwarder consumes.
func (o Options) OfSource(source string) string { return o.Subject + "." + token(source) + ".>" }

// subjectOf is the message's own.
func (o Options) subjectOf(m feedback.Message) string {
	return strings.Join([]string{o.Subject, token(m.Alert.Source), strconv.Itoa(m.Case.Number), m.ID}, ".")
}

// token is a source as it stands in a subject: letters, digits, - and _; all else becomes _.
func token(source string) string {
	return cmp.Or(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, source), "_")
}

// Limits of the stream.
const (
	// LongestAge is how long a message is kept, and therefore how late it may be told again without harm.
	LongestAge  = 30 * 24 * time.Hour
	mostBytes   = 1 << 30
	knownAgain  = time.Hour // in which a message is known even if somebody removed it from the stream
	atATime     = 16        // messages that are stored side by side
	storeWithin = 10 * time.Second
)

// Outbox is the stream. Safe for concurrent use.
type Outbox struct {
	link    *stream.Link
	options Options
}

var _ feedback.Outbox = (*Outbox)(nil)

// New makes an outbox. It makes no call; an error wraps [stream.ErrTopology].
func New(link *stream.Link, options Options) (*Outbox, error) {
	o := options.WithDefaults()
	if !stream.ValidName(o.Stream) {
		return nil, fmt.Errorf("%w: feedback stream %q: a JetStream name is not empty and has no dot, star, > or space", stream.ErrTopology, o.Stream)
	}
	if o.Subject == "" || strings.ContainsAny(o.Subject, "*> \t\r\n") {
		return nil, fmt.Errorf("%w: feedback subject %q: words parted by dots, no wildcards", stream.ErrTopology, o.Subject)
	}
	return &Outbox{link: link, options: o}, nil
}

// Ensure creates the stream where it is missing and Manage is set. Errors: of NATS, explained.
func (b *Outbox) Ensure(ctx context.Context) error {
	if !b.options.Manage {
		return nil
	}
	return b.link.Explain(stream.EnsureStream(ctx, b.link, jetstream.StreamConfig{
		Name: b.options.Stream, Subjects: b.options.Subjects(), Storage: jetstream.FileStorage, Replicas: b.options.Replicas,
		MaxAge: LongestAge, MaxBytes: mostBytes, Discard: jetstream.DiscardNew, Duplicates: knownAgain, AllowDirect: true,
		Description: "what became of alerts, for those who sent them",
	}))
}

// Put stores messages, each on its own subject; nil means that the stream has all of them, once.
func (b *Outbox) Put(ctx context.Context, all []feedback.Message) error {
	if !b.link.Connected() {
		return b.link.Explain(fmt.Errorf("store feedback: %w", stream.ErrNotConnected))
	}
	bounded, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	storing := pool.New().WithMaxGoroutines(atATime).WithErrors().WithContext(bounded).WithCancelOnError().WithFirstError()
	for _, m := range all {
		storing.Go(func(ctx context.Context) error { return b.put(ctx, m) })
	}
	return storing.Wait()
}

func (b *Outbox) put(ctx context.Context, m feedback.Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("store feedback: %w", err)
	}
	msg := &nats.Msg{Subject: b.options.subjectOf(m), Data: body, Header: nats.Header{"Content-Type": {"application/json"}}}
	ack, err := b.link.JetStream().PublishMsg(ctx, msg, jetstream.WithMsgID(m.ID), jetstream.WithExpectStream(b.options.Stream),
		jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithRetryAttempts(0))
	switch {
	case err == nil:
		b.options.Stored(m.Event, !ack.Duplicate)
		return nil
	case stream.IsWrongSequence(err):
		if err := b.there(ctx, msg.Subject); err != nil {
			return err
		}
		b.options.Stored(m.Event, false)
		return nil
	default:
		return b.link.Explain(fmt.Errorf("store feedback on %s: %w", msg.Subject, err))
	}
}

// there makes sure that a subject has its message: a server refuses a second one already while the first is on its way
// to the other copies of the stream, and may never get there.
func (b *Outbox) there(ctx context.Context, subject string) error {
	s, err := b.link.JetStream().Stream(ctx, b.options.Stream)
	if err == nil {
		_, err = s.GetLastMsgForSubject(ctx, subject)
	}
	if err != nil {
		return b.link.Explain(fmt.Errorf("look for feedback on %s: %w", subject, err))
	}
	return nil
}
