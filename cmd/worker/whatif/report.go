package whatif

import (
	"fmt"
	"io"
	"maps"
	"slices"
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
	row("detections", r.Old.Detections, r.New.Detections)
	row("cases opened", r.Old.Opened, r.New.Opened)
	row("merged into a case", r.Old.Merged, r.New.Merged)
	row("alerts", r.Old.Alerts, r.New.Alerts)
	row("dropped", r.Old.Dropped, r.New.Dropped)
	group("dropped: ", r.Old.Reasons, r.New.Reasons)
	row("dead letters", r.Old.Dead, r.New.Dead)
	group("cases of severity ", r.Old.Severities, r.New.Severities)
	if owners := names(r.Old.Assignees, r.New.Assignees); len(owners) > 1 || len(owners) == 1 && owners[0] != "" {
		group("cases of assignee ", assigned(r.Old.Assignees), assigned(r.New.Assignees))
	}
	group("by ", r.Old.Rules, r.New.Rules)
	group("cases opened by ", r.Old.Opens, r.New.Opens)
	if err := t.Flush(); err != nil {
		return fmt.Errorf("whatif: %w", err)
	}
	return writeChanges(to, r)
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
func names(old, now map[string]int) []string {
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
