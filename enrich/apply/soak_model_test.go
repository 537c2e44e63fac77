package apply_test

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"forager/enrich"
	"forager/hive/hivetest"
)

// soakCase is a case as the model has it.
type soakCase struct {
	tags       []string // of the keys whose detections it holds
	start, end time.Time
	last       map[string]time.Time // newest event, by tag
	deleted    bool
	severity   int64
	items      map[string]int
}

// holds tells whether the span of the case holds a detection of a key.
func (c *soakCase) holds(tag string, at time.Time) bool {
	return slices.Contains(c.tags, tag) && (c.end.IsZero() || !at.After(c.end)) &&
		!at.Before(c.start.Add(-soakWindow)) && !at.After(c.last[tag].Add(soakWindow))
}

// soakModel is what should be in TheHive.
type soakModel struct {
	cases   []*soakCase
	dropped int
}

// take puts a detection where the rules say: into the newest living case that holds it, nowhere
// when only deleted ones do, else into a new one.
func (m *soakModel) take(p enrich.Plan) {
	var found *soakCase
	for _, c := range m.cases {
		if c.holds(p.Tag(), p.At) && (found == nil || found.deleted || !c.deleted) {
			found = c
		}
	}
	if found == nil {
		found = &soakCase{tags: []string{p.Tag()}, start: p.At, last: map[string]time.Time{}, items: map[string]int{}}
		m.cases = append(m.cases, found)
	}
	if found.deleted {
		m.dropped++
		return
	}
	found.last[p.Tag()] = p.At
	found.severity = max(found.severity, int64(p.Severity))
	items := []string{"note " + p.RuleHash + "/" + p.Day}
	for _, o := range p.Observables {
		items = append(items, "observable "+o.DataType+" "+o.Data)
	}
	for _, t := range p.Techniques {
		items = append(items, "procedure "+t.ID+" "+t.Tactic)
	}
	for _, item := range items {
		found.items[item] = max(found.items[item], 1)
	}
}

// merge makes one case of two: TheHive unites equal observables, and keeps all else.
func (m *soakModel) merge(a, b *soakCase) {
	a.tags = slices.Compact(slices.Sorted(slices.Values(append(a.tags, b.tags...))))
	if b.start.Before(a.start) {
		a.start = b.start
	}
	for tag, last := range b.last {
		if last.After(a.last[tag]) {
			a.last[tag] = last
		}
	}
	a.severity = max(a.severity, b.severity)
	for item, n := range b.items {
		if a.items[item] += n; strings.HasPrefix(item, "observable") {
			a.items[item] = 1
		}
	}
	m.cases = slices.DeleteFunc(m.cases, func(c *soakCase) bool { return c == b })
}

// soakEnd is one case, to compare.
type soakEnd struct {
	Tags     []string
	Start    int64
	Closed   bool
	Severity int64
	Items    map[string]int
}

func sortedEnds(ends []soakEnd) []soakEnd {
	slices.SortFunc(ends, func(a, b soakEnd) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), slices.Compare(a.Tags, b.Tags))
	})
	return ends
}

func (m *soakModel) ends() (all []soakEnd) {
	for _, c := range m.cases {
		if !c.deleted {
			all = append(all, soakEnd{slices.Sorted(slices.Values(c.tags)), c.start.UnixMilli(), !c.end.IsZero(), c.severity, c.items})
		}
	}
	return sortedEnds(all)
}

func endsOf(s hivetest.Snapshot) (all []soakEnd) {
	for _, c := range s.Cases {
		e := soakEnd{Start: c.StartDate, Closed: c.Stage == "Closed", Severity: c.Severity, Items: map[string]int{}}
		for _, t := range c.Tags {
			if strings.HasPrefix(t, "forager:") {
				e.Tags = append(e.Tags, t)
			}
		}
		for _, o := range c.Observables {
			e.Items["observable "+o.DataType+" "+o.Data]++
		}
		for _, p := range c.Procedures {
			e.Items["procedure "+p.PatternID+" "+p.Tactic]++
		}
		for _, text := range append(c.Comments, c.Description) {
			for _, note := range notesIn(text) {
				e.Items["note "+note]++
			}
		}
		all = append(all, e)
	}
	return sortedEnds(all)
}
