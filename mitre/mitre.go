// Package mitre answers offline which ATT&CK technique a text means, in every
// release that it knows, and which technique a given server would know it as.
//
// Promise: nothing is lost silently. A text gives the techniques that it
// names, or a reason from a short list; a technique maps to an id that the
// target holds (the same, one of its lineage, or its parent), or to none with
// a note that says so. Where the target holds several of one lineage, the one
// that ATT&CK uses today wins, so that old and new spellings meet in one id.
//
// Limits: it reads ids, names, tactics and relations, no prose; of a text
// [MaxText] bytes are read, and it gives at most [MaxIDs] techniques; it belongs on fields known to hold techniques,
// not on whole documents. Nothing here does I/O or logs, and all values are
// immutable once made and safe for concurrent use.
//
//	catalogue := mitre.Embedded()
//	target := catalogue.For(mitre.KnownRelease("19.0"))
//	found := catalogue.Resolve("attack.t1562.001", mitre.Hint{})
//	for _, id := range found.IDs {
//		m := target.Map(id, "defense-evasion")
//		fmt.Println(m.ID, m.Tactic, m.Note) // T1685 defense-impairment T1562.001 reported, recorded as T1685 (ATT&CK 19.0)
//	}
//
// To ask whether a case already holds a technique, compare [Target.Key] of both:
// that stays right when the server is upgraded. [Catalogue.LineageKey] is the
// same question without a target, for marks that outlive one; it counts
// techniques as one that any release merged.
//
// The embedded catalogue holds facts of MITRE ATT&CK (Enterprise and Mobile
// 18.1 and 19.0, ICS 18.1); © The MITRE Corporation, reproduced and
// distributed with its permission.
package mitre

import (
	"iter"
	"slices"
	"strings"
)

// Domains of ATT&CK, as STIX bundles and Navigator layers write them.
const (
	Enterprise = "enterprise-attack"
	Mobile     = "mobile-attack"
	ICS        = "ics-attack"
)

// A Catalogue knows the techniques of several ATT&CK releases and how they
// follow from one another. Make one with [Embedded] and [Catalogue.With].
type Catalogue struct {
	releases []*release        // by domain in the order of domains, then by version, oldest first
	nodes    []*node           // by id
	byID     map[string]*node  // canonical id
	names    map[string]*named // folded name, of any release
	tactics  map[string]string // folded short name, name, alias or TA id → short name of the newest release
	taDomain map[string]string // TA id → domain
}

// A Release is one release of one domain that the catalogue holds.
type Release struct {
	Domain        string // [Enterprise], [Mobile], [ICS], or an operator's own
	Version       string // "19.0", the x_mitre_version of the bundle's collection
	Techniques    int    // active ones, without sub-techniques
	SubTechniques int    // active ones
	Revoked       int    // kept, since old rules still name them
	Deprecated    int    // kept; not counted when revoked too
}

// A Technique is what one release says of one technique: the newest that holds
// it, or the one that was asked for.
type Technique struct {
	ID         string   // "T1059" or "T1059.001"
	Name       string   // "PowerShell", without its parent's
	Domain     string   // as in [Release]
	Tactics    []string // short names in matrix order, for example "privilege-escalation"
	Parent     string   // id of the technique that this is a sub-technique of, or empty
	Release    string   // the release that says so, "19.0"
	Deprecated bool     // no longer maintained, usually without a successor
	Revoked    bool     // replaced, or withdrawn when RevokedBy is empty
	RevokedBy  string   // the id that MITRE put in its place, one step; see [Catalogue.LineageKey] for the end
}

// Releases lists what the catalogue holds: Enterprise, Mobile, ICS, then
// operators' own domains, each from the oldest release to the newest.
func (c *Catalogue) Releases() []Release {
	out := make([]Release, 0, len(c.releases))
	for _, r := range c.releases {
		out = append(out, r.count())
	}
	return out
}

// Technique tells what the newest release says of the technique with this id,
// which may be written in lower case. It reports false when no release of the
// catalogue holds the id.
func (c *Catalogue) Technique(id string) (Technique, bool) {
	n := c.find(id)
	if n == nil {
		return Technique{}, false
	}
	return n.states[0].technique(n.id), true
}

// Techniques gives all techniques of a release by id, revoked and deprecated
// ones too, as that release says: of every domain the newest version that is
// not newer than version ("19.0"); an empty version is the newest. Each ID
// comes once. It is what a server holds after an import of that release.
func (c *Catalogue) Techniques(version string) iter.Seq[Technique] {
	releases := c.upTo(version)
	return func(yield func(Technique) bool) {
		for _, n := range c.nodes {
			for _, s := range n.states {
				if releases[s.release.domain] != s.release {
					continue
				}
				if !yield(s.technique(n.id)) {
					return
				}
				break
			}
		}
	}
}

func (s stated) technique(id string) Technique {
	return Technique{
		ID: id, Name: s.name, Domain: s.release.domain, Tactics: slices.Clone(s.tactics), Parent: s.parent, Release: s.release.version,
		Deprecated: s.deprecated, Revoked: s.revoked, RevokedBy: s.successor,
	}
}

// LineageKey gives ids that are one technique across releases the same key:
// the id at the end of the chain of revocations, joined over all releases
// (T1089, T1562.001 and T1685 give "T1685"). Techniques that MITRE merged
// share a key, too. An id that no release holds is its own key.
func (c *Catalogue) LineageKey(id string) string {
	if n := c.find(id); n != nil {
		return n.order[0].id
	}
	return strings.ToUpper(strings.TrimSpace(id))
}

// SameLineage reports whether two ids are one technique across releases, or
// were merged into one.
func (c *Catalogue) SameLineage(a, b string) bool { return c.LineageKey(a) == c.LineageKey(b) }

// Lineage lists all ids that share the lineage of id, the current one first,
// the others by id. An id that no release holds is alone.
func (c *Catalogue) Lineage(id string) []string {
	key := c.LineageKey(id)
	out := []string{key}
	for _, n := range c.nodes {
		if n.id != key && n.order[0].id == key {
			out = append(out, n.id)
		}
	}
	return out
}

// find looks an id up as written, then in its canonical spelling.
func (c *Catalogue) find(id string) *node {
	if n := c.byID[id]; n != nil {
		return n
	}
	return c.byID[strings.ToUpper(strings.TrimSpace(id))]
}
