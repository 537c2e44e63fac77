package pipeline

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"

	"forager/enrich"
)

// message is one message while it is held: from its arrival to its verdict.
type message struct {
	position
	decoded
	trail
	standing

	carried *carried // set where it was held below a threshold; nil: it is of the stream

	parts  []part      // what is to be applied now
	sender senderName  // who is held up when its messages are refused
	trial  *sender     // set on the one message of a sender that is tried although the sender is held up
	probe  *probe      // set on the one message taken through a closed gate
	tried  bool        // an apply of it failed here before
	alone  bool        // failed so often that it is applied by itself
	met    atomic.Bool // an apply of it was made
}

// position is where a message lies in the stream, and when it came.
type position struct {
	stream     string
	sequence   uint64
	place      string // where it was held; empty: it is of the stream
	deliveries int
	stored     time.Time // when the stream stored it
	first      time.Time // when it was stored before it was requeued, proven; zero is stored
	requeued   int       // how often it was requeued, proven
	arrived    time.Time
	bytes      int // of body and headers
}

// decoded is what decoding made of a message, beside its parts.
type decoded struct {
	format  string
	queue   string   // of the first plan, for the log
	plans   int      // how many plans the message has, applied here before or not
	dropped []string // reasons of parts that ask for nothing
	waits   int      // parts that are held below a threshold
	failed  error    // what made a part unfit before any apply: the worst of them
}

// trail is what is traced of a message.
type trail struct {
	span trace.Span // of the message; the sender's, where nothing is traced; nil is none
	sent bool       // the sender's trace is named in the headers
}

// standing is how far a message came. Applies, heartbeats and settlement share it.
type standing struct {
	mu      sync.Mutex
	msg     jetstream.Msg // the newest delivery of it
	open    int           // parts without a result
	applied time.Duration // of the last apply
	settled bool          // the final word is being sent: no more heartbeats
}

// identity is what tells messages apart: a stream that is made anew begins its sequences again.
type identity struct {
	sequence uint64
	stored   int64 // Unix nanoseconds
	place    string
}

func (p *position) identity() identity {
	return identity{sequence: p.sequence, stored: p.stored.UnixNano(), place: p.place}
}

// part is one plan of a message and, once known, its result.
type part struct {
	of    *message
	index int            // of the detection in its message
	queue string         // of the plan
	plan  *enrich.Plan   // nil while it waits: then it is made again when it goes
	err   error          // written by the apply that had it, before the message's last part closes
	in    enrich.Landing // the case where it ended; zero until an apply said so
	done  bool           // it has its result
	waits bool           // its threshold has not let it pass
}

// renew takes a newer delivery of a message that is still held: the server gave the older up.
func (s *standing) renew(newer jetstream.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.msg = newer
}

// delivery is the newest delivery of the message.
func (s *standing) delivery() jetstream.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.msg
}

// finish gives a part its result, once, and tells whether it was the message's last.
func (p *part) finish(err error, took time.Duration) bool {
	m := p.of
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.done {
		return false
	}
	p.err, p.done = err, true
	m.applied = max(m.applied, took)
	m.open--
	return m.open == 0
}

// heartbeat keeps the message ours, unless its final word is already on the way.
func (s *standing) heartbeat() {
	s.mu.Lock()
	msg, settled := s.msg, s.settled
	s.mu.Unlock()
	if !settled {
		_ = msg.InProgress() // a lost one is made good by the next, a lost message by redelivery
	}
}

// settle ends the heartbeats and returns the delivery to answer.
func (s *standing) settle() jetstream.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = true
	return s.msg
}

// conclude is the error that decides on the message: where one part must be tried again, so must
// the message, and what is hopeless waits until the rest is done. Parts that TheHive's state
// made void count as dropped. It is called once, after the last part has finished.
func (m *message) conclude() error {
	worst := m.failed
	for i := range m.parts {
		err := m.parts[i].err
		if enrich.ClassOf(err) == enrich.Dropped {
			m.void(err)
		} else if rank(err) > rank(worst) {
			worst = err
		}
	}
	if worst == nil && m.plans+m.waits == 0 && len(m.dropped) > 0 {
		return &enrich.DroppedError{Reason: m.dropped[0]}
	}
	return worst
}

// void counts a plan as one that asked for nothing.
func (d *decoded) void(err error) {
	d.plans--
	if errors.Is(err, errWaits) {
		d.waits++
		return
	}
	d.dropped = append(d.dropped, enrich.ReasonOf(err))
}

// rank orders errors by how much they delay the message.
func rank(err error) int {
	switch enrich.ClassOf(err) {
	case enrich.None, enrich.Dropped:
		return 0
	case enrich.Rejected:
		return 2
	case enrich.Malformed, enrich.Quarantined:
		return 3
	case enrich.Interrupted:
		return 4
	case enrich.Transient:
		return 5
	case enrich.Throttled:
		return 6
	case enrich.Blocked:
		return 7
	default:
		return 5
	}
}

// errStopped is what becomes of plans that wait when the worker stops.
var errStopped = fmt.Errorf("not begun: %w", enrich.ErrStopping)

// errReplanned is what becomes of a plan that would be another now: its message is read anew.
var errReplanned = fmt.Errorf("rules were changed while it waited: %w", enrich.ErrStopping)

// errKeyBlocked is what becomes of new messages of a key of which nothing succeeded for long.
var errKeyBlocked = fmt.Errorf("%w: nothing of this correlation key succeeded for long; see the errors of the messages before", enrich.ErrKeyBlocked)

// overflowError sends a message back because its key holds its share already. It is
// Interrupted: not the message's fault, and not counted.
type overflowError struct{ delay time.Duration }

func (e *overflowError) Error() string { return "key holds its share" }

// Unwrap gives the class.
func (e *overflowError) Unwrap() error { return enrich.ErrStopping }

// refused gives all open parts of a message an error without an apply.
func (m *message) refused(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.parts {
		m.parts[i].err = err
	}
	m.open = 0
}

// retryAfter is how long a message was asked to stay away, by TheHive or by its full key.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*overflowError](err); ok {
		return e.delay
	}
	return enrich.RetryAfter(err)
}
