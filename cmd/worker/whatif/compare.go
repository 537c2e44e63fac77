package whatif

import (
	"cmp"
	"context"
	"errors"
	"slices"

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
type change struct{ from, to string }

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

// run compares what read gives, which is called once.
func (c *comparison) run(ctx context.Context, read func(context.Context, func(history.Message) error) error, told func(done int)) (Report, error) {
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
	c.report.Old, c.report.New = c.before.Counts, c.after.Counts
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
		return []outcome{{verdict: dead, reason: enrich.ReasonOf(err)}}
	}
	all := make([]outcome, 0, len(result.Detections)+len(result.Dropped)+len(result.Unreadable))
	for i, d := range result.Detections {
		all = append(all, planned(planner.Plan(d, enrich.Origin{Stream: c.name, Sequence: m.Sequence, Part: i, Subject: m.Subject, Time: m.Stored})))
	}
	for _, d := range result.Dropped {
		all = append(all, outcome{verdict: dropped, reason: d.Reason})
	}
	for _, u := range result.Unreadable {
		all = append(all, outcome{verdict: dead, reason: enrich.ReasonOf(u)})
	}
	return all
}

// planned is what a plan, or its error, means.
func planned(p enrich.Plan, err error) outcome {
	o := outcome{rule: "no route"}
	if p.Route != "" {
		o.rule = "route " + p.Route
	}
	if d, is := errors.AsType[*enrich.DroppedError](err); is {
		if d.Reason == enrich.ReasonSilenced {
			o.rule = "silence " + d.Detail
		}
		o.verdict, o.reason = dropped, d.Reason
		return o
	}
	if err != nil {
		o.verdict, o.reason = dead, enrich.ReasonOf(err)
		return o
	}
	if p.AsAlert {
		o.verdict = asAlert
	}
	o.key, o.at, o.window, o.severity, o.assignee = p.Hash, p.At, p.Window, p.Severity, p.Shape.Assignee
	return o
}

// fold counts a message, in the stream's order.
func (c *comparison) fold(j judged) {
	c.report.Messages++
	for i := range max(len(j.old), len(j.new)) {
		from, to := c.one(c.before, j.old, i), c.one(c.after, j.new, i)
		if from == to {
			continue
		}
		c.report.Changed++
		known := c.changes[change{from, to}]
		if known == nil {
			if len(c.changes) == mostChanges {
				continue
			}
			known = &Change{Old: from, New: to, First: j.sequence}
			c.changes[change{from, to}] = known
		}
		known.Detections++
	}
}

// one counts one detection, and says what became of it.
func (c *comparison) one(s *side, all []outcome, i int) string {
	if i >= len(all) {
		return "not there"
	}
	did := s.take(all[i])
	if all[i].verdict == inCase {
		did = "case, " + word(all[i].severity)
		if all[i].assignee != "" {
			did += ", " + all[i].assignee
		}
	}
	if all[i].rule == "" {
		return did
	}
	return all[i].rule + ": " + did
}
