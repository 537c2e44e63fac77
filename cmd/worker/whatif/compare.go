package whatif

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/pipeline/history"
)

// Decoder reads messages.
type Decoder interface {
	Decode(m detection.Message) (detection.Result, error)
}

// Planner decides on detections.
type Planner interface {
	Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error)
}

// Rules are one way to read messages and to decide on them.
type Rules struct {
	Decoder Decoder
	Planner Planner
}

// comparison compares two sets of rules.
type comparison struct {
	name     string // of the stream
	old, new Rules
	alike    bool // both read messages the same way: each is read once
	report   Report
	before   *side
	after    *side
	changes  map[change]*Change
}

// change is a difference between the two, for one kind of detection.
type change struct{ from, to fate }

// judged is what both make of one message.
type judged struct {
	sequence uint64
	old, new []outcome
}

// mostChanges bounds the kinds of changes.
const mostChanges = 10_000

func newComparison(name string, old, now Rules) *comparison {
	return &comparison{name: name, old: old, new: now, alike: old.Decoder == now.Decoder, before: newSide(mostKeys), after: newSide(mostKeys), changes: map[change]*Change{}}
}

// reading gives messages in the stream's order.
type reading func(context.Context, func(history.Message) error) error

// run compares what read gives, which is called once; now is when that is over.
func (c *comparison) run(ctx context.Context, read reading, now func() time.Time, told func(done int)) (Report, error) {
	err := history.Abreast(ctx, read, func(all []history.Message) func() {
		done := make([]judged, len(all))
		for i, m := range all {
			done[i] = c.judge(m)
		}
		return func() {
			for _, j := range done {
				c.fold(j)
			}
			told(c.report.Messages)
		}
	})
	over := now()
	c.before.finish(over)
	c.after.finish(over)
	c.report.Old, c.report.New = c.before.counts(), c.after.counts()
	for _, change := range c.changes {
		c.report.Changes = append(c.report.Changes, *change)
	}
	slices.SortFunc(c.report.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(b.Detections, a.Detections), cmp.Compare(a.Old, b.Old), cmp.Compare(a.New, b.New))
	})
	return c.report, err
}

// judge reads a message and plans it, twice.
func (c *comparison) judge(m history.Message) judged {
	j := judged{sequence: m.Sequence}
	asked := detection.Message{Subject: m.Subject, Header: m.Header, Body: m.Body, Time: m.Stored}
	result, err := c.old.Decoder.Decode(asked)
	j.old = c.outcomes(m, result, err, c.old.Planner)
	if !c.alike {
		result, err = c.new.Decoder.Decode(asked)
	}
	j.new = c.outcomes(m, result, err, c.new.Planner)
	return j
}

// outcomes are what rules make of a message, in the order of its detections.
func (c *comparison) outcomes(m history.Message, result detection.Result, err error, planner Planner) []outcome {
	if err != nil {
		return []outcome{{verdict: dead, reason: enrich.ReasonOf(err), stored: m.Stored}}
	}
	all := make([]outcome, 0, len(result.Detections)+len(result.Dropped)+len(result.Unreadable))
	for i, d := range result.Detections {
		o := planned(planner.Plan(d, enrich.Origin{Stream: c.name, Sequence: m.Sequence, Part: i, Subject: m.Subject, Time: m.Stored}))
		o.place, o.stored = place{m.Sequence, i}, m.Stored
		all = append(all, o)
	}
	for _, d := range result.Dropped {
		all = append(all, outcome{verdict: dropped, reason: d.Reason, stored: m.Stored})
	}
	for _, u := range result.Unreadable {
		all = append(all, outcome{verdict: dead, reason: enrich.ReasonOf(u), stored: m.Stored})
	}
	return all
}

// planned is what a plan, or its error, means.
func planned(p enrich.Plan, err error) outcome {
	o := outcome{by: ruling{kind: "no route"}}
	if p.Route != "" {
		o.by = ruling{"route", p.Route}
	}
	if d, is := errors.AsType[*enrich.DroppedError](err); is {
		if d.Reason == enrich.ReasonSilenced {
			o.by = ruling{bySilence, d.Detail}
		}
		o.verdict, o.reason = dropped, d.Reason
		return o
	}
	if err != nil {
		o.verdict, o.reason = dead, enrich.ReasonOf(err)
		return o
	}
	o.verdict = inCase
	if p.AsAlert {
		o.verdict = asAlert
	}
	o.key, o.at, o.window, o.severity, o.assignee, o.wants = p.Hash, p.At, p.Window, p.Severity, p.Shape.Assignee, p.Threshold
	return o
}

// fold counts a message, in the stream's order.
func (c *comparison) fold(j judged) {
	c.report.Messages++
	for i := range max(len(j.old), len(j.new)) {
		s := &story{first: j.sequence, left: 2}
		c.one(c.before, j.old, i, func(f fate) { c.told(s, &s.from, f) })
		c.one(c.after, j.new, i, func(f fate) { c.told(s, &s.to, f) })
	}
}

// one counts one detection on one side.
func (c *comparison) one(s *side, all []outcome, i int, tell func(fate)) {
	if i >= len(all) {
		tell(fate{})
		return
	}
	s.take(all[i], tell)
}

// story is what became of one detection on both sides. That of one that waits below a threshold is told later.
type story struct {
	change

	first uint64 // sequence of its message
	left  int    // sides that have not told
}

// told notes what became of a detection on one side.
func (c *comparison) told(s *story, where *fate, f fate) {
	*where = f
	if s.left--; s.left > 0 || s.from == s.to {
		return
	}
	c.report.Changed++
	known := c.changes[s.change]
	if known == nil {
		if len(c.changes) == mostChanges {
			return
		}
		known = &Change{Old: s.from.String(), New: s.to.String(), First: s.first}
		c.changes[s.change] = known
	}
	known.Detections++
	known.First = min(known.First, s.first)
}
