package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/pipeline/inspect"
	"forager/pipeline/journal"
	"forager/pipeline/stream"
)

// Decoder turns a message into detections. It must return an error for which [enrich.ClassOf]
// says Malformed when the message cannot be read, ever; a message that holds no detection is no
// error but a result with the reason in Dropped.
type Decoder interface {
	Decode(m detection.Message) (detection.Result, error)
}

// Planner decides what a detection asks of TheHive. It makes no call. Its errors decide the
// settlement by [enrich.ClassOf]: *enrich.DroppedError, *enrich.MalformedError.
type Planner interface {
	Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error)
}

// Applier makes TheHive agree with the plans of a batch. It returns one error, or nil, per plan in the same
// order, those that it took of [enrich.Batch] More behind the others; nil only when every effect of the plan was
// confirmed. The batch's slot is one of Options.Slots. It bounds its own calls. When ctx ends it starts no further call,
// lets the running one finish within its time-out, and returns errors wrapping
// [enrich.ErrStopping] for what is not done.
type Applier interface {
	Apply(ctx context.Context, b enrich.Batch) []error
}

// Journal keeps what became of messages. An error means that it may not have been kept: then the message is not settled, and
// comes again.
type Journal interface {
	Write(ctx context.Context, e journal.Entry) error
}

// Options says what a worker consumes and how much it takes upon itself. Zero values are
// replaced by the defaults named with each field; Stream and Consumer have none.
type Options struct {
	stream.Topology // MaxAckPending is 16 × MaxInFlight unless it is given: four replicas

	MaxMessageBytes int           // larger messages are dead letters, 1 MiB
	Concurrency     int           // calls in flight at TheHive, 32: limits derive from it
	MaxInFlight     int           // messages held, 64 × Concurrency; up to four times as many where they are of many keys
	MaxBytesHeld    int           // bytes of bodies held, 32 MiB; exceeded by one pull at most
	Lease           time.Duration // how long a claim lives unrenewed, 15 s
	Settle          time.Duration // how long an ambiguous call may still commit, 25 s
	Drain           time.Duration // how long applies may take after a stop, 30 s
	Confirm         time.Duration // how long one confirmation of the server may take, 5 s
	KeyBlocked      time.Duration // a key that failed this long dead-letters its further messages, 10 min

	// DeadLetterShare is how many of the last hundred messages of one sender (subject prefix and
	// format) TheHive may refuse for one reason before the sender's messages wait, if fewer of them
	// succeed: 20; negative is without limit, for streams made to test.
	DeadLetterShare int

	Policy Policy                          // when to retry and when to give up
	Check  func(ctx context.Context) error // asks TheHive whether it is well; nil error is yes; may be nil

	// Organisations names those that plans may belong to, at this moment. Where these are several,
	// one that refuses the worker ([enrich.OrganisationError]) holds up its own messages alone. nil:
	// there is one.
	Organisations func() []string

	// Replan plans again what waited while too many did for all plans to be kept; nil is the planner itself.
	// Who counts plans can count each once by it.
	Replan Planner

	Journal Journal // keeps a line of every settlement, written before it; nil is none

	// Opened tells of each plan whether a case is open that would take it: then there is nothing to wait for. nil: none is
	// known to be.
	Opened func(ctx context.Context, plans []enrich.Plan) ([]bool, error)

	// Carries lets this worker carry on what any worker held below a threshold. Without it, it only holds.
	Carries bool

	Source Source // where messages come from; nil is the consumer of the topology

	// Slots bound how many applies are at work at a time: 2 × Concurrency. Others that call TheHive may share them.
	Slots *enrich.Slots

	// Replicas is how many workers consume, this one among them, as far as that is known: each takes its
	// share of a backlog. nil, or unknown, is two.
	Replicas func() (n int, known bool)

	Worker   string      // name in dead letters, for people: the host's or pod's name
	Log      *zap.Logger // nil is silence
	Observer Observer    // counts; nil is nobody

	// Tracer makes a span for each message, from its arrival to its settlement, and one for each apply,
	// which the context of the [Applier] carries. nil is none, and costs nothing.
	Tracer trace.TracerProvider
}

// ErrOptions says that options cannot work.
var ErrOptions = stream.ErrTopology

// Defaults of [Options].
const (
	defaultConcurrency = 32
	inFlightPerCall    = 64 // messages held per call in flight: design section 3
	appliesPerCall     = 2  // applies at work per call in flight: some compute while others call
	ackPendingPerHeld  = 16 // four replicas, and four times what they hold for naks with delay
)

// WithDefaults fills in what was left zero, that of the topology too.
func (o Options) WithDefaults() Options {
	o.MaxMessageBytes = cmp.Or(o.MaxMessageBytes, 1<<20)
	o.Concurrency = cmp.Or(o.Concurrency, defaultConcurrency)
	o.MaxInFlight = cmp.Or(o.MaxInFlight, inFlightPerCall*o.Concurrency)
	o.MaxBytesHeld = cmp.Or(o.MaxBytesHeld, 32<<20)
	o.MaxAckPending = cmp.Or(o.MaxAckPending, ackPendingPerHeld*o.MaxInFlight)
	o.Topology = o.Topology.WithDefaults()
	o.Lease = cmp.Or(o.Lease, 15*time.Second)
	o.Settle = cmp.Or(o.Settle, 25*time.Second)
	o.Drain = cmp.Or(o.Drain, 30*time.Second)
	o.Confirm = cmp.Or(o.Confirm, 5*time.Second)
	o.KeyBlocked = cmp.Or(o.KeyBlocked, 10*time.Minute)
	o.DeadLetterShare = cmp.Or(o.DeadLetterShare, 20)
	o.Policy = o.Policy.withDefaults()
	if o.Slots == nil {
		o.Slots = enrich.NewSlots(appliesPerCall * o.Concurrency)
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	return o
}

// Streams is the topology with the defaults that depend on the other options.
func (o Options) Streams() stream.Topology { return o.WithDefaults().Topology }

// Expected is what a worker with these options expects of NATS, for [inspect.Inspect].
func (o Options) Expected() inspect.Expected {
	o = o.WithDefaults()
	return inspect.Expected{
		Topology: o.Topology, MaxMessageBytes: o.MaxMessageBytes, MaxInFlight: o.MaxInFlight, MaxBytesHeld: o.MaxBytesHeld,
		Confirm: o.Confirm,
	}
}

// validate refuses what would fail later, or never end, naming field and value.
func (o Options) validate() error {
	problems := []error{o.Topology.Check()}
	refuse := func(bad bool, field string, value any, why string) {
		if bad {
			problems = append(problems, fmt.Errorf("%w: %s %v: %s", ErrOptions, field, value, why))
		}
	}
	refuse(o.MaxMessageBytes < 1, "max message bytes", o.MaxMessageBytes, "no message would fit")
	refuse(o.Concurrency < 1, "concurrency", o.Concurrency, "nothing could be applied")
	refuse(o.MaxInFlight < 1, "max in flight", o.MaxInFlight, "nothing could be held")
	refuse(o.MaxBytesHeld < 1, "max bytes held", o.MaxBytesHeld, "nothing could be held")
	refuse(o.Confirm < 0 || o.Drain < 0 || o.Lease < 0 || o.Settle < 0, "durations", []time.Duration{o.Confirm, o.Drain, o.Lease, o.Settle}, "must not be negative")
	return errors.Join(problems...)
}

// ackers is how many acknowledgements may wait for their confirmation at once: enough that the
// round trip is never the limit (64 confirmed 63 000 a second on loopback).
func (o Options) ackers() int { return max(64, 4*runtime.GOMAXPROCS(0)) }
