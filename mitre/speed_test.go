package mitre

import (
	"strings"
	"testing"
)

var spellings = []struct{ name, ref string }{
	{"lower", "t1059.001"},
	{"tag", "attack.t1059.001"},
	{"tags", "attack.credential_access, attack.t1558, attack.lateral_movement, attack.t1550"},
	{"address", "https://attack.mitre.org/techniques/T1204/002/"},
	{"sysmon", "technique_id=T1158,technique_name=Hidden Files and DirectoriesHidden Files and Directories"},
	{"json", `["Phishing (T1566)","PowerShell (T1059.001)"]`},
	{"cell", "persistence__t1547.001"},
	{"misp", `misp-galaxy:mitre-attack-pattern="Malicious Link - T1204.001"`},
	{"name", "Command and Scripting Interpreter"},
	{"ambiguous", "Spearphishing Attachment"},
	{"tactic", "Command and Control"},
	{"vendor", "CST0023"},
	{"unknown", "T1234"},
	{"path", "/atomics/T1055.012/bin/x64/"},
}

func TestResolvingACanonicalIdAllocatesNothing(t *testing.T) {
	c := Embedded()
	target := c.For(KnownRelease("18.1"))
	for _, id := range []string{"T1059", "T1562.001", "T1685"} {
		if n := testing.AllocsPerRun(100, func() { _ = c.Resolve(id, Hint{}) }); n != 0 {
			t.Errorf("Resolve(%s) allocates %v times", id, n)
		}
		if n := testing.AllocsPerRun(100, func() { _ = target.Map(id, "") }); n != 0 {
			t.Errorf("Map(%s) allocates %v times", id, n)
		}
	}
}

// BenchmarkResolve prints for each spelling how many map look-ups it costs,
// measured in the same run: at most 5 for a canonical id, 100 for the others.
func BenchmarkResolve(b *testing.B) {
	c := Embedded()
	keys := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		keys[i] = string([]byte(n.id)) // not the map's own string, whose comparison would be free
	}
	var lookup float64
	b.Run("map", func(b *testing.B) {
		found := 0
		for i := 0; b.Loop(); i++ {
			if c.byID[keys[i%len(keys)]] != nil {
				found++
			}
		}
		lookup = float64(b.Elapsed().Nanoseconds()) / float64(found)
	})
	b.Run("canonical", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			_ = c.Resolve(keys[i%len(keys)], Hint{})
		}
		ratio(b, lookup)
	})
	for _, s := range spellings {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = c.Resolve(s.ref, Hint{Tactic: "impact"})
			}
			ratio(b, lookup)
		})
	}
}

// BenchmarkHostile is the worst that somebody could put into a field: as many
// techniques as are taken, then ambiguous names as far as a text is read.
func BenchmarkHostile(b *testing.B) {
	c := Embedded()
	var ids strings.Builder
	for _, n := range c.nodes[:MaxIDs] {
		ids.WriteString(n.id + ",")
	}
	hint := Hint{Tactic: strings.Repeat("TA0001,", 10_000), Parent: strings.Repeat("T1059,", 10_000)}
	for name, text := range map[string]string{
		"beside": ids.String() + strings.Repeat("DNS,", MaxText),
		"names":  strings.Repeat("DNS,", MaxText),
		"items":  strings.Repeat("T1059 DNS;", MaxText),
		"paths":  strings.Repeat("/T1059/", MaxText),
		"slash":  strings.Repeat("/", MaxText-5) + "T1059",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_ = c.Resolve(text, hint)
			}
		})
	}
}

func ratio(b *testing.B, lookup float64) {
	b.Helper()
	if lookup > 0 {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lookup, "lookups")
	}
}

func BenchmarkMap(b *testing.B) {
	target := Embedded().For(KnownRelease("19.0"))
	b.ReportAllocs()
	for b.Loop() {
		_ = target.Map("T1562.001", "Defense Evasion")
	}
}

func BenchmarkFor(b *testing.B) {
	c := Embedded()
	held := KnownIDs(whole(c, "18.1"))
	for b.Loop() {
		_ = c.For(held)
	}
}

func BenchmarkEmbedded(b *testing.B) {
	for b.Loop() {
		releases, err := readText(embedded)
		if err != nil {
			b.Fatal(err)
		}
		_ = build(releases)
	}
}
