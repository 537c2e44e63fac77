package stream

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// drift is where a stream and its consumer differ from what the topology says: somebody changed the
// one and not the other.
type drift struct {
	unheard   []string // subjects of the topology that the stream does not listen to
	filters   bool     // the consumer takes other subjects
	ackWait   bool     // it waits for another time
	sentences []string // for people, one for each
}

// driftOf compares. Either may be nil: of what is not known nothing is said.
func driftOf(t Topology, s *jetstream.StreamInfo, c *jetstream.ConsumerInfo) drift {
	var d drift
	say := func(format string, args ...any) { d.sentences = append(d.sentences, fmt.Sprintf(format, args...)) }
	var listens []string
	if s != nil && s.Config.Mirror == nil && len(s.Config.Sources) == 0 {
		listens = s.Config.Subjects
		if d.unheard = Uncovered(listens, t.Subjects); len(d.unheard) > 0 {
			say("stream %s listens to %s: nobody stores what nats.subjects names besides: %s",
				t.Stream, strings.Join(listens, " "), strings.Join(d.unheard, " "))
		}
	}
	if c == nil {
		return d
	}
	filters := Filters(c.Config)
	if len(filters) == 0 {
		filters = listens
	}
	if len(filters) > 0 && len(t.Subjects) > 0 && (len(Uncovered(filters, t.Subjects)) > 0 || len(Uncovered(t.Subjects, filters)) > 0) {
		d.filters = true
		say("consumer %s takes %s, nats.subjects is %s", t.Consumer, strings.Join(filters, " "), strings.Join(t.Subjects, " "))
	}
	if wait, name := AckWait(c.Config); wait != t.AckWait {
		d.ackWait = len(c.Config.BackOff) == 0
		say("consumer %s: %s is %s, nats.ackWait is %s", t.Consumer, name, Duration(wait), Duration(t.AckWait))
	}
	return d
}

// Adjust applies what drifted, where NATS can and nothing is lost by it: subjects are added to the
// stream and never taken away, since others may publish there; the consumer's filters and ack wait
// become those of the topology, which has its defaults. A work queue's filters are left alone: two consumers of one must not
// overlap, and an update that the server refuses may cost the consumer.
func Adjust(ctx context.Context, link *Link, t Topology) error {
	found, err := link.js.Stream(ctx, t.Stream)
	if err != nil {
		return wrap(err, "look up stream "+t.Stream)
	}
	consumer, err := link.js.Consumer(ctx, t.Stream, t.Consumer)
	if err != nil {
		return wrap(err, "look up consumer "+t.Consumer)
	}
	s, c := found.CachedInfo(), consumer.CachedInfo()
	d := driftOf(t, s, c)
	if len(d.unheard) > 0 {
		config := s.Config
		config.Subjects = heard(config.Subjects, d.unheard)
		if _, err := link.js.UpdateStream(ctx, config); err != nil {
			return wrap(err, "add subjects to stream "+t.Stream)
		}
		d = driftOf(t, &jetstream.StreamInfo{Config: config}, c)
	}
	config := c.Config
	if d.filters = d.filters && s.Config.Retention != jetstream.WorkQueuePolicy; d.filters {
		config.FilterSubject, config.FilterSubjects = "", nil
		SetFilters(&config, t.Subjects)
	}
	if d.ackWait {
		config.AckWait = t.AckWait
	}
	if !d.filters && !d.ackWait {
		return nil
	}
	_, err = link.js.UpdateConsumer(ctx, t.Stream, config)
	return wrap(err, "update consumer "+t.Consumer)
}

// heard are the subjects of a stream with those that it did not listen to; narrower ones, which the
// server would call an overlap, give way.
func heard(subjects, more []string) []string {
	all := slices.DeleteFunc(slices.Clone(subjects), func(s string) bool { return len(Uncovered(more, []string{s})) == 0 })
	return append(all, more...)
}
