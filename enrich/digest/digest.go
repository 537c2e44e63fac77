package digest

import (
	"cmp"
	"math"
	"net/netip"
	"slices"

	"forager/enrich"
	"forager/enrich/detection/canon"
	"forager/enrich/markdown"
)

// Digest is what is known of a case's detections. What comes from events is written for a cell of a table already.
type Digest struct {
	N     int      `json:"n"` // at least so many
	First int64    `json:"first"`
	Last  int64    `json:"last"`
	Rules []Rule   `json:"rules,omitempty"`
	Other int      `json:"other,omitempty"` // detections of rules that found no room
	Rows  []string `json:"rows,omitempty"`  // of the table of the newest, newest first

	Unseen  []string `json:"unseen,omitempty"`  // which analyzers saw nothing, and why; written for a page already
	Related []int    `json:"related,omitempty"` // numbers of cases with the same indicators, where TheHive cannot link them
}

// Rule is what is known of the detections of one rule.
type Rule struct {
	Hash     string  `json:"h"`
	Name     string  `json:"r"`
	Severity int     `json:"s"`
	N        int     `json:"n"`
	First    int64   `json:"f"`
	Last     int64   `json:"l"`
	Users    []Tally `json:"u,omitempty"`
	Sources  []Tally `json:"a,omitempty"`
	Link     string  `json:"c,omitempty"` // of its newest detection that has one

	Techniques []string `json:"m,omitempty"` // the first few of its detections
}

// Tally is how often something was seen, at least.
type Tally struct {
	Text string `json:"t"`
	N    int    `json:"n"`
}

// Bounds of a digest.
const (
	MaxRules   = 100 // rules that are told apart
	MaxRows    = 50  // detections that are told of
	maxUnseen  = 10  // analyzers that did not look at something
	maxRelated = 30  // cases with the same indicators
	maxTallies = 5   // users, and sources, of a rule that are counted, and techniques
)

// Add counts one detection of a rule.
func (d *Digest) Add(rule string, s enrich.Sighting) {
	d.count(rule, s)
	d.Rows = newest(append(d.Rows, row(s)))
}

// AddAll counts the detections of plans, in their order. Of a storm, rows are written for the newest alone.
func (d *Digest) AddAll(plans []enrich.Plan) {
	var rows []string
	oldest := oldestRow(plans)
	for _, p := range plans {
		s := p.Sighting()
		d.count(p.RuleHash, s)
		if s.At >= oldest {
			rows = append(rows, row(s))
		}
	}
	d.Rows = newest(append(d.Rows, rows...))
}

// oldestRow is the time, in ms, of the oldest plan that could have a row.
func oldestRow(plans []enrich.Plan) int64 {
	if len(plans) <= MaxRows {
		return math.MinInt64
	}
	times := make([]int64, len(plans))
	for i, p := range plans {
		times[i] = p.At.UnixMilli()
	}
	slices.Sort(times)
	return times[len(times)-MaxRows]
}

// count counts a detection, without its row.
func (d *Digest) count(rule string, s enrich.Sighting) {
	d.N++
	d.First, d.Last = earliest(d.First, s.At), max(d.Last, s.At)
	r := d.rule(rule)
	if r == nil {
		d.Other++
		return
	}
	r.N++
	r.Severity = max(r.Severity, s.Severity)
	r.First = earliest(r.First, s.At)
	r.Users, r.Sources = tally(r.Users, cell(s.User)), tally(r.Sources, cell(withoutPort(s.From)))
	r.Techniques = uniteTexts(r.Techniques, s.Techniques)
	if s.At >= r.Last || r.Link == "" {
		if s.Rule != "" {
			r.Name = markdown.CellText(s.Rule)
		}
		if s.Link != "" {
			r.Link = markdown.Link(s.Link)
		}
	}
	r.Last = max(r.Last, s.At)
}

// NotAnalysed notes that an analyzer did not look at something, and why.
func (d *Digest) NotAnalysed(analyzer, why string) { d.unseen(markdown.Cell(analyzer) + ": " + why) }

// AnalysisFailed notes that an analyzer's job failed, in Cortex's words.
func (d *Digest) AnalysisFailed(analyzer, words string) {
	d.unseen(markdown.Cell(analyzer) + ": its job failed: " + markdown.Cell(enrich.Excerpt(words)))
}

func (d *Digest) unseen(line string) {
	if !slices.Contains(d.Unseen, line) && len(d.Unseen) < maxUnseen {
		d.Unseen = append(d.Unseen, line)
	}
}

// Relate notes the number of a case that has the same indicators.
func (d *Digest) Relate(number int) {
	if !slices.Contains(d.Related, number) && len(d.Related) < maxRelated {
		d.Related = append(d.Related, number)
	}
}

// add takes over what stands above the tables of another digest.
func (d *Digest) add(o Digest) {
	for _, n := range o.Related {
		d.Relate(n)
	}
	for _, line := range o.Unseen {
		d.unseen(line)
	}
}

// Count counts detections of a rule of which nothing else is known.
func (d *Digest) Count(rule string, n int, first, last int64) {
	d.Join(Digest{N: n, First: first, Last: last, Rules: []Rule{{Hash: rule, Severity: 1, N: n, First: first, Last: last}}})
}

// rule finds a rule, or makes room for it; nil where there is none.
func (d *Digest) rule(hash string) *Rule {
	if i := slices.IndexFunc(d.Rules, func(r Rule) bool { return r.Hash == hash }); i >= 0 {
		return &d.Rules[i]
	}
	if len(d.Rules) >= MaxRules {
		return nil
	}
	d.Rules = append(d.Rules, Rule{Hash: hash})
	return &d.Rules[len(d.Rules)-1]
}

// Join adds what another digest counted of other detections: that of a page beside this one's, after cases were merged.
func (d *Digest) Join(o Digest) { d.unite(o, func(a, b int) int { return a + b }) }

// AtLeast takes what another digest counted of the same detections, as far as this one did not. To do it twice
// changes nothing.
func (d *Digest) AtLeast(o Digest) { d.unite(o, func(a, b int) int { return max(a, b) }) }

// Complete takes from a page what it knows beside numbers: names, times, rows, and who was seen where nothing of that is known.
func (d *Digest) Complete(page Digest) {
	d.First, d.Last = earliest(d.First, page.First), max(d.Last, page.Last)
	d.JoinRows(page.Rows)
	d.add(page)
	for _, theirs := range page.Rules {
		i := slices.IndexFunc(d.Rules, func(r Rule) bool { return r.Hash == theirs.Hash })
		if i < 0 {
			continue
		}
		r := &d.Rules[i]
		r.First, r.Last, r.Severity = earliest(r.First, theirs.First), max(r.Last, theirs.Last), max(r.Severity, theirs.Severity)
		r.Name, r.Link = cmp.Or(r.Name, theirs.Name), cmp.Or(r.Link, theirs.Link)
		if r.Users == nil {
			r.Users = theirs.Users
		}
		if r.Sources == nil {
			r.Sources = theirs.Sources
		}
		r.Techniques = uniteTexts(r.Techniques, theirs.Techniques)
	}
}

// unite takes over what another digest says; numbers of one thing are brought together by of.
func (d *Digest) unite(o Digest, of func(a, b int) int) {
	d.Other = of(d.Other, o.Other)
	d.First, d.Last = earliest(d.First, o.First), max(d.Last, o.Last)
	d.JoinRows(o.Rows)
	d.add(o)
	for _, theirs := range o.Rules {
		if r := d.rule(theirs.Hash); r != nil {
			r.unite(theirs, of)
		} else {
			d.Other += theirs.N
		}
	}
	d.N = d.Other
	for _, r := range d.Rules {
		d.N += r.N
	}
}

func (r *Rule) unite(o Rule, of func(a, b int) int) {
	r.N = of(r.N, o.N)
	r.Severity = max(r.Severity, o.Severity)
	r.First = earliest(r.First, o.First)
	r.Users, r.Sources = uniteTallies(r.Users, o.Users, of), uniteTallies(r.Sources, o.Sources, of)
	r.Techniques = uniteTexts(r.Techniques, o.Techniques)
	if o.Last > r.Last || r.Name == "" {
		r.Name, r.Link = cmp.Or(o.Name, r.Name), cmp.Or(o.Link, r.Link)
	}
	r.Last = max(r.Last, o.Last)
}

// uniteTexts are the first few texts of both.
func uniteTexts(mine, theirs []string) []string {
	for _, t := range theirs {
		if len(mine) < maxTallies && !slices.Contains(mine, t) {
			mine = append(slices.Clip(mine), t)
		}
	}
	return mine
}

func uniteTallies(mine, theirs []Tally, of func(a, b int) int) []Tally {
	mine = slices.Clone(mine)
	for _, t := range theirs {
		if i := slices.IndexFunc(mine, func(m Tally) bool { return m.Text == t.Text }); i >= 0 {
			mine[i].N = of(mine[i].N, t.N)
		} else {
			mine = append(mine, t)
		}
	}
	slices.SortStableFunc(mine, func(a, b Tally) int { return cmp.Compare(b.N, a.N) })
	return mine[:min(len(mine), maxTallies)]
}

// JoinRows adds rows of the newest; one that is there already is there once.
func (d *Digest) JoinRows(rows []string) { d.Rows = newest(append(slices.Clip(d.Rows), rows...)) }

// newest sorts rows, which begin with their time, and keeps the newest.
func newest(rows []string) []string {
	slices.SortFunc(rows, func(a, b string) int { return cmp.Compare(b, a) })
	rows = slices.Compact(rows)
	return rows[:min(len(rows), MaxRows)]
}

// withoutPort is a source as it is counted: an attacker has many ports.
func withoutPort(s string) string {
	if at, err := netip.ParseAddrPort(s); err == nil {
		return at.Addr().String()
	}
	return s
}

// mostCell bounds a user or a source, in UTF-16 units.
const mostCell = 48

func cell(s string) string { return markdown.Cell(canon.Line(s, mostCell)) }

// tally counts something among the few that are counted, so that what is frequent stays: as Misra and Gries do, what
// finds no place makes room in time.
func tally(all []Tally, text string) []Tally {
	if text == "" {
		return all
	}
	if i := slices.IndexFunc(all, func(t Tally) bool { return t.Text == text }); i >= 0 {
		all[i].N++
	} else if len(all) < maxTallies {
		all = append(all, Tally{text, 1})
	} else if last := len(all) - 1; all[last].N <= 1 {
		all[last] = Tally{text, 1}
	} else {
		all[last].N--
	}
	slices.SortStableFunc(all, func(a, b Tally) int { return cmp.Compare(b.N, a.N) })
	return all
}

// earliest is the earlier of two times, of which 0 is none.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
