//go:build integration

package integration

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestVerdictSeesWhatIsLostDoubledAndStrange: a judge who sees nothing would pass every storm.
func TestVerdictSeesWhatIsLostDoubledAndStrange(t *testing.T) {
	one := effects{Severity: 2, Tags: []string{"native"}, Observables: []string{"ip 198.51.100.1"}, Procedures: []string{"T1105 command-and-control"}, Notes: []string{"r"}}
	with := func(change func(*effects)) effects {
		e := one
		change(&e)
		return e
	}
	type count struct{ Lost, Doubled, Strange int }
	for name, c := range map[string]struct {
		got  map[string][]effects
		want count
	}{
		"alike":                 {map[string][]effects{"k": {one}}, count{}},
		"no case":               {nil, count{Lost: 1}},
		"two cases":             {map[string][]effects{"k": {one, one}}, count{Doubled: 1}},
		"case of no detection":  {map[string][]effects{"k": {one}, "other": {one}}, count{Strange: 1}},
		"severity not raised":   {map[string][]effects{"k": {with(func(e *effects) { e.Severity = 1 })}}, count{Lost: 1}},
		"procedure lost":        {map[string][]effects{"k": {with(func(e *effects) { e.Procedures = nil })}}, count{Lost: 1}},
		"observable twice":      {map[string][]effects{"k": {with(func(e *effects) { e.Observables = []string{one.Observables[0], one.Observables[0]} })}}, count{Doubled: 1}},
		"note of another rule":  {map[string][]effects{"k": {with(func(e *effects) { e.Notes = []string{"s"} })}}, count{Lost: 1, Strange: 1}},
		"note twice":            {map[string][]effects{"k": {with(func(e *effects) { e.Notes = []string{"r", "r"} })}}, count{Doubled: 1}},
		"tag that nobody wrote": {map[string][]effects{"k": {with(func(e *effects) { e.Tags = []string{"native", "x"} })}}, count{Strange: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			v := judge(map[string]effects{"k": one}, c.got)
			if diff := cmp.Diff(c.want, count{v.lost, v.doubled, v.strange}); diff != "" {
				t.Error(diff)
			}
			if alike := c.want == (count{}); alike != (len(v.differences) == 0) {
				t.Errorf("differences %q", v.differences)
			}
		})
	}
}
