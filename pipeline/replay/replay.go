package replay

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich"
	"forager/pipeline"
	"forager/pipeline/stream"
)

// ErrImpossible says that a replay cannot work: its range is empty, or its stream keeps nothing.
var ErrImpossible = errors.New("impossible replay")

// ErrUnfinished says that a replay was stopped before its end. The same replay goes on
// where it stopped, for an hour.
var ErrUnfinished = errors.New("replay is not finished")

// Options say what of a stream is carried again, and how gently.
type Options struct {
	Since   time.Time // messages stored from then on; needed
	Until   time.Time // and before then; zero is all there are when the replay is first begun
	Subject string    // only of this subject (NATS wildcards); empty is what the live consumer takes
	Rate    float64   // messages a second, for this process; 0 is without limit
	Again   bool      // begin anew, even if the same replay ran or runs already

	// Live is how many messages may wait for the live consumer before the replay takes no more
	// until they are fewer; 0 is four for each call in flight, [math.MaxUint64] lets it never wait.
	Live uint64
	// Look is how often live consumer and own progress are looked at, 1 s.
	Look time.Duration
	// Told is told of the progress at each look; nil is nobody.
	Told func(State)
}

// State is how far a replay is.
type State struct {
	Span

	Passed    uint64 // sequences of the span that are settled, by whichever replica
	Acked     uint64 // messages that this process settled, by their ends
	Dropped   uint64
	Dead      uint64
	Waits     string // why nothing is taken at the moment; empty while work is done
	LiveAhead uint64 // messages that wait for the live consumer
	LiveIdle  bool   // the replay waits for them, and nobody has asked for any for a minute
}

// Length is how many sequences the span has; not all need be of its subjects, or still there.
func (s Span) Length() uint64 {
	if s.Last < s.First {
		return 0
	}
	return s.Last - s.First + 1
}

// Replay carries a part of a stream again, by a durable consumer of its own and the pipeline of
// [pipeline.Worker]: effects are sets, so what is in TheHive already stays as it is, and what was missed
// lands where it belongs by its own time.
//
// The consumer's name follows from range and subject, so that a replay that was stopped goes on,
// and several replicas that are given the same one share it. Its end is read once, when it is
// first begun, and kept in the consumer's metadata. The server forgets it after an hour in which
// nobody used it.
type Replay struct {
	*source

	worker *pipeline.Worker
	counts *counts
}

// Open finds out what a replay would do; it changes nothing yet. options are those of the
// live worker: its stream, its consumer, its limits. Errors wrap [ErrImpossible] or [pipeline.ErrOptions] when
// no waiting cures them.
func Open(ctx context.Context, link *stream.Link, options pipeline.Options, what Options, decoder pipeline.Decoder, planner pipeline.Planner, applier pipeline.Applier) (*Replay, error) {
	s, err := newSource(ctx, link, options.WithDefaults(), what)
	if err != nil {
		return nil, err
	}
	r := &Replay{source: s, counts: &counts{Observer: s.options.Observer}}
	o := s.options
	o.Observer, o.Source = r.counts, s
	r.worker, err = pipeline.New(link, o, decoder, planner, applier)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Span tells what the replay spans.
func (r *Replay) Span() Span { return r.span }

// Run carries the messages until everything up to the end is settled, by this process or by
// others that share the replay, or until ctx ends: then it hands back what it holds and returns
// [ErrUnfinished].
func (r *Replay) Run(ctx context.Context) (State, error) {
	if r.span.Length() == 0 {
		return r.state(nil), nil
	}
	if err := r.begin(ctx); err != nil {
		return r.state(nil), err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	beside := pipeline.Tasks{Failed: func(error) { stop() }}
	var last State
	var finished bool
	beside.Go("watch the replay", func() {
		defer stop()
		last, finished = r.watch(working)
	})
	err := r.worker.Run(working)
	stop()
	err = errors.Join(err, beside.Wait())
	last.Acked, last.Dropped, last.Dead = r.counts.read()
	if err == nil && !finished {
		err = fmt.Errorf("replay %s: %w", r.span.Consumer, ErrUnfinished)
	}
	return last, err
}

// begin makes the consumer, or begins it anew.
func (r *Replay) begin(ctx context.Context) error {
	if r.again {
		err := r.link.JetStream().DeleteConsumer(ctx, r.options.Stream, r.span.Consumer)
		if err != nil && !stream.IsMissing(err) {
			return fmt.Errorf("replay: delete consumer %s: %w", r.span.Consumer, r.link.Explain(err))
		}
	}
	consumer, err := r.Consumer(ctx)
	if err != nil {
		return err
	}
	r.lookAtLive(ctx) // before the first message is taken
	return r.adopt(consumer.CachedInfo())
}

// watch looks at progress and live traffic until everything is settled or ctx ends.
func (r *Replay) watch(ctx context.Context) (last State, finished bool) {
	tick := time.NewTicker(r.look)
	defer tick.Stop()
	for last = r.state(nil); ; {
		info, err := r.info(ctx, r.span.Consumer)
		if err == nil {
			if !r.isOurs(info) {
				return last, false
			}
			finished = r.finished(info)
			r.owed.Store(int64(info.NumAckPending))
		}
		r.lookAtLive(ctx)
		last = r.state(info)
		if finished {
			last.Passed, last.Waits = r.span.Length(), ""
		}
		if r.told != nil {
			r.told(last)
		}
		if finished {
			return last, true
		}
		select {
		case <-ctx.Done():
			return last, false
		case <-tick.C:
		}
	}
}

// state is how far the replay is, by what the server last said of its consumer.
func (r *Replay) state(info *jetstream.ConsumerInfo) State {
	s := State{Span: r.span, LiveAhead: r.ahead.Load()}
	s.Acked, s.Dropped, s.Dead = r.counts.read()
	if info != nil {
		floor := min(max(info.AckFloor.Stream, r.span.First-1), r.span.Last)
		s.Passed = floor - (r.span.First - 1)
		r.passed.Store(s.Passed)
	} else {
		s.Passed = r.passed.Load()
	}
	if r.yields() {
		s.Waits = fmt.Sprintf("live traffic first: %d messages wait", s.LiveAhead)
		if s.LiveIdle = r.idle.long.Load(); s.LiveIdle {
			s.Waits += ", and nobody has taken one for a minute"
		}
	} else if reason := r.counts.closed(); reason != "" {
		s.Waits = "gate is closed: " + reason
	}
	return s
}

// counts counts settlements by their ends and knows why the gate is closed, beside another observer.
type counts struct {
	pipeline.Observer

	acked, dropped, dead atomic.Uint64
	reason               atomic.Pointer[string] // of a closed gate; nil while it is open
}

// Gate keeps why the gate is closed.
func (c *counts) Gate(open bool, reason string) {
	if open {
		c.reason.Store(nil)
	} else {
		c.reason.Store(&reason)
	}
	c.Observer.Gate(open, reason)
}

// closed is why the gate is closed; empty while it is open.
func (c *counts) closed() string {
	if reason := c.reason.Load(); reason != nil {
		return *reason
	}
	return ""
}

// Settled counts.
func (c *counts) Settled(s pipeline.Settlement) {
	switch {
	case s.Action == pipeline.ActionDeadLetter:
		c.dead.Add(1)
	case s.Action == pipeline.ActionAck && s.Class == enrich.Dropped:
		c.dropped.Add(1)
	case s.Action == pipeline.ActionAck:
		c.acked.Add(1)
	}
	c.Observer.Settled(s)
}

func (c *counts) read() (acked, dropped, dead uint64) {
	return c.acked.Load(), c.dropped.Load(), c.dead.Load()
}
