package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// leastAckWait is what the configuration allows: heartbeats go out every third of it, and must have
// the time to arrive. Below hopelessAckWait they have not, wherever the server is; between the two a
// worker that is there already does its best.
const (
	leastAckWait    = 3 * time.Second
	hopelessAckWait = 100 * time.Millisecond
)

// consumer looks at what all replicas share; nil when it cannot be seen.
func (i *inspection) consumer(ctx context.Context, stream *jetstream.StreamInfo) *jetstream.ConsumerInfo {
	o := i.expected
	info := i.lookConsumer(ctx, "consumer "+o.Consumer, o.Stream, o.Consumer, o.Manage)
	if info == nil {
		return nil
	}
	c := info.Config
	replicas := c.MaxAckPending / (4 * o.MaxInFlight)
	pending := fmt.Sprintf("max_ack_pending %d is enough for %d replicas", c.MaxAckPending, replicas)
	if c.MaxAckPending <= 0 {
		pending = "max_ack_pending without limit"
	}
	i.judge("consumer "+o.Consumer, fmt.Sprintf("%d wait, %d are worked on; %s", info.NumPending, info.NumAckPending, pending), i.consumerRules(info, stream)...)
	return info
}

// consumerRules are all about a consumer; the stream is nil where it is not known.
func (i *inspection) consumerRules(info *jetstream.ConsumerInfo, stream *jetstream.StreamInfo) []rule {
	c := info.Config
	return slices.Concat(deliveryRules(info), i.waitRules(c), i.pullRules(c), i.subjectRules(c, stream))
}

// PushConsumer is what is wrong with a push consumer.
func PushConsumer(name string) Finding {
	about := "consumer " + name
	return Finding{
		Server: ServerNATS, Level: LevelBroken, About: about, What: "it pushes", Why: "a worker pulls", Remedy: "make a pull consumer: without deliver_subject",
	}
}

func (i *inspection) lookConsumer(ctx context.Context, about, stream, name string, made bool) *jetstream.ConsumerInfo {
	if i.denied[i.api("CONSUMER.INFO."+stream+"."+name)] {
		return nil
	}
	bounded, cancel := i.bounded(ctx)
	defer cancel()
	consumer, err := i.link.JetStream().Consumer(bounded, stream, name)
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		finding := PushConsumer(name)
		finding.About = about
		i.found = append(i.found, finding)
		return nil
	}
	if err != nil {
		i.absent(about, made, err)
		return nil
	}
	return consumer.CachedInfo()
}

// deliveryRules are about whether messages come at all, and are kept until they are worked.
func deliveryRules(info *jetstream.ConsumerInfo) []rule {
	c := info.Config
	return []rule{
		when(c.AckPolicy != jetstream.AckExplicitPolicy, LevelBroken, "ack policy is "+policyName(c.AckPolicy), "what was delivered counts as done: a crash loses it; the worker refuses to begin", "ack_policy explicit, which needs a new consumer"),
		when(c.HeadersOnly, LevelBroken, "it delivers headers only", "every detection is empty", "headers_only false"),
		when(c.PriorityPolicy != jetstream.PriorityPolicyNone, LevelBroken, "it has priority groups: "+strings.Join(c.PriorityGroups, " "), "the server refuses pulls that name no group", "take them away"),
		when(info.Paused, LevelHurts, "it is paused for another "+info.PauseRemaining.Round(time.Second).String(), "nothing is delivered until then", "resume it, or wait"),
		when(c.MaxDeliver > 0, LevelHurts, "max_deliver is "+strconv.Itoa(c.MaxDeliver), "a message that came so often, by restarts and outages too, stays in the stream unseen: it is lost in silence", "max_deliver -1: Forager counts by itself, and makes dead letters"),
		when(c.InactiveThreshold > 0, LevelHurts, "inactive_threshold is "+stream.Duration(c.InactiveThreshold), "the server deletes it when no worker runs for that long, and forgets what was worked", "take it away"),
		when(c.ReplayPolicy == jetstream.ReplayOriginalPolicy, LevelHurts, "replay policy is original", "a backlog is delivered as slowly as it came", "replay_policy instant, which needs a new consumer"),
		when(c.MemoryStorage, LevelHurts, "its state is in memory", "after a restart of the server everything is delivered again", "mem_storage false"),
		when(c.DeliverPolicy != jetstream.DeliverAllPolicy, LevelNote, "it does not begin at the first message", "what was in the stream before is not carried", "worker replay carries it"),
	}
}

func policyName(p jetstream.AckPolicy) string {
	text, err := p.MarshalJSON()
	if err != nil {
		return "unknown"
	}
	return strings.Trim(string(text), `"`)
}

// waitRules are about time.
func (i *inspection) waitRules(c jetstream.ConsumerConfig) []rule {
	wait, name := stream.AckWait(c)
	short := LevelBroken
	if i.works && wait >= hopelessAckWait {
		short = LevelHurts
	}
	return []rule{
		when(wait < leastAckWait, short, name+" is "+wait.String(), "heartbeats do not come in time: every message is delivered again and again",
			"ack_wait "+stream.Duration(i.expected.AckWait)+"; a Consumer of nack must name it, too"),
		when(wait > 10*time.Minute, LevelNote, name+" is "+stream.Duration(wait), "after a crash its messages wait that long", "ack_wait "+stream.Duration(i.expected.AckWait)),
		when(len(c.BackOff) > 0, LevelHurts, fmt.Sprintf("it has a back-off of %d steps", len(c.BackOff)), "it replaces ack_wait, and Forager has its own", "take it away"),
	}
}

// pullRules are about how much may be asked for, and held.
func (i *inspection) pullRules(c jetstream.ConsumerConfig) []rule {
	o := i.expected
	bytes := stream.PullBytes(o.MaxBytesHeld, i.link.Conn().MaxPayload())
	wanted := 4 * o.MaxInFlight
	return []rule{
		when(c.MaxAckPending > 0 && c.MaxAckPending < wanted, LevelHurts, fmt.Sprintf("max_ack_pending is %d: one replica needs %d, 4 × pipeline.maxInFlight", c.MaxAckPending, wanted),
			"messages that wait for their next try count: an outage of TheHive stops all delivery, and one replica leaves nothing to the others",
			fmt.Sprintf("max_ack_pending %d for each replica", wanted)),
		when(c.MaxRequestBatch > 0 && c.MaxRequestBatch < o.MaxInFlight, LevelBroken, fmt.Sprintf("max_batch is %d, below pipeline.maxInFlight %d", c.MaxRequestBatch, o.MaxInFlight), "the server refuses larger pulls", "take it away"),
		when(c.MaxRequestExpires > 0 && c.MaxRequestExpires < stream.PullExpiry, LevelBroken, "max_expires is "+stream.Duration(c.MaxRequestExpires), "the server refuses pulls that last "+stream.Duration(stream.PullExpiry), "take it away"),
		when(c.MaxRequestMaxBytes > 0 && c.MaxRequestMaxBytes < bytes, LevelBroken, "max_bytes of a pull is "+bytesOf(uint64(c.MaxRequestMaxBytes)), "the server refuses pulls of "+bytesOf(uint64(bytes)), "take it away"),
		when(c.MaxWaiting > 0 && c.MaxWaiting < 8, LevelHurts, fmt.Sprintf("max_waiting is %d", c.MaxWaiting), "each replica has one or two pulls waiting: further ones are refused", "max_waiting 512, which needs a new consumer"),
	}
}

// subjectRules are about what is consumed.
func (i *inspection) subjectRules(c jetstream.ConsumerConfig, of *jetstream.StreamInfo) []rule {
	filters := stream.Filters(c)
	if len(filters) == 0 && of != nil {
		filters = of.Config.Subjects
	}
	if len(filters) == 0 {
		return nil
	}
	missed, more := stream.Uncovered(filters, i.expected.Subjects), stream.Uncovered(i.expected.Subjects, filters)
	posted := stream.Uncovered(filters, i.expected.Intake)
	return []rule{
		when(len(posted) > 0, LevelHurts, "it does not take "+strings.Join(posted, " ")+", to which intake.sources post", "these events are stored, and no worker ever sees them", "change its filter, or the source's subject"),
		when(len(missed) > 0, LevelHurts, "it does not take "+strings.Join(missed, " ")+", which nats.subjects names", "these detections stay in the stream", "change its filter, or nats.subjects"),
		when(len(more) > 0 && len(i.expected.Subjects) > 0, LevelNote, "it takes "+strings.Join(more, " ")+", which nats.subjects does not name", "these are carried, too", "change its filter, or nats.subjects"),
	}
}
