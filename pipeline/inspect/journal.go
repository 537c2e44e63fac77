package inspect

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/journal"
	"forager/pipeline/stream"
)

// journal looks at where a line for every settlement is kept: without it nothing is settled.
func (i *inspection) journal(ctx context.Context) {
	if i.expected.Journal == "" {
		return
	}
	about := "journal " + i.expected.Journal
	if i.publishes(ctx, i.api("STREAM.INFO."+i.expected.Journal), malformed, nil) != nil {
		i.add(LevelNote, about, "it may not be looked at", "what is wrong with it shows when the first message is settled: it comes again",
			"allow $JS.API.STREAM.INFO."+i.expected.Journal+", where this should be seen before")
		return
	}
	info := i.lookStream(ctx, about, i.expected.Journal, i.expected.Manage)
	if info == nil {
		return
	}
	c, wanted := info.Config, journal.SubjectPrefix+i.expected.Stream+".>"
	i.judge(about, fmt.Sprintf("%d lines, %s", info.State.Msgs, bytesOf(info.State.Bytes)),
		when(len(stream.Uncovered(c.Subjects, []string{wanted})) > 0, LevelBroken, "it does not listen to "+wanted, "no line can be written, and nothing is settled without one", "add the subject"),
		when(c.Sealed, LevelBroken, "it is sealed", "no line can be written, and nothing is settled without one", "make a new stream"),
		when(c.Retention != jetstream.LimitsPolicy, LevelHurts, "its retention is not limits", "lines go before anybody reads them", "retention limits, with max_age"),
		when(c.Discard == jetstream.DiscardNew && limited(c), LevelHurts, "when it is full it refuses lines (discard new)", "nothing is settled any more then", "discard old"),
		when(c.MaxAge == 0, LevelNote, "lines live for ever", "it grows until the disk is full", "max_age as journal.keep says"),
		when(c.MaxMsgsPerSubject > 0, LevelHurts, "max_msgs_per_subject drops lines", fmt.Sprintf("%d messages share a subject", journal.PerSubject), "max_msgs_per_subject -1"),
	)
}
