// Package sightings counts procedures of TheHive by technique and tactic, for one domain of ATT&CK in one release.
//
// # Promise
//
// Ids and tactics of other releases count as what this release calls them, so that a server that was upgraded shows each
// technique once. What cannot be shown is counted, too.
//
// # Limits
//
// It is for one goroutine.
//
// # Errors
//
// None.
package sightings

import (
	"cmp"

	"forager/mitre"
)

// Sightings counts techniques for one domain in one release.
type Sightings struct {
	Counts    map[string]map[string]int // technique → tactic → number
	Elsewhere map[string]int            // techniques of other domains, by domain
	Unknown   map[string]int            // ids that the release does not hold in any form

	catalogue *mitre.Catalogue
	target    *mitre.Target
	domain    string
}

// New begins to count.
func New(c *mitre.Catalogue, release, domain string) *Sightings {
	return &Sightings{
		catalogue: c, target: c.For(mitre.KnownRelease(release)), domain: domain,
		Counts: map[string]map[string]int{}, Elsewhere: map[string]int{}, Unknown: map[string]int{},
	}
}

// Add counts n procedures of a pattern and a tactic.
func (s *Sightings) Add(pattern, tactic string, n int) {
	m := s.target.Map(pattern, tactic)
	if m.Kind == mitre.KindNone {
		s.Unknown[cmp.Or(pattern, "a pattern that was deleted")] += n
		return
	}
	if t, ok := s.catalogue.Technique(m.ID); ok && t.Domain != s.domain {
		s.Elsewhere[t.Domain] += n
		return
	}
	if s.Counts[m.ID] == nil {
		s.Counts[m.ID] = map[string]int{}
	}
	s.Counts[m.ID][m.Tactic] += n
}
