package casefind

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"forager/enrich"
	"forager/hive"
	"forager/pipeline/deadletter"
	"forager/pipeline/history"
	"forager/pipeline/hold"
	"forager/pipeline/journal"
	"forager/pipeline/stream"
)

// records are what was read once for all matches.
type records struct {
	held  map[string]bool            // names of messages of which a copy is held
	lines map[string][]journal.Entry // by the subject of the journal
}

// mostOfKey bounds the cases of a key that are told of without a message.
const mostOfKey = 5

// placeAll says of every match where it went, the newest first, and adds the cases of the key.
func (f *finder) placeAll(ctx context.Context) {
	f.known = records{held: map[string]bool{}, lines: map[string][]journal.Entry{}}
	places, err := hold.Open(f.site.Link, f.site.Options.Streams()).Places(ctx)
	if err != nil {
		f.problem("held messages", err)
	}
	for _, p := range places {
		f.known.held[p.Message] = true
	}
	f.looked("%d messages held below thresholds", len(places))
	slices.SortStableFunc(f.kept.all, func(a, b candidate) int { return b.message.Stored.Compare(a.message.Stored) })
	for _, c := range f.kept.all {
		f.out.Found = append(f.out.Found, f.place(ctx, c))
	}
	if f.site.Config.Journal.Stream == "" {
		f.looked("no journal: journal.stream is not set")
	}
	f.addCases(ctx)
}

// addCases adds cases that have what is wanted as their key, and that no match is in.
func (f *finder) addCases(ctx context.Context) {
	for _, organisation := range f.site.Options.Organisations() {
		for _, tag := range f.want.tags(organisation) {
			cases, err := f.site.CasesOf(ctx, organisation, tag, mostOfKey)
			if err != nil {
				f.problem("TheHive", err)
				return
			}
			f.looked("TheHive: %d cases with tag %s", len(cases), tag)
			for _, c := range cases {
				if !slices.ContainsFunc(f.out.Found, func(x Found) bool { return x.Case != nil && x.Case.ID == c.ID }) {
					f.out.Found = append(f.out.Found, Found{Outcome: InCase, Case: f.shown(ctx, c), By: "the key"})
				}
			}
		}
	}
}

// place says where one match went.
func (f *finder) place(ctx context.Context, c candidate) Found {
	stored := c.message.Stored.UTC()
	out := Found{Stream: f.site.Options.Stream, Sequence: c.message.Sequence, Stored: &stored, Format: c.format}
	if d := c.detection; d != nil {
		out.ID, out.Title, out.Host = d.ID, d.Title, d.Host
	}
	if c.plan.Key.Kind != "" {
		out.Key = c.plan.Key.String()
	}
	line := f.line(ctx, c.message)
	if line != nil {
		at := line.Time.UTC()
		out.Settled, out.By = &at, "the journal"
	}
	switch {
	case f.isLetter(ctx, c, &out):
	case f.isHeld(c):
		out.Outcome, out.Reason, out.By = Held, c.plan.Threshold.Words, "the hold stream"
	case c.err != nil && enrich.ClassOf(c.err) == enrich.Dropped:
		out.Outcome, out.Reason = Dropped, reasonOf(c.err)
		out.By = cmp.Or(out.By, "the rules that are configured")
	case line != nil && line.Outcome == journal.Dropped:
		out.Outcome, out.Reason = Dropped, cmp.Or(line.Reason, strings.Join(line.Dropped, ", "))
	case line == nil && !f.isSettled(ctx, c, &out):
	case c.err != nil:
		out.Outcome, out.Reason = Unknown, reasonOf(c.err)
	default:
		f.find(ctx, c, line, &out)
	}
	return out
}

// isLetter tells whether the message was given up.
func (f *finder) isLetter(ctx context.Context, c candidate, out *Found) bool {
	l := c.letter
	if l == nil {
		found, err := deadletter.Open(f.site.Link, f.site.Config.DeadLetters.Stream).Of(ctx, f.site.Options.Stream, c.message.Sequence)
		if err != nil && !errors.Is(err, deadletter.ErrNotFound) {
			f.problem("dead letters", err)
		}
		if err != nil || !found.Stored.Equal(c.message.Stored) {
			return false
		}
		l = &found
	}
	died := l.Died.UTC()
	out.Outcome, out.Letter, out.Settled, out.By = Letter, l.Number, &died, ""
	out.Reason = l.Reason
	if l.Detail != "" && l.Detail != l.Reason {
		out.Reason += ": " + l.Detail
	}
	return true
}

// isHeld tells whether a copy of the message is held, and the detection has a threshold.
func (f *finder) isHeld(c candidate) bool {
	m := hold.Message{Stream: f.site.Options.Stream, Sequence: c.message.Sequence, Stored: c.message.Stored}
	return c.plan.Threshold != nil && f.known.held[m.Name()]
}

// isSettled tells whether a worker is done with the message; where none is, that is where it is.
func (f *finder) isSettled(ctx context.Context, c candidate, out *Found) bool {
	settled, err := stream.Settled(ctx, f.site.Link, f.site.Options.Streams(), c.message.Sequence)
	switch {
	case err != nil:
		f.problem("consumer", err)
		out.Outcome, out.Reason = Unknown, "the consumer could not be asked"
	case !settled:
		out.Outcome, out.Reason, out.By = Pending, "not settled yet, or something before it is not (see: worker status)", "the consumer"
	}
	return settled && err == nil
}

// find looks for the case or alert of a plan.
func (f *finder) find(ctx context.Context, c candidate, line *journal.Entry, out *Found) {
	at, err := f.site.Place(ctx, c.plan)
	if err != nil {
		f.problem("TheHive", err)
		out.Outcome, out.Reason = Unknown, "TheHive could not be asked"
		return
	}
	if line != nil && len(line.Cases) > 0 && !slices.Contains(line.Cases, at.Found.Number) {
		f.findNumber(ctx, c.plan.Organisation, line.Cases[0], out)
		return
	}
	switch {
	case at.Alert.ID != "":
		out.Outcome, out.Alert = Alert, at.Alert.Type+";"+at.Alert.Source+";"+at.Alert.SourceRef
	case at.Waits != "":
		out.Outcome, out.Reason = Dropped, enrich.ReasonBelow+": "+at.Waits
	case at.Found.ID == "":
		out.Outcome = Unknown
	default:
		out.Outcome, out.Case = InCase, f.shown(ctx, at.Found)
		if line == nil || len(line.Cases) == 0 {
			out.By = "its key"
		}
	}
}

// findNumber takes the journal's word for the case.
func (f *finder) findNumber(ctx context.Context, organisation string, number int, out *Found) {
	out.Outcome = InCase
	found, err := f.site.Case(ctx, organisation, strconv.Itoa(number))
	if err == nil {
		out.Case = f.shown(ctx, found)
		return
	}
	out.Case = &Case{Number: number}
	if e, ok := errors.AsType[*hive.Error](err); ok && e.Verdict() == hive.NotFound {
		out.Case.Deleted = true
		return
	}
	f.problem("TheHive", err)
}

// shown is a case, with what the ledger knows of its end.
func (f *finder) shown(ctx context.Context, c hive.Case) *Case {
	one := &Case{
		Number: c.Number, ID: c.ID, Title: c.Title, Stage: c.Stage,
		Link: strings.TrimSuffix(f.site.Config.Hive.URL, "/") + "/cases/" + c.ID + "/details",
	}
	entry, err := f.site.Applier.ReadEntry(ctx, c.ID)
	if err != nil {
		f.problem("ledger", err)
		return one
	}
	one.MovedTo, one.Deleted = entry.MovedTo, !entry.Gone.IsZero()
	return one
}

// line is the journal's last word on a message; nil is none.
func (f *finder) line(ctx context.Context, m history.Message) (last *journal.Entry) {
	name := f.site.Config.Journal.Stream
	if name == "" {
		return nil
	}
	subject := journal.Subject(f.site.Options.Stream, m.Sequence)
	lines, read := f.known.lines[subject]
	if !read {
		err := history.Read(ctx, f.site.Link, history.Span{Stream: name, Filters: []string{subject}}, func(written history.Message) error {
			var e journal.Entry
			if json.Unmarshal(written.Body, &e) == nil {
				lines = append(lines, e)
			}
			return ctx.Err()
		})
		if err != nil {
			f.problem("journal", err)
		}
		f.known.lines[subject] = lines
		f.looked("journal %s: %d lines of %s", name, len(lines), subject)
	}
	for i, e := range lines {
		if e.Sequence == m.Sequence && e.Stored.Equal(m.Stored) && (last == nil || !e.Time.Before(last.Time)) {
			last = &lines[i]
		}
	}
	return last
}

// reasonOf says why something asks for nothing, with what a rule is called.
func reasonOf(err error) string {
	reason := enrich.ReasonOf(err)
	if d, ok := errors.AsType[*enrich.DroppedError](err); ok && d.Detail != "" {
		return reason + ": " + d.Detail
	}
	return reason
}
