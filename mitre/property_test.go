package mitre

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// object is a STIX object as a test writes it.
type object map[string]any

// bundle writes a bundle of one release with these objects.
func bundle(version string, objects ...object) []byte {
	all := []object{{"type": "x-mitre-collection", "id": "x-mitre-collection--1", "name": "Enterprise ATT&CK", "x_mitre_version": version}}
	b, err := json.Marshal(object{"type": "bundle", "id": "bundle--1", "spec_version": "2.0", "objects": append(all, objects...)})
	if err != nil {
		panic(err)
	}
	return b
}

func pattern(id, name string, more object) object {
	o := object{
		"type": "attack-pattern", "id": "attack-pattern--" + id, "name": name,
		"external_references": []object{{"source_name": "capec", "external_id": "CAPEC-1"}, {"source_name": "mitre-attack", "external_id": id}},
		"kill_chain_phases":   []object{{"kill_chain_name": "mitre-attack", "phase_name": "execution"}},
	}
	maps.Copy(o, more)
	return o
}

func relation(kind, from, to string) object {
	return object{
		"type": "relationship", "id": "relationship--" + kind + from + to, "relationship_type": kind,
		"source_ref": "attack-pattern--" + from, "target_ref": "attack-pattern--" + to,
	}
}

// anyID draws from few ids, so that they meet.
var anyID = rapid.Custom(func(t *rapid.T) string {
	id := fmt.Sprintf("T900%d", rapid.IntRange(0, 7).Draw(t, "n"))
	if rapid.Bool().Draw(t, "sub") {
		id += fmt.Sprintf(".00%d", rapid.IntRange(1, 2).Draw(t, "m"))
	}
	return id
})

// anyCatalogue has up to three releases whose techniques revoke one another
// at random, in cycles too.
var anyCatalogue = rapid.Custom(func(t *rapid.T) *Catalogue {
	var bundles [][]byte
	for i := range rapid.IntRange(1, 3).Draw(t, "releases") {
		objects := []object{pattern("T9100", "always there", nil)}
		for _, id := range rapid.SliceOfDistinct(anyID, rapid.ID).Draw(t, "ids") {
			objects = append(objects, pattern(id, rapid.SampledFrom([]string{"A", "B", "C", id}).Draw(t, "name"), object{
				"revoked":            rapid.Bool().Draw(t, "revoked"),
				"x_mitre_deprecated": rapid.Bool().Draw(t, "deprecated"),
			}))
			if rapid.Bool().Draw(t, "replaced") {
				objects = append(objects, relation("revoked-by", id, anyID.Draw(t, "by")))
			}
			if rapid.IntRange(0, 4).Draw(t, "child") == 0 {
				objects = append(objects, relation("subtechnique-of", id, anyID.Draw(t, "of")))
			}
		}
		bundles = append(bundles, bundle(fmt.Sprintf("%d.0", 20+i), objects...))
	}
	c, err := new(Catalogue).With(bundles...)
	if err != nil {
		t.Fatal(err)
	}
	return c
})

func TestMapGivesWhatTheTargetHoldsOrNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.OneOf(anyCatalogue, rapid.Just(Embedded())).Draw(t, "catalogue")
		id := rapid.OneOf(anyID, rapid.SampledFrom(whole(c, c.releases[len(c.releases)-1].version)))
		held := rapid.SliceOf(id).Draw(t, "held")
		target := c.For(KnownIDs(held))
		for _, from := range append(rapid.SliceOfN(id, 1, 20).Draw(t, "from"), held...) {
			checkMapping(t, c, target, held, from)
		}
	})
}

func checkMapping(t *rapid.T, c *Catalogue, target *Target, held []string, from string) {
	m := target.Map(from, "execution")
	if m.Kind == KindNone {
		if m.ID != "" || m.Note == "" || slices.Contains(held, from) {
			t.Fatalf("%s gives nothing, without a word or although held: %+v", from, m)
		}
		return
	}
	if !slices.Contains(held, m.ID) {
		t.Fatalf("%s gives %s, which is not held: %v", from, m.ID, held)
	}
	if again := target.Map(m.ID, m.Tactic); again.ID != m.ID || again.Kind != KindSame || again.Tactic != m.Tactic {
		t.Fatalf("%s gives %s/%s, which gives %s/%s (%v)", from, m.ID, m.Tactic, again.ID, again.Tactic, again.Kind)
	}
	if (m.Kind == KindSame) != (m.ID == from) || m.Kind != KindSame && m.Note == "" {
		t.Fatalf("%s gives %+v: wrong kind, or no note", from, m)
	}
	if n := c.byID[m.ID]; n != nil && m.Tactic != "" && !slices.ContainsFunc(n.states, func(s stated) bool { return slices.Contains(s.tactics, m.Tactic) }) {
		t.Fatalf("%s gives %s with tactic %q, which is none of its own", from, m.ID, m.Tactic)
	}
}

func TestTheKeyOfALineageIsItsOwnKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCatalogue.Draw(t, "catalogue")
		for _, n := range c.nodes {
			key := c.LineageKey(n.id)
			if again := c.LineageKey(key); again != key {
				t.Fatalf("%s has key %s, which has key %s", n.id, key, again)
			}
			if !slices.Contains(c.Lineage(n.id), n.id) {
				t.Fatalf("%s is not in its own lineage %v", n.id, c.Lineage(n.id))
			}
		}
	})
}

func TestOnlyWhatHasNoCounterpartIsLostBetweenReleases(t *testing.T) {
	c := Embedded()
	lost := map[string][]string{
		"18.1": {"T1454", "T1682", "T1683", "T1683.001", "T1683.002", "T1684", "T1687"}, // one withdrawn, the others new in 19.0
		"19.0": {"T1454"},
	}
	for release, want := range lost {
		target := c.For(KnownRelease(release))
		var got []string
		for _, n := range c.nodes {
			m := target.Map(n.id, "")
			if m.Kind == KindNone {
				got = append(got, n.id)
			}
			if m.Kind != KindNone && m.Tactic == "" {
				t.Errorf("%s maps to %s of %s without a tactic", n.id, m.ID, release)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("lost in %s: %v, want %v", release, got, want)
		}
	}
}

func TestResolvingAResultGivesItself(t *testing.T) {
	c := Embedded()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{"attack.", "T1059", "t1562.001", "T1234", "PowerShell", "Local Account", "CST0023", ",", ";", "/", "\\", "(", ")", "[", `"`, "=", "technique_id=", "__", " ", "¦", ":", "AML.", "TA0005"}),
			rapid.String(),
		), 0, 12).Draw(t, "parts")
		var ref strings.Builder
		for _, p := range parts {
			ref.WriteString(p)
		}
		checkResolution(t, c, ref.String(), Hint{Tactic: rapid.String().Draw(t, "tactic"), Parent: rapid.SampledFrom([]string{"", "T1136", "x"}).Draw(t, "parent")})
	})
}

// checkResolution holds a resolution against what is promised of every one.
func checkResolution(t interface {
	Helper()
	Fatalf(string, ...any)
}, c *Catalogue, ref string, h Hint) {
	t.Helper()
	got := c.Resolve(ref, h)
	if (len(got.IDs) == 0) != (got.Reason != ReasonNone) {
		t.Fatalf("%q: %d techniques and reason %q", ref, len(got.IDs), got.Reason)
	}
	if got.Reason != ReasonNone && got.Reason.rank() == 0 || len(got.IDs) > MaxIDs || len(got.Unknown) > MaxIDs || len(got.Note) > 700 {
		t.Fatalf("%q: beyond its bounds: %+v", ref, got)
	}
	for i, id := range got.IDs {
		if again := c.Resolve(id, Hint{}); len(again.IDs) != 1 || again.IDs[0] != id || slices.Index(got.IDs, id) != i {
			t.Fatalf("%q: gives %v, and %s gives %v", ref, got.IDs, id, again.IDs)
		}
	}
	for _, tactic := range got.Tactics {
		if short, ok := c.Tactic(tactic); !ok || short != tactic {
			t.Fatalf("%q: tactic %q is %q", ref, tactic, short)
		}
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{"T1059", "attack.t1059.001, attack.stealth", `["Phishing (T1566)"]`, "technique_id=T1047,technique_name=x", "/atomics/T1055/", "Local Account", "A: B", "T1059¦S0039", "\xff\xa6T1059", "AML.T0051"} {
		f.Add(s, "initial-access", "T1136")
	}
	c := Embedded()
	target := c.For(KnownRelease("18.1"))
	f.Fuzz(func(t *testing.T, ref, tactic, parent string) {
		checkResolution(t, c, ref, Hint{Tactic: tactic, Parent: parent})
		c.Tactic(ref)
		target.Map(ref, tactic)
	})
}
