//go:build integration

package integration

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// effects are what a case must hold: sets, written as sorted lists so that what is there twice shows.
type effects struct {
	Severity    int
	Tags        []string // but the key's own
	Observables []string // "type value"
	Procedures  []string // "technique tactic"
	Notes       []string // rules, in the description or a comment
}

// lists are the sets.
func (e *effects) lists() map[string]*[]string {
	return map[string]*[]string{"tags": &e.Tags, "observables": &e.Observables, "procedures": &e.Procedures, "notes": &e.Notes}
}

func (e *effects) sort() {
	for _, list := range e.lists() {
		slices.Sort(*list)
	}
}

// add makes the union of two sets of effects.
func (e *effects) add(other effects) {
	e.Severity = max(e.Severity, other.Severity)
	theirs := other.lists()
	for name, list := range e.lists() {
		*list = append(*list, *theirs[name]...)
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
}

// verdict compares what TheHive holds with what follows from the detections.
type verdict struct {
	lost, doubled, strange int      // effects: missing, there more than once, asked for by no detection
	differences            []string // the first of them
}

// mostDifferences is how many cases are shown that are not as they must be.
const mostDifferences = 5

// judge compares, case by case.
func judge(want map[string]effects, got map[string][]effects) verdict {
	var v verdict
	for _, tag := range slices.Sorted(maps.Keys(want)) {
		found := got[tag]
		switch len(found) {
		case 0:
			v.lost++
			v.note("%s: no case", tag)
			continue
		case 1:
		default:
			v.doubled += len(found) - 1
			v.note("%s: %d cases", tag, len(found))
		}
		v.compare(tag, want[tag], found[0])
	}
	for tag := range got {
		if _, wanted := want[tag]; !wanted {
			v.strange++
			v.note("%s: a case that no detection asked for", tag)
		}
	}
	return v
}

// compare counts the differences of one case.
func (v *verdict) compare(tag string, want, got effects) {
	if want.Severity != got.Severity {
		v.lost++
	}
	have := got.lists()
	for name, list := range want.lists() {
		times := map[string]int{}
		for _, item := range *have[name] {
			times[item]++
		}
		for _, item := range *list {
			if times[item] == 0 {
				v.lost++
			}
			v.doubled += max(0, times[item]-1)
			delete(times, item)
		}
		v.strange += len(times)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		v.note("%s (-want +got):\n%s", tag, diff)
	}
}

func (v *verdict) note(format string, args ...any) {
	if len(v.differences) < mostDifferences {
		v.differences = append(v.differences, fmt.Sprintf(format, args...))
	}
}

// report fails the test on any difference.
func (v *verdict) report(t *testing.T) {
	t.Helper()
	if v.lost+v.doubled+v.strange > 0 {
		t.Errorf("%d effects lost, %d doubled, %d that nothing asked for", v.lost, v.doubled, v.strange)
	}
	for _, d := range v.differences {
		t.Error(d)
	}
}
