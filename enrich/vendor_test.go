package enrich_test

import (
	"slices"
	"testing"

	"forager/enrich"
	"forager/enrich/detection"
)

// TestAVendorsTechniqueIsNoneOfATTACK tells names apart by the tactic beside them (facts of formats:
// CrowdStrike's own names, such as "Malicious File" under "Malware"); ids mean themselves.
func TestAVendorsTechniqueIsNoneOfATTACK(t *testing.T) {
	for _, c := range []struct{ text, tactic, id, tag string }{
		{"Malicious File", "Malware", "", "technique:Malicious File"},
		{"Malicious File", "Machine Learning", "", "technique:Malicious File"},
		{"Malicious File", "Execution", "T1204.002", ""},
		{"Malicious File", "", "T1204.002", ""},
		{"T1204.002", "Malware", "T1204.002", ""},
		{"attack.t1204.002", "Custom Intelligence", "T1204.002", ""},
		{"PowerShell", "TA0002", "T1059.001", ""},
	} {
		d := detection.Detection{ID: "1", Title: "x", Host: "h", Techniques: []detection.Reference{{Text: c.text, Tactic: c.tactic}}}
		p, err := enrich.NewPlanner(enrich.PlannerOptions{}).Plan(d, enrich.Origin{})
		if err != nil || len(p.Techniques) != 1 || p.Techniques[0].ID != c.id || c.tag != "" && !slices.Contains(p.Tags, c.tag) {
			t.Errorf("%s under %s: %+v %v %v", c.text, c.tactic, p.Techniques, p.Tags, err)
		}
	}
}
