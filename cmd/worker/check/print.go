package check

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

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
func Print(w io.Writer, found []inspect.Finding) error {
	var b strings.Builder
	for _, about := range abouts(found) {
		b.WriteString("\n" + about + "\n")
		for _, f := range found {
			if f.About != about {
				continue
			}
			b.WriteString("  " + pad(string(f.Level)) + f.What + "\n")
			for _, more := range []struct{ mark, text string }{{"", f.Why}, {"do: ", f.Remedy}} {
				if more.text != "" {
					b.WriteString("  " + pad("") + more.mark + more.text + "\n")
				}
			}
		}
	}
	b.WriteString("\n" + verdict(found) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// pad makes the column of levels.
func pad(s string) string { return s + strings.Repeat(" ", len("broken  ")-len(s)) }

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

// verdict is the last line.
func verdict(found []inspect.Finding) string {
	n := map[inspect.Level]int{}
	for _, f := range found {
		n[f.Level]++
	}
	counts := fmt.Sprintf("broken: %d, hurts: %d, notes: %d", n[inspect.LevelBroken], n[inspect.LevelHurts], n[inspect.LevelNote])
	if n[inspect.LevelBroken] > 0 {
		return counts // ErrNotWorking says the rest
	}
	return "the worker would work; " + counts
}
