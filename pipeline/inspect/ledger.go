package inspect

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/deadletter"
	"forager/pipeline/stream"
)

// entryRoom is what an entry of a large case may weigh.
const entryRoom = 256 << 10

// ledger looks at the memory that replicas share.
func (i *inspection) ledger(ctx context.Context, consumer *jetstream.ConsumerInfo) {
	about, name := "ledger "+i.expected.Bucket, "KV_"+i.expected.Bucket
	begun := consumer != nil && consumer.Delivered.Consumer > 0
	if begun && i.expected.Manage {
		if i.denied[i.api("STREAM.INFO."+name)] {
			return
		}
		bounded, cancel := i.bounded(ctx)
		_, err := i.link.JetStream().Stream(bounded, name)
		cancel()
		if stream.IsMissing(err) {
			i.add(LevelBroken, about, "it is not there, although messages were delivered already",
				"a worker does not make it anew: what analysts removed would be forgotten, and nobody would know",
				"restore it, or make it yourself with history 1 to go on without: nats kv add "+i.expected.Bucket+" --history 1 --replicas 3")
			return
		}
	}
	info := i.lookStream(ctx, about, name, i.expected.Manage && !begun)
	if info == nil {
		return
	}
	i.judge(about, fmt.Sprintf("%d entries, %s", info.State.NumSubjects, bytesOf(info.State.Bytes)),
		slices.Concat(ledgerRules(info), storeRules(info.Config, "what analysts removed, and which case is whose,"))...)
}

func ledgerRules(info *jetstream.StreamInfo) []rule {
	c := info.Config
	full := fills(info, 8)
	return []rule{
		when(c.Mirror != nil, LevelBroken, "it is a mirror", "claims cannot be written to it", "use the bucket that it mirrors"),
		when(c.Sealed, LevelBroken, "it is sealed", "no claim can be taken", "make a new bucket"),
		when(!c.AllowRollup || c.DenyPurge, LevelBroken, "entries cannot be purged", "the bucket was not made as a key-value bucket", "make it with nats kv add, or nack's KeyValue"),
		when(c.MaxMsgsPerSubject != 1, LevelHurts, fmt.Sprintf("history is %d", c.MaxMsgsPerSubject), "old claims are kept for nothing: it grows by every one", "history 1"),
		when(c.MaxAge > 0, LevelHurts, "entries live for "+stream.Duration(c.MaxAge)+" (ttl)", "what analysts removed comes back, and cases are forgotten", "no ttl: ledger.keep purges what is over"),
		when(!c.AllowDirect, LevelHurts, "direct reads are off", "reads need the permission $JS.API.STREAM.MSG.GET, and load the leader", "allow_direct true"),
		when(c.MaxMsgSize > 0 && c.MaxMsgSize < entryRoom, LevelHurts, "a value may have "+bytesOf(uint64(max(c.MaxMsgSize, 0)))+" at most", "the entry of a large case does not fit: its detections wait for ever", "no max_value_size, or at least "+bytesOf(entryRoom)),
		when(full, LevelHurts, "it is nearly full: "+bytesOf(info.State.Bytes)+" of "+bytesOf(uint64(max(c.MaxBytes, 0))), "a full bucket takes no claim, and nothing is carried any more", "raise max_bytes"),
		when(!full && c.MaxBytes > 0, LevelNote, "max_bytes is "+bytesOf(uint64(max(c.MaxBytes, 0))), "a full bucket takes no claim, and nothing is carried any more", "watch it, or take the limit away"),
	}
}

// deadLetters looks at where dead letters go.
func (i *inspection) deadLetters(ctx context.Context) {
	about := "dead letters " + i.expected.DeadLetters
	info := i.lookStream(ctx, about, i.expected.DeadLetters, i.expected.Manage)
	if info == nil {
		return
	}
	i.judge(about, fmt.Sprintf("%d letters, %s", info.State.Msgs, bytesOf(info.State.Bytes)),
		slices.Concat([]rule{waiting(info.State.Msgs)}, i.deadLetterRules(info), storeRules(info.Config, "dead letters"))...)
}

// waiting tells of letters that nobody has seen to.
func waiting(letters uint64) rule {
	return when(letters > 0, LevelNote, fmt.Sprintf("%d letters wait for somebody", letters), "what is in them is in no case", "worker dlq ls says why; mend it, then worker dlq requeue")
}

func (i *inspection) deadLetterRules(info *jetstream.StreamInfo) []rule {
	c := info.Config
	wanted := stream.DeadLetterPrefix + i.expected.Stream + ".>"
	largest := i.expected.MaxMessageBytes + deadletter.MaxHeader
	return []rule{
		when(len(stream.Uncovered(c.Subjects, []string{wanted})) > 0, LevelBroken, "it does not listen to "+wanted, "nothing can become a dead letter: the first one closes the gate", "add "+stream.DeadLetterPrefix+"> to its subjects"),
		when(c.Sealed, LevelBroken, "it is sealed", "nothing can become a dead letter", "make a new stream"),
		when(c.Retention == jetstream.InterestPolicy, LevelBroken, "retention is interest", "a letter that nobody consumes is gone at once", "retention limits"),
		when(c.Discard == jetstream.DiscardOld && limited(c), LevelHurts, "when it is full it drops the oldest letters", "what could not be carried is lost without a word", "discard new: Forager then keeps the message in the stream, and alerts"),
		when(c.MaxAge > 0, LevelHurts, "letters live for "+stream.Duration(c.MaxAge), "what nobody looked at until then is lost", "no max_age"),
		when(c.MaxMsgsPerSubject > 0 && c.Discard == jetstream.DiscardOld, LevelHurts, "max_msgs_per_subject drops letters", "a letter replaces another of the same number", "max_msgs_per_subject -1"),
		when(fills(info, 8), LevelHurts, fmt.Sprintf("it is nearly full: %d letters, %s", info.State.Msgs, bytesOf(info.State.Bytes)), "when it is full, messages that can never be carried stay in the stream and come again", "worker dlq requeue or purge, or raise its limits"),
		when(c.MaxMsgSize > 0 && int(c.MaxMsgSize) < largest, LevelHurts, "max_msg_size is "+bytesOf(uint64(max(c.MaxMsgSize, 0))), "a letter of the largest message needs "+bytesOf(uint64(largest))+": it stays in the stream and comes again", "raise max_msg_size"),
		when(!c.AllowDirect, LevelHurts, "direct reads are off", "worker dlq, and the look whether a letter is there already, need other permissions", "allow_direct true"),
		when(c.DenyDelete || c.DenyPurge, LevelNote, "letters cannot be removed", "worker dlq requeue and purge fail", "deny_delete false"),
	}
}

// audits looks at where TheHive's webhook stores. The ledger is right without it, only later.
func (i *inspection) audits(ctx context.Context) {
	if i.expected.Audit == nil {
		return
	}
	a, before := i.expected.Audit, len(i.found)
	defer func() {
		for n := before; n < len(i.found); n++ {
			if i.found[n].Level == LevelBroken {
				i.found[n].Level, i.found[n].Why = LevelHurts, "what TheHive tells is lost: the ledger finds it out by itself, later"
			}
		}
	}()
	about := "webhook " + a.Stream
	subjects := []string{a.Subject()} // assumed where the stream may not be asked for: the worker need not
	if i.publishes(ctx, i.api("STREAM.INFO."+a.Stream), malformed, nil) == nil {
		info := i.lookStream(ctx, about, a.Stream, a.Manage)
		if info == nil {
			return
		}
		subjects = info.Config.Subjects
	}
	consumer := i.lookConsumer(ctx, about, a.Stream, a.Consumer, a.Manage)
	if consumer == nil {
		return
	}
	c := consumer.Config
	i.judge(about, fmt.Sprintf("%d documents wait", consumer.NumPending),
		when(len(stream.Uncovered(subjects, []string{a.Subject()})) > 0, LevelHurts, "it does not listen to "+a.Subject(), "what TheHive tells is answered with 503", "add the subject"),
		when(c.AckPolicy != jetstream.AckExplicitPolicy, LevelHurts, "ack policy of its consumer is "+policyName(c.AckPolicy), "nothing is learnt from the webhook", "make it anew"),
		when(c.AckWait < time.Second, LevelHurts, "ack_wait of its consumer is "+c.AckWait.String(), "documents come again and again", "ack_wait "+stream.Duration(a.AckWait)),
		when(c.MaxDeliver > 0, LevelNote, fmt.Sprintf("max_deliver of its consumer is %d", c.MaxDeliver), "documents that could not be learnt are forgotten; the ledger finds out by itself, later", "max_deliver -1"),
	)
}
