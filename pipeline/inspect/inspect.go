package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/audit"
	"forager/pipeline/stream"
)

// Expected is what a worker expects of NATS. Nothing has a default but Reach: the worker fills it in.
type Expected struct {
	stream.Topology

	MaxMessageBytes int            // larger messages become dead letters
	MaxInFlight     int            // messages that one replica holds at most
	MaxBytesHeld    int            // and bytes of them
	Confirm         time.Duration  // how long one question may take
	Window          time.Duration  // how long after its newest event a case takes more; 0 is no limit
	Audit           *audit.Options // of TheHive's webhook; nil is off
	Feedback        *Feedback      // where sources are told of their alerts; nil is off
	Intake          []string       // subjects to which the intake's sources post
	Holds           time.Duration  // the longest window of a threshold; 0 is no threshold
	Journal         string         // the stream of the journal; empty is off
	Reach           time.Duration  // how long a connection is waited for, 6 s: half of it where an attempt failed already
}

// inspection gathers findings.
type inspection struct {
	link     *stream.Link
	expected Expected
	works    bool            // a worker asks, for itself
	denied   map[string]bool // lines of permissions that are missing
	found    []Finding
}

// Inspect looks at everything of NATS that a worker would use, and says what is broken, what hurts, and
// what to do. It changes nothing: it reads what may be read, and tries permissions with requests that cannot
// take effect (they are malformed, or ask for what cannot be). The server notes these in its log and its
// advisories as refused; who subscribes to the subject of dead letters sees an empty message.
//
// It waits a few seconds for the connection, asks one thing after the other, each for no longer
// than Confirm, and ends when ctx ends with what it has found until then. An error, of
// kind [stream.ErrTopology], means that nothing could be inspected at all.
func Inspect(ctx context.Context, link *stream.Link, expected Expected) ([]Finding, error) {
	if err := expected.Check(); err != nil {
		return nil, err
	}
	if expected.Audit != nil {
		expected.Audit = new(expected.Audit.WithDefaults())
	}
	i := &inspection{link: link, expected: expected, denied: map[string]bool{}}
	if !i.connection(ctx, cmp.Or(expected.Reach, reachWithin)) || !i.server(ctx) || !i.permissions(ctx) {
		return i.found, nil
	}
	if !i.account(ctx) {
		return i.found, nil
	}
	stream := i.stream(ctx)
	consumer := i.consumer(ctx, stream)
	i.gone(stream, consumer)
	i.ledger(ctx, consumer)
	i.deadLetters(ctx)
	i.keeps(stream)
	i.hold(ctx)
	i.audits(ctx)
	i.journal(ctx)
	i.feedback(ctx)
	i.unseen()
	if ctx.Err() != nil {
		i.add(LevelBroken, "NATS", "the time for the inspection was over before everything was seen",
			"the server answers too slowly to work with", "look at its load and at the network between")
	}
	return i.found, nil
}

// Bound looks at a consumer that a worker has just bound, at the ledger and at the dead letters, as [Inspect] does and
// in the same words. What is not there, or may not be looked at, is no finding.
func Bound(ctx context.Context, link *stream.Link, expected Expected, consumer *jetstream.ConsumerInfo) []Finding {
	i := &inspection{link: link, expected: expected, works: true, denied: map[string]bool{}}
	i.judge("consumer "+expected.Consumer, "", i.consumerRules(consumer, nil)...)
	if bucket := i.there(ctx, "KV_"+expected.Bucket); bucket != nil {
		i.judge("ledger "+expected.Bucket, "", ledgerRules(bucket)...)
	}
	if dead := i.there(ctx, expected.DeadLetters); dead != nil {
		i.judge("dead letters "+expected.DeadLetters, "", i.deadLetterRules(dead)...)
	}
	return i.found
}

// there is a stream, nil where it is not there or does not answer.
func (i *inspection) there(ctx context.Context, name string) *jetstream.StreamInfo {
	bounded, cancel := i.bounded(ctx)
	defer cancel()
	stream, err := i.link.JetStream().Stream(bounded, name)
	if err != nil {
		return nil
	}
	return stream.CachedInfo()
}

func (i *inspection) add(level Level, about, what, why, remedy string) {
	i.found = append(i.found, Finding{Level: level, Server: ServerNATS, About: about, What: what, Why: why, Remedy: remedy})
}

// judge adds what applies; summary is said when nothing of it is worse than a note.
func (i *inspection) judge(about, summary string, rules ...rule) {
	worst := LevelOK
	for _, r := range rules {
		if r.so && r.Level.Exceeds(worst) {
			worst = r.Level
		}
	}
	if !worst.Exceeds(LevelNote) {
		i.add(LevelOK, about, summary, "", "")
	}
	for _, r := range rules {
		if r.so {
			i.add(r.Level, about, r.What, r.Why, r.Remedy)
		}
	}
}

// bounded is for one question.
func (i *inspection) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, i.expected.Confirm)
}

// lookStream asks for a stream; nil when it cannot be asked for, is not there or does not answer:
// that is a finding then. made says whether a worker would make it.
func (i *inspection) lookStream(ctx context.Context, about, name string, made bool) *jetstream.StreamInfo {
	if i.denied[i.api("STREAM.INFO."+name)] {
		return nil
	}
	bounded, cancel := i.bounded(ctx)
	defer cancel()
	stream, err := i.link.JetStream().Stream(bounded, name)
	if err != nil {
		i.absent(about, made, err)
		return nil
	}
	return stream.CachedInfo()
}

// absent says why something cannot be seen.
func (i *inspection) absent(about string, made bool, err error) {
	switch {
	case isOff(err):
		i.add(LevelBroken, about, "no JetStream answers", "it is off, for the server or for this account", "enable it: jetstream {} in the server's configuration, and for the account")
	case stream.IsMissing(err) && made:
		i.add(LevelNote, about, "it is not there", "nats.manage is on: the first worker that starts makes it", "nothing, or make it yourself with limits of your own")
	case stream.IsMissing(err):
		i.add(LevelBroken, about, "it is not there", "a worker waits for it and carries nothing", "make it, or set nats.manage: true")
	default:
		i.add(LevelBroken, about, "no answer: "+stream.OneLine(err.Error()), "a worker would get none either", "look at the server's log: a stream or consumer without a leader does not answer")
	}
}

// gone compares what the stream still has with what the consumer has worked.
func (i *inspection) gone(s *jetstream.StreamInfo, c *jetstream.ConsumerInfo) {
	if s == nil || c == nil || s.Config.Retention != jetstream.LimitsPolicy || !stream.TakesAll(s.Config.Subjects, c.Config) || s.State.FirstSeq == 0 {
		return
	}
	if floor := c.AckFloor.Stream; s.State.FirstSeq > floor+1 && c.Delivered.Stream < s.State.LastSeq {
		i.add(LevelHurts, "stream "+i.expected.Stream,
			fmt.Sprintf("up to %d messages were gone before they were worked: it begins at %d, the consumer has finished up to %d", s.State.FirstSeq-1-floor, s.State.FirstSeq, floor),
			"its limits are too small for the backlog, or somebody purged it: these detections are lost",
			"raise max_age, max_bytes or max_msgs; the forwarders may still have the detections")
	}
}

// unseen names what no client can ask.
func (i *inspection) unseen() {
	i.add(LevelNote, "NATS", "sync_interval cannot be seen from here",
		"by default a server writes to its disk every two minutes: what it confirmed before a power failure may be gone, on all nodes at once",
		"jetstream { sync_interval: always } in the server's configuration, where detections must not be lost; worker check --connect --nats-monitor URL reads it")
}

// account looks at limits that all streams share, where that is allowed. It is false when there is no
// JetStream.
func (i *inspection) account(ctx context.Context) bool {
	bounded, cancel := i.bounded(ctx)
	defer cancel()
	const about = "account"
	if i.publishes(bounded, i.api("INFO"), "", nil) != nil {
		if !i.expected.Manage { // else it was said already
			i.add(LevelNote, about, "its limits are unknown", "the user may not ask for them: "+i.api("INFO"), "allow it if check is to compare them; the worker itself does not need it")
		}
		return true
	}
	info, err := i.link.JetStream().AccountInfo(bounded)
	if err != nil {
		i.absent(about, false, err)
		return !isOff(err)
	}
	tiers := map[string]jetstream.Tier{"": info.Tier}
	if len(info.Tiers) > 0 {
		tiers = info.Tiers
	}
	var rules []rule
	for name, t := range tiers {
		rules = append(rules, tierRules(name, t)...)
	}
	i.judge(about, "JetStream is on, "+strconv.Itoa(info.Streams)+" streams", rules...)
	return true
}

// leastAckPending is what an account must allow: what the smallest worker needs, of one call in flight.
const leastAckPending = 256

func tierRules(name string, t jetstream.Tier) []rule {
	if name != "" {
		name = " (" + name + ")"
	}
	full := func(used uint64, limit int64) bool { return limit > 0 && used*10 >= uint64(limit)*9 }
	return []rule{
		when(full(t.Store, t.Limits.MaxStore), LevelHurts, "storage is nearly full"+name+": "+bytesOf(t.Store)+" of "+bytesOf(uint64(t.Limits.MaxStore)),
			"a full account takes neither detections, nor dead letters, nor claims", "raise max_storage, or bound the streams"),
		when(t.Limits.MaxStore == 0, LevelHurts, "it may not store to files"+name, "what is in memory is gone with a restart", "give it max_storage"),
		when(t.Limits.MaxAckPending > 0 && t.Limits.MaxAckPending < leastAckPending, LevelHurts, "max_ack_pending of the account is "+strconv.Itoa(t.Limits.MaxAckPending),
			"no consumer may have more", "raise it"),
	}
}

// api is the subject of a request to JetStream, as the link sends it.
func (i *inspection) api(request string) string { return i.link.API(request) }

// bytesOf shows a size as an operator writes it.
func bytesOf(n uint64) string {
	for _, unit := range []struct {
		size uint64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= 10*unit.size || n >= unit.size && n%unit.size == 0 { // 1028 KiB is not 1 MiB
			return strings.TrimSuffix(strconv.FormatFloat(float64(n)/float64(unit.size), 'f', 1, 64), ".0") + " " + unit.name
		}
	}
	return strconv.FormatUint(n, 10) + " B"
}

// isOff tells that JetStream is not there for this account.
func isOff(err error) bool {
	return errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}
