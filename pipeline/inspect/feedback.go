package inspect

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// Feedback is where sources are told what became of their alerts.
type Feedback struct {
	Stream  string // that keeps the messages
	Subject string // what their subjects begin with
	Manage  bool   // a worker makes the stream
}

// feedbackKept is how long messages are to be kept at least: what a worker tells again after a failure, however long that
// takes, must still be there to be known.
const feedbackKept = 7 * 24 * time.Hour

// feedback looks at where sources are told. No detection waits for it.
func (i *inspection) feedback(ctx context.Context) {
	f := i.expected.Feedback
	if f == nil {
		return
	}
	before := len(i.found)
	defer func() {
		for n := before; n < len(i.found); n++ {
			if i.found[n].Level == LevelBroken {
				i.found[n].Level, i.found[n].Why = LevelHurts, "sources are not told what became of their alerts until then; nothing is lost by waiting"
			}
		}
	}()
	about := "feedback " + f.Stream
	info := i.lookStream(ctx, about, f.Stream, f.Manage)
	if info == nil {
		return
	}
	i.judge(about, fmt.Sprintf("%d messages, %s", info.State.Msgs, bytesOf(info.State.Bytes)),
		slices.Concat(feedbackRules(info, f.Subject+".*.*.*"), storeRules(info.Config, "messages to sources"))...)
}

func feedbackRules(info *jetstream.StreamInfo, wanted string) []rule {
	c := info.Config
	return []rule{
		when(len(stream.Uncovered(c.Subjects, []string{wanted})) > 0, LevelHurts, "it does not listen to "+wanted, "no source is told anything", "add it to its subjects"),
		when(c.Retention != jetstream.LimitsPolicy, LevelHurts, "what was read of it is removed (retention)", "a message that is told again after a failure is not known any more: it may come twice", "retention limits"),
		when(c.MaxAge > 0 && c.MaxAge < feedbackKept, LevelHurts, "max_age is "+stream.Duration(c.MaxAge), "a message that is told again later than that is not known any more, and what a forwarder did not read until then is lost", "max_age of at least "+stream.Duration(feedbackKept)),
		when(c.Discard == jetstream.DiscardOld && (c.MaxBytes > 0 || c.MaxMsgs > 0), LevelHurts, "when it is full it drops the oldest messages, read or not", "sources are not told of them", "discard new: a worker then waits, and says so"),
		when(c.MaxMsgsPerSubject > 1, LevelNote, fmt.Sprintf("max_msgs_per_subject is %d", c.MaxMsgsPerSubject), "each message has a subject of its own: it limits nothing", "max_msgs_per_subject -1"),
		when(fills(info, 8), LevelHurts, "it is nearly full: "+bytesOf(info.State.Bytes), "when it is full sources are told later", "raise max_bytes, or purge what is read"),
		when(!c.AllowDirect, LevelNote, "direct reads are off", "the look whether a message is there already needs the permission $JS.API.STREAM.MSG.GET", "allow_direct true"),
		when(c.Sealed, LevelHurts, "it is sealed", "no source is told anything", "make a new stream"),
	}
}

// toTell is what telling sources needs.
func (i *inspection) toTell() []permission {
	const block = "FORAGER_FEEDBACK"
	f := i.expected.Feedback
	all := []permission{
		{
			line: f.Subject + ".>", subject: f.Subject + "._.0." + nobodys, header: misdirected(), level: LevelHurts,
			why: "no source is told what became of its alerts", block: block,
		},
		{line: i.api("STREAM.INFO." + f.Stream), level: LevelHurts, why: "a message that is there already is not recognised: it is tried for ever", block: block},
		{
			line: i.api("DIRECT.GET." + f.Stream + "." + f.Subject + ".>"), subject: i.api("DIRECT.GET." + f.Stream + "." + f.Subject + "._.0." + nobodys), level: LevelHurts,
			why: "a message that is there already is not recognised: it is tried for ever", block: block,
		},
	}
	if f.Manage {
		all = append(all, permission{
			line: i.api("STREAM.CREATE." + f.Stream), body: malformed, level: LevelHurts,
			why: "nats.manage is on, and the stream for feedback cannot be made where it is missing", block: block + "_MANAGE",
		})
	}
	return all
}
