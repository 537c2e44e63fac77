package check

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"forager/cmd/worker/terminal"
	"forager/pipeline/inspect"
)

// Report is what "worker check --connect --json" prints. The names of its keys are a contract with scripts.
type Report struct {
	Works    bool              `json:"works"`
	Findings []inspect.Finding `json:"findings"`
	Conform  *Conformance      `json:"conform,omitempty"`
}

func (r Report) Write(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return out.Encode(r)
}

// Print writes findings for people: grouped, and below each that is not ok what to do.
func Print(to *terminal.Screen, found []inspect.Finding) error {
	for _, about := range abouts(found) {
		to.Blank()
		to.Line(0, terminal.Heading.Of(about))
		l := terminal.NewList(2)
		for _, f := range found {
			if f.About != about {
				continue
			}
			l.Row(meaning(f.Level).Of(pad(string(f.Level))), terminal.Plain.Of(f.What))
			for _, more := range []struct{ mark, text string }{{"", f.Why}, {"do: ", f.Remedy}} {
				if more.text != "" {
					l.Row(terminal.Plain.Of(pad("")), terminal.Heading.Of(more.mark), terminal.Plain.Of(more.text))
				}
			}
		}
		to.List(l)
	}
	to.Blank()
	verdict(to, found)
	return to.Failed()
}

// pad makes the column of levels, the same below each heading.
func pad(s string) string { return s + strings.Repeat(" ", len("broken")-len(s)) }

// meaning is that of a level.
func meaning(l inspect.Level) terminal.Meaning {
	switch l {
	case inspect.LevelOK:
		return terminal.Good
	case inspect.LevelHurts:
		return terminal.Warning
	case inspect.LevelBroken:
		return terminal.Bad
	default:
		return terminal.Plain
	}
}

// abouts are what findings are about, in the order in which they come.
func abouts(found []inspect.Finding) []string {
	var all []string
	for _, f := range found {
		if !slices.Contains(all, f.About) {
			all = append(all, f.About)
		}
	}
	return all
}

// verdict writes the last line.
func verdict(to *terminal.Screen, found []inspect.Finding) {
	n := map[inspect.Level]int{}
	for _, f := range found {
		n[f.Level]++
	}
	counts := fmt.Sprintf("broken: %d, hurts: %d, notes: %d", n[inspect.LevelBroken], n[inspect.LevelHurts], n[inspect.LevelNote])
	if n[inspect.LevelBroken] > 0 {
		to.Line(0, terminal.Bad.Of(counts)) // ErrNotWorking says the rest
		return
	}
	to.Line(0, terminal.Good.Of("the worker would work"), terminal.Plain.Of("; "+counts))
}
