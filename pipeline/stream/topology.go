package stream

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Topology names what a worker uses in JetStream: the stream with the detections and its consumer,
// the stream of dead letters, and the bucket of the ledger. Zero values are replaced by the defaults
// named with each field; Stream and Consumer have none.
type Topology struct {
	Stream   string   // the stream with the detections
	Consumer string   // the durable pull consumer that all replicas share
	Subjects []string // what the stream takes and the consumer filters, used when Manage creates them
	Manage   bool     // create stream, consumer, dead-letter stream and ledger where missing

	Bucket      string // KV bucket of the ledger, "FORAGER_LEDGER"
	DeadLetters string // dead-letter stream, "FORAGER_DLQ"
	Hold        string // stream of what waits below a threshold, made when something does, "FORAGER_HOLD"
	Replicas    int    // copies of what Manage creates, 1

	MaxAge     time.Duration // how long the stream that Manage creates keeps messages; 0 is no limit
	MaxBytes   int64         // bytes that it keeps; 0 is no limit
	MaxLetters int64         // bytes of dead letters that the stream that Manage creates takes; 0 is no limit

	MaxAckPending int           // of the consumer that Manage creates, 32768
	AckWait       time.Duration // of the consumer that Manage creates, 15 s
}

// Defaults of [Topology].
const (
	DefaultBucket      = "FORAGER_LEDGER"
	DefaultDeadLetters = "FORAGER_DLQ"
	DefaultHold        = "FORAGER_HOLD"
)

// WithDefaults fills in what was left zero.
func (t Topology) WithDefaults() Topology {
	t.Bucket = cmp.Or(t.Bucket, DefaultBucket)
	t.DeadLetters = cmp.Or(t.DeadLetters, DefaultDeadLetters)
	t.Hold = cmp.Or(t.Hold, DefaultHold)
	t.Replicas = cmp.Or(t.Replicas, 1)
	t.MaxAckPending = cmp.Or(t.MaxAckPending, 1<<15)
	t.AckWait = cmp.Or(t.AckWait, 15*time.Second)
	return t
}

// ErrTopology says that a [Topology] cannot work.
var ErrTopology = errors.New("impossible options")

// Check refuses with [ErrTopology] what JetStream would refuse later, naming field and value; all
// that is wrong at once. It expects the defaults to be filled in, and asks no server.
func (t Topology) Check() error {
	const rule = "a JetStream name is not empty and has no dot, star, > or space"
	var problems []error
	refuse := func(bad bool, field string, value any, why string) {
		if bad {
			problems = append(problems, fmt.Errorf("%w: %s %v: %s", ErrTopology, field, value, why))
		}
	}
	refuse(!ValidName(t.Stream), "stream", quoted(t.Stream), rule)
	refuse(!ValidName(t.Consumer), "consumer", quoted(t.Consumer), rule)
	refuse(!ValidName(t.DeadLetters), "dead letters", quoted(t.DeadLetters), rule)
	refuse(t.DeadLetters == t.Stream, "dead letters", quoted(t.DeadLetters), "a dead letter in the stream it came from would be consumed again")
	refuse(!ValidName(t.Hold), "hold", quoted(t.Hold), rule)
	refuse(t.Hold == t.Stream || t.Hold == t.DeadLetters, "hold", quoted(t.Hold), "what waits needs a stream of its own")
	refuse(t.Manage && len(t.Subjects) == 0, "subjects", t.Subjects, "a stream to be created needs at least one")
	refuse(t.AckWait < 3*time.Millisecond, "ack wait", t.AckWait, "heartbeats go out every third of it")
	return errors.Join(problems...)
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }

// DeadLetterPrefix begins the subject of every dead letter: forager.dlq.<stream>.<sequence>.
const DeadLetterPrefix = "forager.dlq."

// HoldPrefix begins the subject of every copy of a message that waits below a threshold: forager.hold.<ledger>.<entry>.<stream>.<sequence>.<time>.<parts>.
const HoldPrefix = "forager.hold."

// InitialisedKey is the ledger's entry that says that the consumer had delivered nothing when the
// bucket was made. [Ensure] writes it.
const InitialisedKey = "born"

// PullExpiry is how long a pull of a worker lasts at most. It is short, since whatever swallows a pull request is
// noticed after two missing heartbeats, and a forgotten request ends with its expiry.
const PullExpiry = 10 * time.Second

// PullBytes is the byte limit of a pull, where so many bytes may be held and the server takes messages of so
// many: a part of what may be held, but never less than the largest message there can be, which would never
// come otherwise.
func PullBytes(held int, largest int64) int {
	const most, headersToo = 8 << 20, 64 << 10
	return max(min(most, held/4), int(largest)+headersToo)
}

// Duration shows a duration without what is zero in it: 1h, not 1h0m0s.
func Duration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
