package inspect

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich/threshold"
	"forager/pipeline/stream"
)

// waitsOn is what follows where nothing can be held.
const waitsOn = "what is below a threshold stays in the stream, unacknowledged: it comes again and again, and counts against max_ack_pending"

// hold looks at where waits what is below a threshold. Detections of routes without one do not need it.
func (i *inspection) hold(ctx context.Context) {
	if i.expected.Holds == 0 {
		return
	}
	before := len(i.found)
	defer func() {
		for n := before; n < len(i.found); n++ {
			if i.found[n].Level == LevelBroken {
				i.found[n].Level, i.found[n].Why = LevelHurts, waitsOn
			}
		}
	}()
	about := "hold " + i.expected.Hold
	info := i.lookStream(ctx, about, i.expected.Hold, i.expected.Manage)
	if info == nil {
		return
	}
	i.judge(about, fmt.Sprintf("%d messages wait below a threshold, %s", info.State.Msgs, bytesOf(info.State.Bytes)),
		slices.Concat(i.holdRules(info), storeRules(info.Config, "detections that wait"))...)
}

func (i *inspection) holdRules(info *jetstream.StreamInfo) []rule {
	c, wanted, least := info.Config, stream.HoldPrefix+i.expected.Bucket+".>", i.expected.Holds+threshold.Late
	full := fmt.Sprintf("it is nearly full: %d messages, %s", info.State.Msgs, bytesOf(info.State.Bytes))
	return []rule{
		when(len(stream.Uncovered(c.Subjects, []string{wanted})) > 0, LevelHurts, "it does not listen to "+wanted, waitsOn, "add it to its subjects"),
		when(c.Retention != jetstream.LimitsPolicy, LevelHurts, "its retention is not limits", "copies may go before they are settled: their detections are lost", "retention limits"),
		when(c.MaxAge > 0 && c.MaxAge < least, LevelHurts, "max_age is "+stream.Duration(c.MaxAge),
			"a threshold holds for "+stream.Duration(least)+" (its window and "+stream.Duration(threshold.Late)+"): what goes before is lost, and a threshold may never be met", "no max_age: a worker removes what is settled"),
		when(c.MaxAge >= least, LevelNote, "max_age is "+stream.Duration(c.MaxAge), "an outage of the workers that is longer loses what waits", "no max_age: a worker removes what is settled"),
		when(c.Discard == jetstream.DiscardOld && (c.MaxBytes > 0 || c.MaxMsgs > 0), LevelHurts, "when it is full it drops the oldest messages", "detections that wait are lost", "discard new: what is more then stays in its stream"),
		when(c.MaxMsgSize > 0 && int(c.MaxMsgSize) < i.expected.MaxMessageBytes, LevelHurts, "max_msg_size is "+bytesOf(uint64(max(c.MaxMsgSize, 0))), "a larger message cannot be held: "+waitsOn, "max_msg_size -1"),
		when(fills(info, 8), LevelHurts, full, "when it is full, "+waitsOn, "raise max_msgs or max_bytes, or shorten the windows of thresholds"),
		when(c.DenyPurge, LevelHurts, "deny_purge is on", "what is settled cannot be removed, and is carried again", "make a new stream, without it"),
		when(c.Sealed, LevelHurts, "it is sealed", waitsOn, "make a new stream"),
	}
}

// keeps looks whether the stream of the detections keeps them as long as a threshold's window.
func (i *inspection) keeps(s *jetstream.StreamInfo) {
	if s == nil || i.expected.Holds == 0 || s.Config.MaxAge == 0 || s.Config.MaxAge >= i.expected.Holds {
		return
	}
	i.add(LevelNote, "stream "+i.expected.Stream, "max_age "+stream.Duration(s.Config.MaxAge)+" is shorter than a threshold's window of "+stream.Duration(i.expected.Holds),
		"what waits is held elsewhere and stays; but a replay, or worker whatif, does not see the whole window", "max_age of at least "+stream.Duration(max(i.expected.Holds, time.Hour)))
}

// toHold is what a threshold needs.
func (i *inspection) toHold() []permission {
	if i.expected.Holds == 0 {
		return nil
	}
	const block = "FORAGER_HOLD"
	held, name := stream.HoldPrefix+i.expected.Bucket, i.expected.Hold
	all := []permission{
		{line: held + ".>", subject: held + "." + nobodys, header: misdirected(), level: LevelHurts, why: waitsOn, block: block},
		{line: i.api("STREAM.INFO." + name), body: malformed, level: LevelHurts, why: "what is held is not found again: it is never carried on", block: block},
		{line: i.api("STREAM.MSG.GET." + name), body: malformed, level: LevelHurts, why: "what is held cannot be read: it is never carried on", block: block},
		{line: i.api("STREAM.PURGE." + name), body: malformed, level: LevelHurts, why: "what is settled cannot be removed, and is carried again", block: block},
		{line: i.api("STREAM.MSG.GET." + i.expected.Stream), body: malformed, level: LevelHurts, why: "nothing that waits is ever over: it is held for ever", block: block},
	}
	if i.expected.Manage {
		all = append(all, permission{line: i.api("STREAM.CREATE." + name), body: malformed, level: LevelHurts, why: "the hold stream cannot be made: " + waitsOn, block: "FORAGER_HOLD_MANAGE"})
	}
	return all
}
