package mitre

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Reasons why [Catalogue.With] refuses a bundle.
var (
	ErrNotBundle    = errors.New("not a STIX bundle")
	ErrNoRelease    = errors.New("no x-mitre-collection object with an x_mitre_version such as \"19.0\": the bundle does not say which release it is")
	ErrNoTechniques = errors.New("no attack-pattern with an ATT&CK id")
)

// A BundleError says which of the bundles given to [Catalogue.With] was
// refused, and why.
type BundleError struct {
	Index int // place among the arguments, from 0
	Err   error
}

func (e *BundleError) Error() string {
	return fmt.Sprintf("read ATT&CK bundle %d: %v", e.Index+1, e.Err)
}

// Unwrap gives the reason.
func (e *BundleError) Unwrap() error { return e.Err }

// With gives a catalogue that holds the releases of these STIX 2.0 or 2.1
// bundles too; one of the same domain and version replaces what was there.
// MITRE's STIX 2.1 files are accepted as they are; for those in 2.0 see
// [Catalogue.WithRelease]. When a bundle is refused, the error is a
// *[BundleError] and the catalogue returned is the receiver.
func (c *Catalogue) With(bundles ...[]byte) (*Catalogue, error) { return c.with("", bundles) }

// WithRelease is [Catalogue.With] for one bundle that may not say which
// release it is, as MITRE's STIX 2.0 files do not (mitre/cti, which has no
// collections): then it is this version, "17.1".
func (c *Catalogue) WithRelease(version string, bundle []byte) (*Catalogue, error) {
	return c.with(version, [][]byte{bundle})
}

func (c *Catalogue) with(version string, bundles [][]byte) (*Catalogue, error) {
	releases := slices.Clone(c.releases)
	for i, b := range bundles {
		added, err := readBundle(b, version)
		if err != nil {
			return c, &BundleError{Index: i, Err: err}
		}
		for _, a := range added {
			releases = slices.DeleteFunc(releases, func(r *release) bool { return compareReleases(r, a) == 0 })
			releases = append(releases, a)
		}
	}
	return build(releases), nil
}

// A stixObject holds the fields of the few kinds of object that matter.
type stixObject struct {
	Type       string `json:"type"`
	ID         string `json:"id"`
	Name       string `json:"name"`
	Revoked    bool   `json:"revoked"`
	Deprecated bool   `json:"x_mitre_deprecated"`
	References []struct {
		Source string `json:"source_name"`
		ID     string `json:"external_id"`
	} `json:"external_references"`
	Phases []struct {
		Chain string `json:"kill_chain_name"`
		Phase string `json:"phase_name"`
	} `json:"kill_chain_phases"`
	Domains   []string `json:"x_mitre_domains"`
	Short     string   `json:"x_mitre_shortname"`
	Version   string   `json:"x_mitre_version"`
	TacticIDs []string `json:"tactic_refs"`
	Relation  string   `json:"relationship_type"`
	From      string   `json:"source_ref"`
	To        string   `json:"target_ref"`
}

// attackID is the object's id in ATT&CK: the sources are called mitre-attack,
// mitre-mobile-attack, mitre-ics-attack; CAPEC and others are not asked.
func (o *stixObject) attackID() string {
	for _, r := range o.References {
		if strings.HasPrefix(r.Source, "mitre-") || strings.HasSuffix(r.Source, "-mitre-attack") {
			return r.ID
		}
	}
	return ""
}

// A reading is a bundle on its way to releases.
type reading struct {
	objects  []stixObject
	byRef    map[string]*stixObject // STIX id → attack-pattern or tactic
	domain   string                 // the bundle's own, for objects that do not say theirs
	version  string
	releases map[string]*release // by domain
}

// readBundle gives the releases that a bundle holds, one for each domain.
// version counts when the bundle says none.
func readBundle(data []byte, version string) ([]*release, error) {
	var bundle struct {
		Type    string       `json:"type"`
		Objects []stixObject `json:"objects"`
	}
	if err := json.Unmarshal(data, &bundle); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotBundle, err)
	}
	if bundle.Type != "bundle" {
		return nil, fmt.Errorf("%w: its type is %.40q", ErrNotBundle, bundle.Type)
	}
	r := &reading{objects: bundle.Objects, byRef: map[string]*stixObject{}, releases: map[string]*release{}}
	if err := r.identify(version); err != nil {
		return nil, err
	}
	r.patterns()
	if len(r.releases) == 0 {
		return nil, ErrNoTechniques
	}
	r.relations()
	out := make([]*release, 0, len(r.releases))
	for _, rel := range r.releases {
		r.matrix(rel)
		for id, s := range rel.techniques {
			s.tactics = rel.matrixOrder(s.tactics)
			s.parent = cmp.Or(s.parent, parentOf(id))
		}
		out = append(out, rel)
	}
	return out, nil
}

// identify finds the version, the bundle's domain, and who is who.
func (r *reading) identify(version string) error {
	for i := range r.objects {
		o := &r.objects[i]
		switch o.Type {
		case "x-mitre-collection":
			r.version = cmp.Or(r.version, o.Version)
			r.domain = cmp.Or(r.domain, domainNamed(o.Name), domainNamed(o.ID))
		case "x-mitre-matrix":
			r.domain = cmp.Or(r.domain, domainNamed(o.attackID()))
			r.byRef[o.ID] = o
		case "attack-pattern", "x-mitre-tactic":
			r.byRef[o.ID] = o
		}
	}
	r.domain = cmp.Or(r.domain, Enterprise)
	if r.version = cmp.Or(r.version, version); r.version == "" {
		return ErrNoRelease
	}
	if !validVersion(r.version) {
		return fmt.Errorf("%w (it says %.40q)", ErrNoRelease, r.version)
	}
	return nil
}

// domainNamed recognises a domain in a name or id, "" without one.
func domainNamed(s string) string {
	s = strings.ToLower(s)
	switch {
	case strings.Contains(s, "mobile"):
		return Mobile
	case strings.Contains(s, "ics-attack"), strings.Contains(s, "ics att"), strings.Contains(s, "for ics"):
		return ICS
	case strings.Contains(s, "enterprise"):
		return Enterprise
	}
	return ""
}

// domainOf decides where a technique or tactic belongs.
func (r *reading) domainOf(o *stixObject) string {
	for _, p := range o.Phases {
		switch p.Chain {
		case "mitre-attack":
			return Enterprise
		case "mitre-mobile-attack":
			return Mobile
		case "mitre-ics-attack":
			return ICS
		}
	}
	if len(o.Domains) > 0 && !slices.Contains(o.Domains, r.domain) {
		return o.Domains[0]
	}
	return r.domain
}

// patterns makes a state of each technique. Where two objects claim one id,
// the one in use wins.
func (r *reading) patterns() {
	for i := range r.objects {
		o := &r.objects[i]
		id := o.attackID()
		if o.Type != "attack-pattern" || !validID(id) {
			continue
		}
		s := &state{name: cleanName(o.Name), revoked: o.Revoked, deprecated: o.Deprecated}
		for _, p := range o.Phases {
			s.tactics = append(s.tactics, p.Phase)
		}
		rel := r.release(r.domainOf(o))
		if old := rel.techniques[id]; old == nil || s.active() || old.revoked && !s.revoked {
			rel.techniques[id] = s
		}
	}
}

// cleanName makes a name fit for one line of text.
func cleanName(s string) string { return strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ") }

func (r *reading) release(domain string) *release {
	if r.releases[domain] == nil {
		r.releases[domain] = &release{domain: domain, version: r.version, techniques: map[string]*state{}}
	}
	return r.releases[domain]
}

// relations reads who replaces whom and who is whose sub-technique. What
// points nowhere, or is itself withdrawn, says nothing.
func (r *reading) relations() {
	for i := range r.objects {
		o := &r.objects[i]
		from, to := r.byRef[o.From], r.byRef[o.To]
		if o.Type != "relationship" || o.Revoked || o.Deprecated || from == nil || to == nil {
			continue
		}
		id, other := from.attackID(), to.attackID()
		rel := r.releases[r.domainOf(from)]
		if rel == nil || rel.techniques[id] == nil || !validID(other) || id == other {
			continue
		}
		switch s := rel.techniques[id]; {
		case o.Relation == "revoked-by" && s.revoked:
			s.successor = other
		case o.Relation == "subtechnique-of":
			s.parent = other
		}
	}
}

// matrix puts the release's tactics into order: those of the largest matrix
// first, since Mobile once had a small second one in front.
func (r *reading) matrix(rel *release) {
	var matrices []*stixObject
	for i := range r.objects {
		if o := &r.objects[i]; o.Type == "x-mitre-matrix" {
			matrices = append(matrices, o)
		}
	}
	slices.SortStableFunc(matrices, func(a, b *stixObject) int { return cmp.Compare(len(b.TacticIDs), len(a.TacticIDs)) })
	var refs []string
	for _, m := range matrices {
		refs = append(refs, m.TacticIDs...)
	}
	for i := range r.objects { // those that no matrix shows
		if r.objects[i].Type == "x-mitre-tactic" {
			refs = append(refs, r.objects[i].ID)
		}
	}
	for _, ref := range refs {
		o := r.byRef[ref]
		if o == nil || o.Type != "x-mitre-tactic" || o.Short == "" || r.domainOf(o) != rel.domain || rel.rank(o.Short) < len(rel.tactics) {
			continue
		}
		rel.tactics = append(rel.tactics, tactic{id: o.attackID(), name: cleanName(o.Name), short: o.Short})
	}
}
