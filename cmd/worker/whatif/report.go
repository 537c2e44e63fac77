package whatif

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

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
func Write(to io.Writer, r Report) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%d MESSAGES\t%8s\t%8s\n", r.Messages, "OLD", "NEW")
	row := func(name string, old, now int) {
		if old != 0 || now != 0 {
			fmt.Fprintf(t, "%s\t%8d\t%8d%s\n", canon.Line(name, 80), old, now, difference(old, now))
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
	if err := t.Flush(); err != nil {
		return fmt.Errorf("whatif: %w", err)
	}
	if err := writeRules(to, r); err != nil {
		return err
	}
	return writeChanges(to, r)
}

// writeRules writes what each rule makes of what it decides on: a column for each number that any has.
func writeRules(to io.Writer, r Report) error {
	rules := names(r.Old.Rules, r.New.Rules)
	if len(rules) == 0 {
		return nil
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
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\nRULE")
	for _, n := range (Tally{}).numbers() {
		if used[n.name] {
			fmt.Fprint(t, "\t", strings.ToUpper(n.name))
		}
	}
	fmt.Fprint(t, "\tSEVERITIES\tASSIGNEES\n")
	for _, p := range all {
		fmt.Fprintln(t, strings.Join(p.cells(used), "\t"))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("whatif: %w", err)
	}
	return nil
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
func (p pair) cells(used map[string]bool) []string {
	cells := []string{canon.Line(p.name, 80)}
	now := p.now.numbers()
	for i, old := range p.old.numbers() {
		if used[old.name] {
			cells = append(cells, became(old.n, now[i].n))
		}
	}
	return append(cells, became(mix(p.old.Severities), mix(p.now.Severities)), became(mix(assigned(p.old.Assignees)), mix(assigned(p.now.Assignees))))
}

// became is what something was, and is.
func became[T comparable](old, now T) string {
	if old == now {
		return fmt.Sprint(now)
	}
	return fmt.Sprint(old, " → ", now)
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
func writeChanges(to io.Writer, r Report) error {
	if r.Changed == 0 {
		_, err := fmt.Fprintln(to, "\nnothing changes for any detection")
		return err
	}
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nDETECTIONS\tFIRST\tOLD\tNEW\n")
	for i, c := range r.Changes {
		if i == shownChanges {
			fmt.Fprintf(t, "…\t\t%d more kinds of changes (--json shows all)\n", len(r.Changes)-i)
			break
		}
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\n", c.Detections, c.First, canon.Line(c.Old, 100), canon.Line(c.New, 100))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("whatif: %w", err)
	}
	return nil
}

// difference is how many more, or fewer.
func difference(old, now int) string {
	if old == now {
		return ""
	}
	return fmt.Sprintf("  %+d", now-old)
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
