package rules

import (
	"slices"
	"strings"
	"time"

	"forager/enrich/detection/canon"
	"forager/hive"
)

// Decision is what the rules say of one detection. What is empty or nil is the planner's to say.
type Decision struct {
	Silence string   // name of the silence that holds the detection back; then nothing else is decided
	Route   string   // name of the route that decided; empty is none
	When    string   // its condition; empty holds always
	Drop    Drop     // why nothing is to be done; empty: something is
	Faults  []string // rules that failed at run time and gave way to the default, bounded words, each once

	Organisation string
	Key          string // the correlation key that the route gives
	Filter       *hive.Filter
	Window       *time.Duration
	Closed       ClosedPolicy
	MaxNewCases  int // in an hour; 0 is no limit
	Via          Via
	As           As
	Group        Group
	MaxNewAlerts int // in an hour; 0 is no limit
	Analyze      []Analysis
	Threshold    *Below // what must come together first; nil is nothing

	Title              *string // empty: the route's own gave nothing
	Description        *string // Markdown
	Severity, TLP, PAP *int
	Tags               []string
	Rows               []Row  // as they are, without those that have no value
	Links              string // Markdown list, to follow the description
	Shape              Shape
}

// Drop says why a route wants nothing done. The list is closed, so that it can label a metric.
type Drop string

// The reasons of a route to drop.
const (
	DropByRoute    Drop = "dropped by route"
	DropBelowLevel Drop = "below route's level"
)

// Decide says what the rules make of a detection at a time. What fails at run time gives way to the
// default, and is told in the decision's Faults.
func (r *Router) Decide(s Seen, now time.Time) (d Decision) {
	fault := func(name string) {
		if !slices.Contains(d.Faults, name) {
			d.Faults = append(d.Faults, name)
		}
	}
	if d.Silence = r.silencedBy(s, now, fault); d.Silence != "" {
		return d
	}
	q := r.choose(s, fault)
	if q == nil {
		return d
	}
	d.Route, d.When, d.MaxNewCases = q.Name, q.When, q.MaxNewCases
	switch {
	case q.Drop:
		d.Drop = DropByRoute
	case s.Severity < q.Minimum:
		d.Drop = DropBelowLevel
	default:
		q.identity(&d, s, fault)
		q.content(&d, s, fault)
		d.Threshold = q.below(s, fault)
	}
	return d
}

// identity says to which case a detection belongs.
func (q *route) identity(d *Decision, s Seen, fault func(string)) {
	d.Organisation, d.Window, d.Closed, d.Via, d.Analyze = q.Organisation, q.Window, q.Closed, q.Via, q.Analyze
	d.As, d.Group, d.MaxNewAlerts = q.As, q.Group, q.MaxNewAlerts
	if q.key != nil {
		value, err := evaluate[string](q.key, s)
		if err != nil {
			fault("route " + q.Name + " key")
		}
		d.Key = canon.Clean(strings.TrimSpace(value), MaxTitle)
	}
	d.Filter = q.ownFilter(s, fault)
}

// ownFilter renders the route's filter; nil where it has none, or where a value is empty: that would
// match what it should not, and the key decides.
func (q *route) ownFilter(s Seen, fault func(string)) *hive.Filter {
	if len(q.filter) == 0 {
		return nil
	}
	var all []hive.Filter
	for _, t := range q.filter {
		value := render(t.value, s, "", "route "+q.Name+" filter", fault)
		if value == "" {
			fault("route " + q.Name + " filter")
			return nil
		}
		f, err := filterOf(t.Term, value)
		if err != nil {
			fault("route " + q.Name + " filter")
			return nil
		}
		all = append(all, f)
	}
	f := hive.And(all...)
	return &f
}

// content says what a case of the detection looks like.
func (q *route) content(d *Decision, s Seen, fault func(string)) {
	f, at := &q.fields, "route "+q.Name+" "
	d.Title = q.said(f.title, s, at+"title", fault)
	d.Description = q.said(f.description, s, at+"description", fault)
	for _, l := range []struct {
		t         *text
		to        **int
		words     map[string]int
		low, high int
		name      string
	}{
		{f.severity, &d.Severity, severityWords, 1, 4, "severity"},
		{f.tlp, &d.TLP, tlpWords, 0, 4, "tlp"}, {f.pap, &d.PAP, papWords, 0, 3, "pap"},
	} {
		if l.t == nil {
			continue
		}
		n, err := level(render(l.t, s, "", at+l.name, fault), l.words, l.low, l.high)
		if err != nil {
			fault(at + l.name)
			continue
		}
		*l.to = &n
	}
	d.Shape, d.Tags, d.Rows, d.Links = q.shape(s, fault), q.tags(s, fault), q.rows(s, fault), q.links(s, fault)
}

// said is what a text gives; nil where there is none, or it fails.
func (*route) said(t *text, s Seen, name string, fault func(string)) *string {
	if t == nil {
		return nil
	}
	out, err := t.render(s)
	if err != nil {
		fault(name)
		return nil
	}
	return &out
}
