package servers

import (
	"fmt"

	"forager/hive/hivetest"
	"forager/mitre"
)

// Bounds of the numbers that ATT&CK gives.
const (
	firstTechnique = 1
	lastTechnique  = 1999
	mostSub        = 60
)

// Patterns are the techniques that a simulated server holds: all that are active in their
// newest release, as after an import of that release.
func Patterns(c *mitre.Catalogue) []hivetest.Pattern {
	var all []hivetest.Pattern
	for n := firstTechnique; n <= lastTechnique; n++ {
		id := fmt.Sprintf("T%04d", n)
		if !add(&all, c, id) {
			continue
		}
		for sub := 1; sub <= mostSub; sub++ {
			add(&all, c, fmt.Sprintf("%s.%03d", id, sub))
		}
	}
	return all
}

// add adds a technique when the catalogue knows it, and tells whether it does.
func add(all *[]hivetest.Pattern, c *mitre.Catalogue, id string) bool {
	t, ok := c.Technique(id)
	if ok && !t.Revoked {
		*all = append(*all, hivetest.Pattern{ID: t.ID, Name: t.Name, Tactics: t.Tactics})
	}
	return ok
}
