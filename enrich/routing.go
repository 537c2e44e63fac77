package enrich

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"forager/enrich/detection"
	"forager/hive"
)

// ReasonSilenced is the reason of a DroppedError whose Detail names a silence.
const ReasonSilenced = "silenced"

// route lets the rules change a plan. What fails at run time gives way to the default.
func (p *Planner) route(plan *Plan, d detection.Detection, s Seen) error {
	fault := func(name string) {
		if !slices.Contains(plan.Faults, name) {
			plan.Faults = append(plan.Faults, name)
		}
	}
	if name := p.options.Router.silencedBy(s, p.options.Now(), fault); name != "" {
		return &DroppedError{Reason: ReasonSilenced, Detail: name}
	}
	q := p.options.Router.choose(s, fault)
	if q == nil {
		return nil
	}
	plan.Route, plan.When, plan.NewCap = q.Name, q.When, q.MaxNewCases
	if q.Drop {
		return &DroppedError{Reason: "dropped by route", Detail: q.Name}
	}
	if s.Severity < q.Minimum {
		return &DroppedError{Reason: "below route's level", Detail: q.Name}
	}
	q.identity(plan, s, fault)
	q.content(plan, d, s, fault)
	return nil
}

// identity says to which case the plan belongs.
func (q *route) identity(plan *Plan, s Seen, fault func(string)) {
	if q.Organisation != "" {
		plan.Organisation = q.Organisation
	}
	if q.Window != nil {
		plan.Window = *q.Window
	}
	if q.Closed != "" {
		plan.Closed = q.Closed
	}
	if q.key != nil {
		value, err := evaluate[string](q.key, s)
		if err != nil {
			fault("route " + q.Name + " key")
		}
		if value = detection.Clean(strings.TrimSpace(value), maxTitle); value != "" {
			plan.Key = Key{Kind: "key", Value: value}
		}
	}
	q.ownFilter(plan, s, fault)
}

// ownFilter renders the route's filter. It replaces the key's tag and claim: plans whose rendered
// filters are the same queue together, and claim one entry.
func (q *route) ownFilter(plan *Plan, s Seen, fault func(string)) {
	if len(q.filter) == 0 {
		return
	}
	var all []hive.Filter
	for _, t := range q.filter {
		value := render(t.value, s, "", "route "+q.Name+" filter", fault)
		if value == "" {
			fault("route " + q.Name + " filter")
			return // an empty value would match what it should not: the key decides
		}
		f, err := filterOf(t.Term, value)
		if err != nil {
			fault("route " + q.Name + " filter")
			return
		}
		all = append(all, f)
	}
	plan.find, plan.finds = hive.And(all...), true
	if raw, err := json.Marshal(plan.find); err == nil {
		plan.Hash = shortHash(plan.Organisation, "filter", string(raw))
	}
	if plan.Key.Value == "" {
		plan.Key = Key{Kind: "filter", Value: plan.Hash}
	}
}

// content says what a case of the plan looks like.
func (q *route) content(plan *Plan, d detection.Detection, s Seen, fault func(string)) {
	f, at := &q.fields, "route "+q.Name+" "
	plan.Title = oneLine(render(f.title, s, plan.Title, at+"title", fault))
	if plan.Title == "" {
		plan.Title = titleOf(d, plan.Key)
	}
	if f.description != nil {
		if text, err := f.description.render(s); err != nil {
			fault(at + "description")
		} else {
			plan.describe = func() string { return text }
		}
	}
	for _, l := range []struct {
		t         *text
		to        *int
		words     map[string]int
		low, high int
		name      string
	}{
		{f.severity, &plan.Severity, severityWords, 1, 4, "severity"},
		{f.tlp, &plan.TLP, tlpWords, 0, 4, "tlp"}, {f.pap, &plan.PAP, papWords, 0, 3, "pap"},
	} {
		if l.t == nil {
			continue
		}
		n, err := level(render(l.t, s, "", at+l.name, fault), l.words, l.low, l.high)
		if err != nil {
			fault(at + l.name)
			continue
		}
		*l.to = n
	}
	plan.shape = q.shape(s, fault)
	if plan.shape.links != "" {
		plan.notes += "\n" + plan.shape.links
	}
	for _, tag := range plan.shape.tags {
		if !reserved(tag) && !slices.Contains(plan.Tags, tag) {
			plan.Tags = append(plan.Tags, tag)
		}
	}
}

// hour names the hour of a limit.
func hour(at time.Time) string { return at.UTC().Format("2006010215") }
