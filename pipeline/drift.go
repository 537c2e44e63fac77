package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"forager/pipeline/stream"
)

// drift is where a stream and its consumer differ from what the options say: somebody changed the
// one and not the other.
type drift struct {
	unheard   []string // subjects of the options that the stream does not listen to
	filters   bool     // the consumer takes other subjects
	ackWait   bool     // it waits for another time
	sentences []string // for people, one for each
}

// driftOf compares. Either may be nil: of what is not known nothing is said.
func driftOf(o Options, s *jetstream.StreamInfo, c *jetstream.ConsumerInfo) drift {
	var d drift
	say := func(format string, args ...any) { d.sentences = append(d.sentences, fmt.Sprintf(format, args...)) }
	var listens []string
	if s != nil && s.Config.Mirror == nil && len(s.Config.Sources) == 0 {
		listens = s.Config.Subjects
		if d.unheard = uncovered(listens, o.Subjects); len(d.unheard) > 0 {
			say("stream %s listens to %s: nobody stores what nats.subjects names besides: %s",
				o.Stream, strings.Join(listens, " "), strings.Join(d.unheard, " "))
		}
	}
	if c == nil {
		return d
	}
	filters := stream.Filters(c.Config)
	if len(filters) == 0 {
		filters = listens
	}
	if len(filters) > 0 && len(o.Subjects) > 0 && (len(uncovered(filters, o.Subjects)) > 0 || len(uncovered(o.Subjects, filters)) > 0) {
		d.filters = true
		say("consumer %s takes %s, nats.subjects is %s", o.Consumer, strings.Join(filters, " "), strings.Join(o.Subjects, " "))
	}
	if wait, name := ackWaitOf(c.Config); wait != o.AckWait {
		d.ackWait = len(c.Config.BackOff) == 0
		say("consumer %s: %s is %s, nats.ackWait is %s", o.Consumer, name, hours(wait), hours(o.AckWait))
	}
	return d
}

// adjust applies what drifted, where NATS can and nothing is lost by it: subjects are added to the
// stream and never taken away, since others may publish there; the consumer's filters and ack wait
// become those of the options. A work queue's filters are left alone: two consumers of one must not
// overlap, and an update that the server refuses may cost the consumer.
func adjust(ctx context.Context, link *stream.Link, o Options) error {
	found, err := link.JetStream().Stream(ctx, o.Stream)
	if err != nil {
		return wrap(err, "look up stream "+o.Stream)
	}
	consumer, err := link.JetStream().Consumer(ctx, o.Stream, o.Consumer)
	if err != nil {
		return wrap(err, "look up consumer "+o.Consumer)
	}
	s, c := found.CachedInfo(), consumer.CachedInfo()
	d := driftOf(o, s, c)
	if len(d.unheard) > 0 {
		config := s.Config
		config.Subjects = heard(config.Subjects, d.unheard)
		if _, err := link.JetStream().UpdateStream(ctx, config); err != nil {
			return wrap(err, "add subjects to stream "+o.Stream)
		}
		d = driftOf(o, &jetstream.StreamInfo{Config: config}, c)
	}
	config := c.Config
	if d.filters = d.filters && s.Config.Retention != jetstream.WorkQueuePolicy; d.filters {
		config.FilterSubject, config.FilterSubjects = "", nil
		stream.SetFilters(&config, o.Subjects)
	}
	if d.ackWait {
		config.AckWait = o.AckWait
	}
	if !d.filters && !d.ackWait {
		return nil
	}
	_, err = link.JetStream().UpdateConsumer(ctx, o.Stream, config)
	return wrap(err, "update consumer "+o.Consumer)
}

// heard are the subjects of a stream with those that it did not listen to; narrower ones, which the
// server would call an overlap, give way.
func heard(subjects, more []string) []string {
	all := slices.DeleteFunc(slices.Clone(subjects), func(s string) bool { return len(uncovered(more, []string{s})) == 0 })
	return append(all, more...)
}

// adjusted applies drift with nats.manage. What cannot be applied keeps nobody from work: it is told.
func (w *Worker) adjusted(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, 2*w.options.Confirm)
	defer cancel()
	if err := adjust(bounded, w.link, w.options); err != nil && !stream.IsMissing(err) && !errors.Is(err, context.Canceled) {
		w.options.Log.Warn("stream or consumer differ from the configuration, and cannot be changed", zap.Error(w.link.Explain(err)))
	}
}
