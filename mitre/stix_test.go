package mitre

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWithRefusesABrokenBundleAndKeepsWhatItHas(t *testing.T) {
	one := pattern("T9001", "One", nil)
	tests := []struct {
		name, bundle string
		want         error
		says         string
	}{
		{"no JSON", "{", ErrNotBundle, "unexpected end"},
		{"empty", "", ErrNotBundle, "unexpected end"},
		{"an array", "[]", ErrNotBundle, "cannot unmarshal array"},
		{"cut off", string(bundle("20.0", one)[:200]), ErrNotBundle, "unexpected end"},
		{"another kind of document", `{"type":"report","objects":[]}`, ErrNotBundle, `its type is "report"`},
		{"objects that are none", `{"type":"bundle","objects":[1]}`, ErrNotBundle, "cannot unmarshal number"},
		{"no release", `{"type":"bundle","objects":[]}`, ErrNoRelease, "x-mitre-collection"},
		{"a strange release", string(bundle("latest", one)), ErrNoRelease, `it says "latest"`},
		{"no techniques", string(bundle("20.0")), ErrNoTechniques, "attack-pattern"},
		{"techniques of another framework", string(bundle("20.0", pattern("AML.T0051", "Prompt Injection", nil))), ErrNoTechniques, "attack-pattern"},
		{"nested without end", strings.Repeat(`{"objects":[`, 20_000), ErrNotBundle, "depth"},
	}
	c := Embedded()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := c.With(bundle("21.0", one), []byte(tt.bundle))
			refused, ok := errors.AsType[*BundleError](err)
			if !ok || refused.Index != 1 || !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v; want bundle 2 refused, saying %q", err, tt.says)
			}
			if got != c || len(c.Releases()) != 5 {
				t.Error("the catalogue changed")
			}
		})
	}
}

func TestWithAddsAndReplacesReleases(t *testing.T) {
	c, err := Embedded().With(
		bundle("19.2", pattern("T1059", "Interpreters", nil), pattern("T1700", "New", nil)),
		bundle("19.0", pattern("T1059", "Replaced", nil)),
	)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range c.Releases() {
		got = append(got, fmt.Sprintf("%s %s %d", r.Domain, r.Version, r.Techniques))
	}
	want := []string{"enterprise-attack 18.1 216", "enterprise-attack 19.0 1", "enterprise-attack 19.2 2", "mobile-attack 18.1 77", "mobile-attack 19.0 77", "ics-attack 18.1 83"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("releases (-want +got):\n%s", diff)
	}
	if m := c.For(KnownRelease("")).Map("T1700", ""); m.Kind != KindSame || m.Release != "19.2" {
		t.Errorf("T1700 in the newest: %+v", m)
	}
	for _, name := range []string{"Interpreters", "Replaced", "Command and Scripting Interpreter"} {
		if diff := cmp.Diff([]string{"T1059"}, c.Resolve(name, Hint{}).IDs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, known := Embedded().Technique("T1700"); known {
		t.Error("the embedded catalogue changed")
	}
}

func TestABundleThatDoesNotSayItsReleaseCanBeTold(t *testing.T) {
	silent := bundle("", pattern("T9001", "One", nil))
	if _, err := new(Catalogue).With(silent); !errors.Is(err, ErrNoRelease) {
		t.Errorf("without a word: %v, want %v", err, ErrNoRelease)
	}
	for told, b := range map[string][]byte{"17.1": silent, "20.0": bundle("20.0", pattern("T9001", "One", nil))} {
		c, err := new(Catalogue).WithRelease("17.1", b)
		if err != nil {
			t.Fatal(err)
		}
		if one, _ := c.Technique("T9001"); one.Release != told {
			t.Errorf("the release is %q, want %q", one.Release, told)
		}
	}
	if _, err := new(Catalogue).WithRelease("latest", silent); !errors.Is(err, ErrNoRelease) {
		t.Errorf("told nonsense: %v, want %v", err, ErrNoRelease)
	}
}

func TestOfficialBundlesAreReadAsTheyAre(t *testing.T) {
	noise := []object{
		{"type": "identity", "id": "identity--1", "name": "The MITRE Corporation"},
		{"type": "malware", "id": "malware--1", "name": "Zeus", "external_references": []object{{"source_name": "mitre-attack", "external_id": "S0001"}}},
		{"type": "relationship", "id": "relationship--1", "relationship_type": "uses", "source_ref": "malware--1", "target_ref": "attack-pattern--T9001"},
		{"type": "relationship", "id": "relationship--2", "relationship_type": "revoked-by", "source_ref": "attack-pattern--T9001", "target_ref": "attack-pattern--missing"},
		{"type": "x-mitre-tactic", "id": "x-mitre-tactic--b", "name": "Stealth", "x_mitre_shortname": "stealth", "external_references": []object{{"source_name": "mitre-attack", "external_id": "TA0005"}}},
		{"type": "x-mitre-tactic", "id": "x-mitre-tactic--a", "name": "Execution", "x_mitre_shortname": "execution", "external_references": []object{{"source_name": "mitre-attack", "external_id": "TA0002"}}},
		{"type": "x-mitre-matrix", "id": "x-mitre-matrix--0", "tactic_refs": []string{"x-mitre-tactic--b"}},
		{"type": "x-mitre-matrix", "id": "x-mitre-matrix--1", "tactic_refs": []string{"x-mitre-tactic--a", "x-mitre-tactic--b"}},
	}
	objects := append(noise,
		pattern("T9001", "Old", object{"revoked": true, "description": "prose", "x_mitre_domains": []string{"enterprise-attack"}}),
		pattern("T9002", "New\tname", object{"kill_chain_phases": []object{
			{"kill_chain_name": "mitre-attack", "phase_name": "stealth"}, {"kill_chain_name": "mitre-attack", "phase_name": "execution"}}}),
		pattern("T9003.001", "Child", nil),
		pattern("T9004", "Tap", object{"kill_chain_phases": []object{{"kill_chain_name": "mitre-mobile-attack", "phase_name": "collection"}}}),
		relation("revoked-by", "T9001", "T9002"),
	)
	c, err := new(Catalogue).With(bundle("20.0", objects...))
	if err != nil {
		t.Fatal(err)
	}
	want := []Technique{
		{ID: "T9001", Name: "Old", Domain: Enterprise, Tactics: []string{"execution"}, Release: "20.0", Revoked: true, RevokedBy: "T9002"},
		{ID: "T9002", Name: "New name", Domain: Enterprise, Tactics: []string{"execution", "stealth"}, Release: "20.0"},
		{ID: "T9003.001", Name: "Child", Domain: Enterprise, Tactics: []string{"execution"}, Parent: "T9003", Release: "20.0"},
		{ID: "T9004", Name: "Tap", Domain: Mobile, Tactics: []string{"collection"}, Release: "20.0"},
	}
	for _, w := range want {
		got, _ := c.Technique(w.ID)
		if diff := cmp.Diff(w, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", w.ID, diff)
		}
	}
}

func TestRevocationsInACircleEndSomewhere(t *testing.T) {
	gone := object{"revoked": true}
	c, err := new(Catalogue).With(bundle("20.0",
		pattern("T9001", "A", gone), pattern("T9002", "B", gone), pattern("T9003", "C", gone), pattern("T9004", "Free", nil),
		relation("revoked-by", "T9001", "T9002"), relation("revoked-by", "T9002", "T9003"), relation("revoked-by", "T9003", "T9001"),
	))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"T9003", "T9001", "T9002"}, c.Lineage("T9002")); diff != "" {
		t.Errorf("lineage (-want +got):\n%s", diff)
	}
	target := c.For(KnownIDs([]string{"T9001"}))
	for _, id := range []string{"T9001", "T9002", "T9003"} {
		if m := target.Map(id, ""); m.ID != "T9001" {
			t.Errorf("%s gives %+v, want T9001", id, m)
		}
	}
}

func TestARestoredTechniqueIsItself(t *testing.T) {
	c, err := new(Catalogue).With(
		bundle("20.0", pattern("T9001", "A", object{"revoked": true}), pattern("T9002", "B", nil), relation("revoked-by", "T9001", "T9002")),
		bundle("21.0", pattern("T9001", "A", nil), pattern("T9002", "B", object{"revoked": true}), relation("revoked-by", "T9002", "T9001")),
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.LineageKey("T9002"); got != "T9001" {
		t.Errorf("key %s, want T9001", got)
	}
	if m := c.For(KnownRelease("20.0")).Map("T9001", ""); m.ID != "T9002" {
		t.Errorf("T9001 in 20.0: %+v, want T9002", m)
	}
}

func TestReadTextRefusesWhatItCannotRead(t *testing.T) {
	head := "domain\tx\nrelease\t1.0\tTA0001\n"
	for _, tt := range []struct{ text, want string }{
		{"T1\tA\t1.0 -\n", "line 1: no domain yet"},
		{head + "T1\n", `line 3: "T1" has 2 fields`},
		{head + "T1\tA\t2.0 -\n", "line 3: T1: cell of no release, or out of order: \"2.0 -\""},
	} {
		if _, err := readText(tt.text); err == nil || err.Error() != tt.want {
			t.Errorf("%q: %v, want %s", tt.text, err, tt.want)
		}
	}
}

func TestATechniqueMayLeaveAndReturn(t *testing.T) {
	c, err := new(Catalogue).With(
		bundle("1.0", pattern("T9001", "A", nil), pattern("T9002", "B", nil)),
		bundle("2.0", pattern("T9001", "A", nil)),
		bundle("3.0", pattern("T9001", "A", nil), pattern("T9002", "B2", object{"x_mitre_deprecated": true})),
	)
	if err != nil {
		t.Fatal(err)
	}
	text := string(writeText(c))
	if want := "T9002\tB\t1.0 execution\t2.0 gone\t3.0 execution deprecated =B2\n"; !strings.Contains(text, want) {
		t.Errorf("no line %q in\n%s", want, text)
	}
	back, err := readText(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.releases, back, cmp.AllowUnexported(release{}, state{}, tactic{})); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func FuzzWith(f *testing.F) {
	f.Add(bundle("20.0", pattern("T9001", "A", object{"revoked": true}), pattern("T9001.001", "B", nil), relation("revoked-by", "T9001", "T9001.001")))
	f.Add(bundle("20", object{"type": "x-mitre-matrix", "id": "m", "tactic_refs": []string{"m", "t"}}, object{"type": "x-mitre-tactic", "id": "t"}, pattern("T9001", "A", nil)))
	f.Add([]byte(`{"type":"bundle","objects":[null]}`))
	empty := new(Catalogue)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := empty.With(data)
		if err != nil {
			if _, ok := errors.AsType[*BundleError](err); c != empty || !ok {
				t.Fatalf("refused with %v and another catalogue", err)
			}
			return
		}
		for _, r := range c.Releases() {
			if r.Techniques+r.SubTechniques+r.Revoked+r.Deprecated == 0 {
				t.Fatalf("an empty release: %+v", r)
			}
		}
		target := c.For(KnownRelease(""))
		for _, n := range c.nodes {
			if m := target.Map(n.id, ""); m.Kind != KindNone && target.Map(m.ID, "").ID != m.ID {
				t.Fatalf("%s maps to %s, which does not map to itself", n.id, m.ID)
			}
		}
	})
}
