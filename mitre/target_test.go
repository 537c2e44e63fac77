package mitre

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReleasesHaveThePublishedCounts(t *testing.T) {
	want := []Release{
		{Domain: Enterprise, Version: "18.1", Techniques: 216, SubTechniques: 475, Revoked: 132, Deprecated: 12},
		{Domain: Enterprise, Version: "19.0", Techniques: 222, SubTechniques: 475, Revoked: 149, Deprecated: 12},
		{Domain: Mobile, Version: "18.1", Techniques: 77, SubTechniques: 47, Revoked: 53, Deprecated: 13},
		{Domain: Mobile, Version: "19.0", Techniques: 77, SubTechniques: 47, Revoked: 53, Deprecated: 13},
		{Domain: ICS, Version: "18.1", Techniques: 83, Deprecated: 12},
	}
	if diff := cmp.Diff(want, Embedded().Releases()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTechniqueTellsTheNewestRelease(t *testing.T) {
	tests := []Technique{
		{ID: "T1059.001", Name: "PowerShell", Domain: Enterprise, Tactics: []string{"execution"}, Parent: "T1059", Release: "19.0"},
		{ID: "T1055.011", Name: "Extra Window Memory Injection", Domain: Enterprise, Tactics: []string{"privilege-escalation", "stealth"}, Parent: "T1055", Release: "19.0"},
		{ID: "T1562.001", Name: "Disable or Modify Tools", Domain: Enterprise, Tactics: []string{"stealth"}, Parent: "T1562", Release: "19.0", Revoked: true, RevokedBy: "T1685"},
		{ID: "T1454", Name: "Malicious SMS Message", Domain: Mobile, Tactics: []string{"collection"}, Release: "19.0", Revoked: true},
		{ID: "T0803", Name: "Block Command Message", Domain: ICS, Tactics: []string{"inhibit-response-function"}, Release: "18.1"},
	}
	for _, want := range tests {
		got, ok := Embedded().Technique(want.ID)
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%s: %v (-want +got):\n%s", want.ID, ok, diff)
		}
	}
	if _, ok := Embedded().Technique("T1234"); ok {
		t.Error("T1234 is held")
	}
}

func TestTechniquesAreThoseOfARelease(t *testing.T) {
	c := Embedded()
	for version, want := range map[string]int{"18.1": 835 + 190 + 95, "19.0": 858 + 190 + 95, "": 858 + 190 + 95, "18": 0} {
		n, last := 0, ""
		for one := range c.Techniques(version) {
			if one.ID <= last {
				t.Errorf("%s: %s after %s", version, one.ID, last)
			}
			if one.ID == "T1562.001" && one.Revoked != (version != "18.1") {
				t.Errorf("%s: T1562.001 revoked: %v", version, one.Revoked)
			}
			n, last = n+1, one.ID
		}
		if n != want {
			t.Errorf("%q has %d techniques, want %d", version, n, want)
		}
	}
	for range c.Techniques("") {
		break
	}
}

// revoked are the ids revoked long ago that alerts still carry, with what
// they became in 18.1 and in 19.0.
var revoked = map[string][2]string{
	"T1015": {"T1546.008", "T1546.008"}, "T1031": {"T1543.003", "T1543.003"}, "T1050": {"T1543.003", "T1543.003"},
	"T1035": {"T1569.002", "T1569.002"}, "T1073": {"T1574.001", "T1574.001"}, "T1076": {"T1021.001", "T1021.001"},
	"T1077": {"T1021.002", "T1021.002"}, "T1086": {"T1059.001", "T1059.001"}, "T1088": {"T1548.002", "T1548.002"},
	"T1099": {"T1070.006", "T1070.006"}, "T1107": {"T1070.004", "T1070.004"}, "T1130": {"T1553.004", "T1553.004"},
	"T1158": {"T1564.001", "T1564.001"}, "T1183": {"T1546.012", "T1546.012"}, "T1193": {"T1566.001", "T1566.001"},
	"T1089": {"T1562.001", "T1685"}, "T1054": {"T1562.006", "T1685"}, "T1148": {"T1562.003", "T1690"},
}

func TestMapFollowsRevocationsForward(t *testing.T) {
	for i, release := range []string{"18.1", "19.0"} {
		target := Embedded().For(KnownRelease(release))
		for id, to := range revoked {
			m := target.Map(id, "")
			if m.ID != to[i] || m.Kind != KindLineage || m.Release != release || m.Note != id+" reported, recorded as "+to[i]+" (ATT&CK "+release+")" {
				t.Errorf("%s in %s: %+v, want %s", id, release, m, to[i])
			}
		}
	}
}

func TestMapKnowsAnIdByWhatTheServerHolds(t *testing.T) {
	c := Embedded()
	tests := []struct {
		name   string
		known  Known
		id     string
		tactic string
		want   Mapping
	}{
		{"same", KnownRelease("19.0"), "T1059.001", "",
			Mapping{From: "T1059.001", ID: "T1059.001", Name: "PowerShell", Tactic: "execution", Kind: KindSame, Release: "19.0"}},
		{"lower case", KnownRelease("19"), "t1059.001", "Execution",
			Mapping{From: "T1059.001", ID: "T1059.001", Name: "PowerShell", Tactic: "execution", Said: true, Kind: KindSame, Release: "19.0"}},
		{"forward", KnownRelease("19.0"), "T1562.001", "defense-evasion",
			Mapping{From: "T1562.001", ID: "T1685", Name: "Disable or Modify Tools", Tactic: "defense-impairment", Said: true, Kind: KindLineage, Release: "19.0",
				Note: "T1562.001 reported, recorded as T1685 (ATT&CK 19.0)"}},
		{"backward", KnownRelease("18.1"), "T1685.005", "defense-impairment",
			Mapping{From: "T1685.005", ID: "T1070.001", Name: "Clear Windows Event Logs", Tactic: "defense-evasion", Said: true, Kind: KindLineage, Release: "18.1",
				Note: "T1685.005 reported, recorded as T1070.001 (ATT&CK 18.1)"}},
		{"backward, the same name of several", KnownRelease("18.1"), "T1685", "",
			Mapping{From: "T1685", ID: "T1562.001", Name: "Disable or Modify Tools", Tactic: "defense-evasion", Kind: KindLineage, Release: "18.1",
				Note: "T1685 reported, recorded as T1562.001 (ATT&CK 18.1)"}},
		{"backward, two steps", KnownIDs([]string{"T1089", "T1054"}), "T1685", "",
			Mapping{From: "T1685", ID: "T1089", Name: "Disabling Security Tools", Tactic: "stealth", Kind: KindLineage,
				Note: "T1685 reported, recorded as T1089"}},
		{"two releases imported: the newer id", KnownIDs([]string{"T1562.001", "T1685"}), "T1562.001", "",
			Mapping{From: "T1562.001", ID: "T1685", Name: "Disable or Modify Tools", Tactic: "defense-impairment", Kind: KindLineage, Release: "19.0",
				Note: "T1562.001 reported, recorded as T1685 (ATT&CK 19.0)"}},
		{"parent", KnownIDs([]string{"T1059"}), "T1059.001", "",
			Mapping{From: "T1059.001", ID: "T1059", Name: "Command and Scripting Interpreter", Tactic: "execution", Kind: KindParent, Release: "19.0",
				Note: "T1059.001 reported, recorded as its parent T1059 (ATT&CK 19.0)"}},
		{"parent of what it became", KnownIDs([]string{"T1059"}), "T1086", "",
			Mapping{From: "T1086", ID: "T1059", Name: "Command and Scripting Interpreter", Tactic: "execution", Kind: KindParent, Release: "19.0",
				Note: "T1086 reported, recorded as its parent T1059 (ATT&CK 19.0)"}},
		{"parent of what it was", KnownIDs([]string{"T1070"}), "T1685.005", "",
			Mapping{From: "T1685.005", ID: "T1070", Name: "Indicator Removal", Tactic: "stealth", Kind: KindParent, Release: "19.0",
				Note: "T1685.005 reported, recorded as its parent T1070 (ATT&CK 19.0)"}},
		{"parent of a later release's", KnownRelease("19.0"), "T1059.099", "",
			Mapping{From: "T1059.099", ID: "T1059", Name: "Command and Scripting Interpreter", Tactic: "execution", Kind: KindParent, Release: "19.0",
				Note: "T1059.099 reported, recorded as its parent T1059 (ATT&CK 19.0)"}},
		{"the server's own", KnownPatterns([]Pattern{{ID: "T1799", Name: "New", Tactics: []string{"Stealth"}}}), "T1799", "defense-evasion",
			Mapping{From: "T1799", ID: "T1799", Name: "New", Tactic: "stealth", Said: true, Kind: KindSame}},
		{"the server's tactics", KnownPatterns([]Pattern{{ID: "T1055.011", Tactics: []string{"defense-evasion", "privilege-escalation"}}}), "T1055.011", "stealth",
			Mapping{From: "T1055.011", ID: "T1055.011", Name: "Extra Window Memory Injection", Tactic: "defense-evasion", Said: true, Kind: KindSame, Release: "19.0"}},
		{"deprecated", KnownRelease("19.0"), "T1175", "",
			Mapping{From: "T1175", ID: "T1175", Name: "Component Object Model and Distributed COM", Tactic: "execution", Kind: KindSame, Release: "19.0",
				Note: "T1175 is deprecated (ATT&CK 19.0)"}},
		{"withdrawn", KnownRelease("19.0"), "T1454", "",
			Mapping{From: "T1454", Release: "19.0", Note: "T1454 reported, but neither it nor its lineage or parent is held (ATT&CK 19.0)"}},
		{"another domain", KnownIDs([]string{"T1059"}), "T0803", "",
			Mapping{From: "T0803", Note: "T0803 reported, but neither it nor its lineage or parent is held"}},
		{"no release so old", KnownRelease("3"), "T1059", "",
			Mapping{From: "T1059", Note: "T1059 reported, but neither it nor its lineage or parent is held"}},
		{"unknown", KnownRelease(""), "T1234", "",
			Mapping{From: "T1234", Note: "T1234 reported, known to no release here and not to the server"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, c.For(tt.known).Map(tt.id, tt.tactic)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMapTakesATacticOfTheTechniquesOwn(t *testing.T) {
	tests := []struct {
		release, id, said, want string
		taken                   bool
	}{
		{"19.0", "T1055.011", "", "privilege-escalation", false},
		{"19.0", "T1055.011", "Defense Evasion", "stealth", true},
		{"19.0", "T1055.011", "TA0005", "stealth", true},
		{"19.0", "T1055.011", "attack.privilege_escalation", "privilege-escalation", true},
		{"19.0", "T1055.011", "Persistence", "privilege-escalation", false},
		{"19.0", "T1055.011", "nonsense", "privilege-escalation", false},
		{"19.0", "T1055.011", "Persistence, Stealth", "stealth", true},
		{"19.0", "T1055.011", "TA0005;TA0004", "privilege-escalation", true},
		{"19.0", "T1685", "defense-evasion", "defense-impairment", true},
		{"18.1", "T1055.011", "Stealth", "defense-evasion", true},
		{"18.1", "T1055.011", "DefenseImpairment", "defense-evasion", true},
		{"18.1", "T0849", "Defense Evasion", "evasion", true},
		{"18.1", "T1617", "TA0030", "defense-evasion", true},
	}
	for _, tt := range tests {
		got := Embedded().For(KnownRelease(tt.release)).Map(tt.id, tt.said)
		if got.Tactic != tt.want || got.Said != tt.taken {
			t.Errorf("%s in %s, said %q: %q, %v; want %q, %v", tt.id, tt.release, tt.said, got.Tactic, got.Said, tt.want, tt.taken)
		}
	}
}

// whole lists all ids of a release, revoked ones too, as after an import of
// its bundle.
func whole(c *Catalogue, version string) []string {
	all := map[string]bool{}
	for _, r := range c.releases {
		if r.version == version {
			for id := range r.techniques {
				all[id] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func TestAServersListTellsItsRelease(t *testing.T) {
	c := Embedded()
	for _, tt := range []struct {
		name       string
		ids        []string
		want       string
		from, to   string
		tacticOf55 string
	}{
		{"18.1 imported", whole(c, "18.1"), "18.1", "T1685", "T1562.001", "defense-evasion"},
		{"19.0 imported", whole(c, "19.0"), "19.0", "T1562.001", "T1685", "stealth"},
		{"both imported", append(whole(c, "18.1"), whole(c, "19.0")...), "19.0", "T1562.006", "T1685", "stealth"},
	} {
		target := c.For(KnownIDs(tt.ids))
		if m := target.Map(tt.from, ""); m.ID != tt.to || m.Release != tt.want {
			t.Errorf("%s: %+v; want %s of %s", tt.name, m, tt.to, tt.want)
		}
		if m := target.Map("T1055.011", tt.tacticOf55); m.Tactic != tt.tacticOf55 || !m.Said {
			t.Errorf("%s: T1055.011 has tactic %q, want %q", tt.name, m.Tactic, tt.tacticOf55)
		}
	}
}

func TestLineageIsOneOverAllReleases(t *testing.T) {
	c := Embedded()
	if got := c.LineageKey("t1089"); got != "T1685" {
		t.Errorf("key of T1089: %s, want T1685", got)
	}
	want := []string{"T1685", "T1054", "T1089", "T1562", "T1562.001", "T1562.006"}
	if diff := cmp.Diff(want, c.Lineage("T1562.001")); diff != "" {
		t.Errorf("lineage of T1562.001 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"T1562", "T1562.001", "T1562.006"}, c.For(KnownRelease("18.1")).Lineage("T1685")); diff != "" {
		t.Errorf("lineage of T1685 in 18.1 (-want +got):\n%s", diff)
	}
	if !c.SameLineage("T1073", "T1574.001") || c.SameLineage("T1059", "T1059.001") || !c.SameLineage("T4321", "t4321") {
		t.Error("SameLineage: T1073 is T1574.001, T1059 is not T1059.001, and an unknown id is itself")
	}
}

func TestAnUpgradedServerHoldsTheSameProcedures(t *testing.T) {
	before, after := Embedded().For(KnownRelease("18.1")), Embedded().For(KnownRelease("19.0"))
	for _, id := range []string{"T1562.001", "T1562.006", "T1055.011", "T1059"} {
		recorded, now := before.Map(id, "defense-evasion"), after.Map(id, "defense-evasion")
		if keyID, keyTactic := after.Key(recorded.ID, recorded.Tactic); keyID != now.ID || keyTactic != now.Tactic {
			t.Errorf("recorded %s/%s has key %s/%s after the upgrade, the event %s/%s", recorded.ID, recorded.Tactic, keyID, keyTactic, now.ID, now.Tactic)
		}
	}
	one, _ := before.Key("T1562.001", "defense-evasion")
	other, _ := before.Key("T1562.006", "defense-evasion")
	if one == other {
		t.Errorf("two techniques of 18.1 that 19.0 merged are one in 18.1 already: %s", one)
	}
	if keyID, keyTactic := Embedded().For(Known{}).Key("t1089", "x"); keyID != "T1685" || keyTactic != "x" {
		t.Errorf("without anything held, T1089 has key %s/%s", keyID, keyTactic)
	}
}

func TestTacticsAreThoseOfTheTarget(t *testing.T) {
	target := Embedded().For(KnownRelease("18.1"))
	if diff := cmp.Diff([]string{"privilege-escalation", "defense-evasion"}, target.Tactics("T1055.011")); diff != "" {
		t.Errorf("T1055.011 in 18.1 (-want +got):\n%s", diff)
	}
	if got := target.Tactics("T1685"); got != nil {
		t.Errorf("T1685, which 18.1 does not hold, has tactics %v", got)
	}
	if n := target.Len(); n != 216+475+12+77+47+13+83+12 {
		t.Errorf("18.1 holds %d techniques", n)
	}
}

func TestKindsHaveNames(t *testing.T) {
	var got []string
	for k := KindNone; k <= KindParent; k++ {
		got = append(got, k.String())
	}
	if diff := cmp.Diff([]string{"none", "same", "lineage", "parent"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
