package workertest

import (
	"slices"
	"strings"

	"forager/hive/hivetest"
)

// Sent is a detection that was sent, and what it must leave in TheHive.
type Sent struct {
	Sequence  uint64
	ID, Host  string
	Value     string // its observable
	Technique string
	Refused   bool // a box refuses something of it for ever
}

// IsIn tells whether a case holds all of a detection.
func (d Sent) IsIn(c hivetest.Case) bool {
	return strings.Contains(c.Description, d.Host) &&
		slices.ContainsFunc(c.Observables, func(o hivetest.Observable) bool { return o.Data == d.Value }) &&
		slices.ContainsFunc(c.Procedures, func(p hivetest.Procedure) bool { return p.PatternID == d.Technique })
}
