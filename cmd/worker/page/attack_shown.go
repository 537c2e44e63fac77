package page

import "time"

// Matrix is what was recorded of ATT&CK, by tactic.
type Matrix struct {
	Domain  string
	Release string
	Choices []Choice
	Tactics []Tactic
	Total   int       // procedures that are in it
	Beside  int       // procedures of other domains, or that the release does not hold
	Counted time.Time // zero: not counted yet
	Whole   bool      // all procedures were counted
	Trouble string    // why they could not be counted; empty: they were
}

// Choice is a domain in a release that may be chosen.
type Choice struct{ Domain, Release string }

// Tactic is a column of the matrix.
type Tactic struct {
	ID, Name   string
	Techniques []Technique
}

// Technique is a cell, with its sub-techniques.
type Technique struct {
	ID, Name string
	Count    int // procedures of the technique itself
	Subs     []Technique
}

// all is the technique's count with that of its sub-techniques.
func (t Technique) all() int {
	n := t.Count
	for _, s := range t.Subs {
		n += s.Count
	}
	return n
}
