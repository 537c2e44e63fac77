package whatif

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"forager/cmd/worker/terminal"
	"forager/enrich/detection/canon"
)

// Report compares two sets of rules. The names of its JSON keys are a contract with scripts.
type Report struct {
	Messages int      `json:"messages"`
	Changed  int      `json:"changed"` // detections of which the two make something else
	Old      Counts   `json:"old"`
	New      Counts   `json:"new"`
	Changes  []Change `json:"changes"` // the most frequent first
}

// Change is what becomes of some detections instead.
type Change struct {
	Old        string `json:"old"`
	New        string `json:"new"`
	Detections int    `json:"detections"`
	First      uint64 `json:"first"` // sequence of the first message
}

// shownChanges are shown to people; scripts see all.
const shownChanges = 40

// Write writes a report for people.
func Write(to *terminal.Screen, r Report) error {
	t := terminal.NewTable(terminal.Column{Name: fmt.Sprintf("%d MESSAGES", r.Messages), Fold: true}, terminal.Column{Name: "OLD", Right: true},
		terminal.Column{Name: "NEW", Right: true}, terminal.Column{})
	row := func(name string, old, now int) {
		if old != 0 || now != 0 {
			t.Row(terminal.Plain.Of(canon.Line(name, 80)), terminal.Number(old), changed(old == now).Of(strconv.Itoa(now)), changed(old == now).Of(difference(old, now)))
		}
	}
	group := func(prefix string, old, now map[string]int) {
		for _, name := range names(old, now) {
			row(prefix+name, old[name], now[name])
		}
	}
	now := r.New.numbers()
	for i, old := range r.Old.numbers() {
		row(old.name, old.n, now[i].n)
		if old.name == "dropped" {
			group("dropped: ", r.Old.Reasons, r.New.Reasons)
		}
	}
	group("cases of severity ", r.Old.Severities, r.New.Severities)
	if owners := names(r.Old.Assignees, r.New.Assignees); len(owners) > 1 || len(owners) == 1 && owners[0] != "" {
		group("cases of assignee ", assigned(r.Old.Assignees), assigned(r.New.Assignees))
	}
	to.Table(t)
	writeRules(to, r)
	writeChanges(to, r)
	return to.Failed()
}

// changed stresses what is not as it was.
func changed(same bool) terminal.Meaning {
	if same {
		return terminal.Plain
	}
	return terminal.Heading
}

// writeRules writes what each rule makes of what it decides on: a column for each number that any has.
func writeRules(to *terminal.Screen, r Report) {
	rules := names(r.Old.Rules, r.New.Rules)
	if len(rules) == 0 {
		return
	}
	all := make([]pair, 0, len(rules))
	used := map[string]bool{}
	for _, name := range rules {
		p := pair{name: name, old: tallyOf(r.Old.Rules[name]), now: tallyOf(r.New.Rules[name])}
		for _, t := range []Tally{p.old, p.now} {
			for _, n := range t.numbers() {
				used[n.name] = used[n.name] || n.n != 0
			}
		}
		all = append(all, p)
	}
	columns := []terminal.Column{{Name: "RULE", Fold: true}}
	for _, n := range (Tally{}).numbers() {
		if used[n.name] {
			columns = append(columns, terminal.Column{Name: strings.ToUpper(n.name), Right: true})
		}
	}
	t := terminal.NewTable(append(columns, terminal.Column{Name: "SEVERITIES", Fold: true}, terminal.Column{Name: "ASSIGNEES", Fold: true})...)
	for _, p := range all {
		t.Row(p.cells(used)...)
	}
	to.Blank()
	to.Table(t)
}

// pair is one rule by both sides.
type pair struct {
	name     string
	old, now Tally
}

func tallyOf(t *Tally) Tally {
	if t == nil {
		return Tally{}
	}
	return *t
}

// cells are the row of a rule.
func (p pair) cells(used map[string]bool) []terminal.Span {
	cells := []terminal.Span{terminal.Plain.Of(canon.Line(p.name, 80))}
	now := p.now.numbers()
	for i, old := range p.old.numbers() {
		if used[old.name] {
			cells = append(cells, became(old.n, now[i].n))
		}
	}
	return append(cells, became(mix(p.old.Severities), mix(p.now.Severities)), became(mix(assigned(p.old.Assignees)), mix(assigned(p.now.Assignees))))
}

// became is what something was, and is.
func became[T comparable](old, now T) terminal.Span {
	if old == now {
		return terminal.Plain.Of(fmt.Sprint(now))
	}
	return terminal.Heading.Of(fmt.Sprint(old, " → ", now))
}

// mix is how many cases are of what.
func mix(counts map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if counts[name] != 0 {
			all = append(all, fmt.Sprintf("%d %s", counts[name], canon.Line(name, 40)))
		}
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, ", ")
}

// writeChanges writes what becomes of what instead.
func writeChanges(to *terminal.Screen, r Report) {
	to.Blank()
	if r.Changed == 0 {
		to.Line(0, terminal.Good.Of("nothing changes"), terminal.Plain.Of(" for any detection"))
		return
	}
	t := terminal.NewTable(terminal.Column{Name: "DETECTIONS", Right: true}, terminal.Column{Name: "FIRST", Right: true}, terminal.Column{Name: "OLD", Fold: true}, terminal.Column{Name: "NEW", Fold: true})
	for i, c := range r.Changes {
		if i == shownChanges {
			t.Row(terminal.Plain.Of("…"), terminal.Span{}, terminal.Plain.Of(fmt.Sprintf("%d more kinds of changes (--json shows all)", len(r.Changes)-i)))
			break
		}
		t.Row(terminal.Number(c.Detections), terminal.Number(c.First), terminal.Plain.Of(canon.Line(c.Old, 100)), terminal.Plain.Of(canon.Line(c.New, 100)))
	}
	to.Table(t)
}

// difference is how many more, or fewer.
func difference(old, now int) string {
	if old == now {
		return ""
	}
	return fmt.Sprintf("%+d", now-old)
}

// names are those of either side.
func names[T any](old, now map[string]T) []string {
	all := maps.Clone(old)
	maps.Copy(all, now)
	return slices.Sorted(maps.Keys(all))
}

// assigned names nobody.
func assigned(all map[string]int) map[string]int {
	named := maps.Clone(all)
	if n := named[""]; n > 0 {
		delete(named, "")
		named["(nobody)"] = n
	}
	return named
}
