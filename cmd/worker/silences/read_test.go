package silences

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/digest"
)

// plans are those of the demonstration's samples, which are one of each format and more.
func plans(t *testing.T) (all []enrich.Plan) {
	t.Helper()
	decoder, err := detection.New(detection.Options{})
	must(t, err)
	planner := enrich.NewPlanner(enrich.PlannerOptions{TLP: -1, PAP: -1})
	files, err := filepath.Glob("../demo/samples/*.ndjson")
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for line := range strings.Lines(string(text)) {
			result, err := decoder.Decode(detection.Message{Body: []byte(line)})
			if err != nil {
				continue // some samples are broken, or belong to others
			}
			for _, d := range result.Detections {
				if p, err := planner.Plan(d, enrich.Origin{}); err == nil {
					all = append(all, p)
				}
			}
		}
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRulesAreReadFromForagersOwnTexts: of every format, from the description of the case that a detection opens, from the
// comment in another, and from the page.
func TestRulesAreReadFromForagersOwnTexts(t *testing.T) {
	t.Parallel()
	all, unnamed := plans(t), map[string]bool{}
	for _, p := range all {
		opening, comment := apply.Written(p)
		var d digest.Digest
		d.Add(p.RuleHash, p.Sighting())
		d.Add(p.RuleHash, p.Sighting())
		for name, texts := range map[string]Texts{"description": {Description: opening}, "comment": {Others: []string{comment, d.Text()}}} {
			f := readTexts(texts)
			if !f.hashes[p.RuleHash] || len(f.hashes) != 1 {
				t.Errorf("%s, %s: rules %v, want %s", p.Format, name, f.hashes, p.RuleHash)
			}
			rule, named := f.named[p.RuleHash]
			if !named {
				unnamed[p.Format] = true
			} else if rule.Format != p.Format || !slices.Contains([]string{p.Rule.ID, p.Rule.Name, p.Title}, rule.Name) {
				t.Errorf("%s, %s: read %+v, want %+v or %q", p.Format, name, rule, p.Rule, p.Title)
			}
			if name == "comment" && f.counts[p.RuleHash].n != 2 {
				t.Errorf("%s: %+v", p.Format, f.counts)
			}
		}
		if want := p.Key.Value; p.Key.Kind == "host" && hostOf(opening) != want {
			t.Errorf("%s: host %q, want %q", p.Format, hostOf(opening), want)
		}
	}
	t.Logf("%d detections; rules without words, of the formats %v", len(all), unnamed)
	if len(all) < 100 || len(unnamed) > 20 {
		t.Errorf("%d detections, %d formats", len(all), len(unnamed))
	}
}

func TestTextsOfOthersAreNoRules(t *testing.T) {
	t.Parallel()
	const hash = "0123456789abcdef0123456789abcdef"
	f := readTexts(Texts{Description: "see `forager: rule=" + hash + " day=2026-03-02 ids=a`, said the analyst\n**x** (wazuh, rule 5710, severity high)\n"})
	if len(f.hashes) != 0 {
		t.Errorf("%v", f.hashes)
	}
	merged := "| Key | `host:web01` |\n\n| Key | `host:web02` |\n"
	for text, want := range map[string]string{
		merged: "", "| Key | `host:web01` |\n| Key | `host:web01` |": "web01", "| Key | `user:anna` |": "", "": "", "| Key | `host:10.0.0.7` |": "10.0.0.7",
	} {
		if got := hostOf(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestUsersAreReadWhereTheyAreWhole(t *testing.T) {
	t.Parallel()
	page := func(users ...string) string {
		var d digest.Digest
		for i, u := range users {
			d.Add(strings.Repeat("a", 32), enrich.Sighting{At: int64(i + 1), Rule: "r", Severity: 2, User: u})
		}
		return d.Text()
	}
	for name, c := range map[string]struct {
		text string
		want counted
	}{
		"one":     {page("svc_backup", "svc_backup"), counted{n: 2, severity: 2, users: []string{"svc_backup"}, all: true}},
		"domain":  {page(`CORP\svc|x`), counted{n: 1, severity: 2, users: []string{`CORP\svc|x`}, all: true}},
		"two":     {page("anna", "bob"), counted{n: 2, severity: 2, users: []string{"anna", "bob"}}},
		"some":    {page("anna", ""), counted{n: 2, severity: 2, users: []string{"anna"}}},
		"cut":     {page(strings.Repeat("u", 90)), counted{n: 1, severity: 2}},
		"nobody":  {page(""), counted{n: 1, severity: 2}},
		"changed": {strings.Replace(page("anna"), "anna", "bob", 1), counted{}},
	} {
		got := readTexts(Texts{Others: []string{c.text}}).counts[strings.Repeat("a", 32)]
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(counted{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
