package casefind

import (
	"context"
	"errors"
	"fmt"
	"time"

	"forager/cmd/worker/service"
	"forager/cmd/worker/terminal"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/pipeline/deadletter"
	"forager/pipeline/history"
	natsstream "forager/pipeline/stream"
)

// candidate is a detection that is wanted, or a message that has what is wanted in it.
type candidate struct {
	message   history.Message
	letter    *deadletter.Message // that was found, and not its message in the stream
	format    string
	detection *detection.Detection // nil: it cannot be read as one
	plan      enrich.Plan
	err       error // why it asks for nothing; or cannot be read
}

// newest keeps the last of many.
type newest struct {
	most int
	all  []candidate
	left int
}

func (n *newest) add(all ...candidate) {
	n.all = append(n.all, all...)
	if over := len(n.all) - n.most; over > 0 {
		n.left += over
		n.all = append(n.all[:0], n.all[over:]...)
	}
}

// finder answers one question.
type finder struct {
	site     *service.ReplaySite
	want     *Wanted
	since    time.Time
	kept     newest
	progress *terminal.Progress
	out      Answer
	known    records
}

// answer looks everywhere.
func (f *finder) answer(ctx context.Context) Answer {
	f.out = Answer{Found: []Found{}, Looked: []string{}, Problems: []string{}}
	f.searchLetters(ctx)
	f.searchStream(ctx)
	f.progress.Wait("asking TheHive")
	f.placeAll(ctx)
	f.out.More = f.kept.left
	return f.out
}

// problem notes what could not be asked.
func (f *finder) problem(what string, err error) {
	f.out.Problems = append(f.out.Problems, what+": "+natsstream.OneLine(err.Error()))
}

func (f *finder) looked(format string, args ...any) {
	f.out.Looked = append(f.out.Looked, fmt.Sprintf(format, args...))
}

// searchStream reads the message of a sequence, or all since a time.
func (f *finder) searchStream(ctx context.Context) {
	name := f.site.Options.Stream
	if f.want.Sequence != 0 {
		m, err := f.site.Link.ReadMessage(ctx, name, f.want.Sequence)
		if err == nil {
			f.kept.add(f.judge(history.Message{Sequence: m.Sequence, Subject: m.Subject, Header: m.Header, Body: m.Body, Stored: m.Time})...)
		} else if !errors.Is(err, natsstream.ErrNoMessage) {
			f.problem("stream", err)
		}
		f.looked("stream %s: sequence %d", name, f.want.Sequence)
		return
	}
	done := 0
	span := history.Span{Stream: name, Filters: f.site.Config.NATS.Subjects, Since: f.since, Begun: func(n uint64) { f.progress.Step("reading messages", n) }}
	read := func(ctx context.Context, each func(history.Message) error) error {
		return history.Read(ctx, f.site.Link, span, each)
	}
	err := history.Abreast(ctx, read, func(all []history.Message) func() {
		var found []candidate
		for _, m := range all {
			found = append(found, f.judge(m)...)
		}
		return func() {
			f.kept.add(found...)
			done += len(all)
			f.progress.At(uint64(done))
		}
	})
	if err != nil {
		f.problem("stream", err)
	}
	f.looked("stream %s: %d messages stored since %s", name, done, f.since.UTC().Format(time.RFC3339))
}

// searchLetters reads dead letters: their messages may have left the stream. Those that have not are found there.
func (f *finder) searchLetters(ctx context.Context) {
	n := 0
	f.progress.Step("reading dead letters", 0)
	for l, err := range deadletter.Open(f.site.Link, f.site.Config.DeadLetters.Stream).List(ctx, deadletter.Filter{Stream: f.site.Options.Stream}) {
		if err != nil {
			f.problem("dead letters", err)
			break
		}
		n++
		f.progress.More()
		found := f.judge(history.Message{Sequence: l.Sequence, Subject: l.Subject, Header: l.Header, Body: l.Body, Stored: l.Stored})
		if len(found) == 0 || f.inStream(ctx, l) {
			continue
		}
		for i := range found {
			found[i].letter = &l
		}
		f.kept.add(found...)
	}
	f.looked("%d dead letters", n)
}

// inStream tells whether the search of the stream comes upon the message of a letter.
func (f *finder) inStream(ctx context.Context, l deadletter.Message) bool {
	if f.want.Sequence == 0 && l.Stored.Before(f.since) {
		return false
	}
	m, err := f.site.Link.ReadMessage(ctx, f.site.Options.Stream, l.Sequence)
	return err == nil && m.Time.Equal(l.Stored)
}

// judge gives what of a message is wanted. Bodies are not kept.
func (f *finder) judge(m history.Message) (all []candidate) {
	bare := m
	bare.Body = nil
	got, err := f.site.Rules.Decode(detection.Message{Subject: m.Subject, Header: m.Header, Body: m.Body, Time: m.Stored})
	if err != nil {
		if f.want.mentioned(m) {
			all = append(all, candidate{message: bare, format: got.Format, err: err})
		}
		return all
	}
	for i, d := range got.Detections {
		plan, err := f.site.Rules.Plan(d, enrich.Origin{Stream: f.site.Options.Stream, Sequence: m.Sequence, Part: i, Subject: m.Subject, Time: m.Stored})
		if f.want.fits(m, d, plan) {
			all = append(all, candidate{message: bare, format: d.Format, detection: &d, plan: plan, err: err})
		}
	}
	if len(all) > 0 || !f.want.mentioned(m) {
		return all
	}
	for _, d := range got.Dropped {
		all = append(all, candidate{message: bare, format: d.Format, err: &enrich.DroppedError{Reason: d.Reason}})
	}
	for _, u := range got.Unreadable {
		all = append(all, candidate{message: bare, format: got.Format, err: u})
	}
	return all
}
