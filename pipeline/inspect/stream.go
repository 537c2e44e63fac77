package inspect

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// wellKept is how many copies survive the loss of a node.
const wellKept = 3

// stream looks at where detections wait; nil when it cannot be seen.
func (i *inspection) stream(ctx context.Context) *jetstream.StreamInfo {
	about := "stream " + i.expected.Stream
	info := i.lookStream(ctx, about, i.expected.Stream, i.expected.Manage)
	if info == nil {
		return nil
	}
	rules := slices.Concat(i.keepRules(info), i.takeRules(info), storeRules(info.Config, "detections that wait"))
	i.judge(about, fmt.Sprintf("%d messages, %s, subjects %s", info.State.Msgs, bytesOf(info.State.Bytes), strings.Join(info.Config.Subjects, " ")), rules...)
	return info
}

// keepRules are about how long messages stay.
func (i *inspection) keepRules(info *jetstream.StreamInfo) []rule {
	c := info.Config
	return []rule{
		when(c.Retention == jetstream.WorkQueuePolicy, LevelHurts, "retention is workqueue", "what was acknowledged is gone: worker replay has nothing to carry", "retention limits, with max_age"),
		when(c.Retention == jetstream.InterestPolicy, LevelHurts, "retention is interest",
			"what was acknowledged is gone, and so is all that comes while the consumer is missing", "retention limits, with max_age"),
		when(c.MaxAge > 0 && c.MaxAge < i.expected.Window, LevelHurts, "max_age "+stream.Duration(c.MaxAge)+" is shorter than case.window "+stream.Duration(i.expected.Window),
			"an outage of that length loses detections, and a case cannot be filled again by a replay", "raise max_age"),
		when(c.MaxAge > 0 && c.MaxAge < 24*time.Hour && c.MaxAge >= i.expected.Window, LevelNote, "max_age is "+stream.Duration(c.MaxAge),
			"an outage of that length loses detections", "raise max_age to what an outage may last"),
		when(c.MaxMsgsPerSubject > 0, LevelHurts, "max_msgs_per_subject is "+strconv.FormatInt(c.MaxMsgsPerSubject, 10),
			"a burst on one subject drops its own older detections before they are worked", "max_msgs_per_subject -1"),
		when(!limited(c) && c.Retention == jetstream.LimitsPolicy, LevelNote, "it has no limit: neither max_age, nor max_bytes, nor max_msgs",
			"it grows until the disk is full", "set max_age to what a replay may need, and max_bytes to what the disk has"),
	}
}

// takeRules are about what the stream takes.
func (i *inspection) takeRules(info *jetstream.StreamInfo) []rule {
	c, o := info.Config, i.expected
	missed, posted := stream.Uncovered(c.Subjects, o.Subjects), stream.Uncovered(c.Subjects, o.Intake)
	own := c.Mirror == nil && len(c.Sources) == 0
	full := fills(info, 9)
	return []rule{
		when(own && len(missed) > 0, LevelHurts, "it does not listen to "+strings.Join(missed, " "), "nobody stores what is published there", "add the subject to the stream, or change nats.subjects"),
		when(own && len(posted) > 0, LevelHurts, "it does not listen to "+strings.Join(posted, " ")+", to which intake.sources post",
			"each such event is answered with 503, and is in no stream", "add the subject to the stream, or change the source's"),
		when(c.Sealed, LevelHurts, "it is sealed", "no detection is ever added", "make a new stream"),
		when(c.NoAck, LevelHurts, "it does not confirm (no_ack)", "forwarders cannot know whether a detection was stored", "no_ack false"),
		when(c.Discard == jetstream.DiscardNew && limited(c) && !full, LevelNote, "when it is full it refuses new messages (discard new)",
			"forwarders must send again what was refused, or it is lost", "make sure that they do, or discard old"),
		when(c.Discard == jetstream.DiscardNew && full, LevelHurts, "it is nearly full and refuses new messages soon", "forwarders that do not send again lose detections", "raise max_bytes or max_msgs, or look why the backlog grows"),
		when(c.Discard == jetstream.DiscardOld && (c.MaxBytes > 0 || c.MaxMsgs > 0) && c.Retention == jetstream.LimitsPolicy, LevelNote, "when it is full it drops the oldest messages, worked or not",
			"a backlog beyond the limit is lost; forager_messages_gone_total counts it", "a limit that the longest outage does not reach"),
		when(c.MaxMsgSize > 0 && int(c.MaxMsgSize) < o.MaxMessageBytes, LevelNote, "max_msg_size "+bytesOf(uint64(c.MaxMsgSize))+" is below pipeline.maxMessageBytes "+bytesOf(uint64(o.MaxMessageBytes)),
			"the stream refuses larger detections, and forwarders are told", "raise max_msg_size if they should pass"),
		when(int(c.MaxMsgSize) > o.MaxMessageBytes, LevelNote, "max_msg_size "+bytesOf(uint64(max(c.MaxMsgSize, 0)))+" is above pipeline.maxMessageBytes "+bytesOf(uint64(o.MaxMessageBytes)),
			"larger detections become dead letters", "raise pipeline.maxMessageBytes, or lower max_msg_size"),
		when(c.PersistMode == jetstream.AsyncPersistMode, LevelHurts, "it confirms before it has stored (persist_mode async)", "what was confirmed may be gone after a crash", "persist_mode default"),
	}
}

// storeRules are about where something is stored.
func storeRules(c jetstream.StreamConfig, what string) []rule {
	return []rule{
		when(c.Storage == jetstream.MemoryStorage, LevelHurts, "it is in memory", what+" are gone when the server restarts", "storage file"),
		when(c.Replicas < wellKept, LevelHurts, fmt.Sprintf("replicas: %d", c.Replicas), "with the loss of a node "+what+" are gone, or out of reach until it is back",
			"three replicas, on a cluster of three nodes"),
	}
}

// limited tells whether a stream ends somewhere.
func limited(c jetstream.StreamConfig) bool { return c.MaxAge > 0 || c.MaxBytes > 0 || c.MaxMsgs > 0 }

// fills tells whether a stream has reached so many tenths of a limit.
func fills(info *jetstream.StreamInfo, tenths uint64) bool {
	c, s := info.Config, info.State
	return c.MaxBytes > 0 && s.Bytes*10 >= uint64(c.MaxBytes)*tenths || c.MaxMsgs > 0 && s.Msgs*10 >= uint64(c.MaxMsgs)*tenths
}
