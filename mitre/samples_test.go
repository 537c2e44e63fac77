package mitre

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// techniqueFields are, for each format, where alerts keep techniques and what
// stands for them. A step names a key, flat or nested; arrays fan out.
var techniqueFields = map[string][]string{
	"crowdstrike_alert":    {"technique", "technique_id", "tactic", "tactic_id"},
	"crowdstrike_stream":   {"event>Technique", "event>TechniqueId", "event>Tactic", "event>TacticId", "event>MitreAttack>Technique", "event>MitreAttack>TechniqueID", "event>MitreAttack>Tactic", "event>MitreAttack>TacticID"},
	"defender_graph":       {"mitreTechniques", "category", "value>mitreTechniques"},
	"defender_xdr_hunting": {"properties>AttackTechniques", "properties>Categories"},
	"elastic": {"threat>technique>id", "threat>technique>reference", "threat>technique>subtechnique>id", "threat>technique>subtechnique>reference",
		"threat>technique>subtechnique>name", "threat>tactic>id", "threat>tactic>name", "threat>tactic>reference", "_source>kibana.alert.rule.tags", "kibana.alert.rule.tags"},
	"falco":            {"tags"},
	"ocsf":             {"attacks>technique>uid", "attacks>technique>name", "attacks>tactics>uid", "attacks>tactics>name", "finding>attack>technique>uid", "unmapped>compliance>MITRE-ATTACK"},
	"sentinel":         {"properties>additionalData>tactics", "properties>additionalData>techniques", "additional_data>tactics", "Tactics", "Techniques"},
	"sentinelone":      {"indicators>tactics>name", "indicators>tactics>techniques>name", "indicators>tactics>techniques>link", "data>indicators>tactics>techniques>name"},
	"sigma_harfanglab": {"tags", "mitre_cells"},
	"splunk":           {"annotations.mitre_attack", "annotations>mitre_attack", "result>annotations.mitre_attack", "annotations.mitre_attack.mitre_technique_id"},
	"suricata":         {"alert>metadata>mitre_technique_id", "alert>metadata>mitre_technique_name", "alert>metadata>mitre_tactic_id", "alert>metadata>mitre_tactic_name", "alert>metadata>mitre_attack"},
	"sysmon":           {"Event>EventData>RuleName", "winlog>event_data>RuleName", "rule>name", "RuleName"},
	"wazuh":            {"rule>mitre>id", "rule>mitre>technique", "rule>mitre>tactic"},
	"wazuh5": {"wazuh>rule>mitre>technique>id", "wazuh>rule>mitre>technique>name", "wazuh>rule>mitre>subtechnique>id", "wazuh>rule>mitre>subtechnique>name",
		"wazuh>rule>mitre>tactic>id", "wazuh>rule>mitre>tactic>name"},
	"zeek":      {"note", "sub"},
	"zircolite": {"tags"},
	"hayabusa":  {"MitreTags", "MitreTactics"},
}

// looksLikeID is an understanding of ids of its own, to hold Resolve against.
var looksLikeID = regexp.MustCompile(`(?i)(?:^|[^\pL\pN])(T\d{4}(?:[./_]\d{3})?)(?:\D|$)`)

// shapes name the spelling of a text, for the figures.
var shapes = []struct {
	name string
	re   *regexp.Regexp
}{
	{"exact", regexp.MustCompile(`^T\d{4}$`)},
	{"exact sub-technique", regexp.MustCompile(`^T\d{4}\.\d{3}$`)},
	{"bare lower case", regexp.MustCompile(`^t\d{4}(\.\d{3})?$`)},
	{"tactic id", regexp.MustCompile(`^TA\d{4}$`)},
	{"address", regexp.MustCompile(`^https?://`)},
	{"key=value", regexp.MustCompile(`technique(_id|_name)?=`)},
	{"name (id) in JSON", regexp.MustCompile(`^\[.*T\d{4}`)},
	{"JSON", regexp.MustCompile(`^\[`)},
	{"Sigma tag, id", regexp.MustCompile(`^attack\.t\d{4}`)},
	{"id embedded otherwise", regexp.MustCompile(`(?i)\bt\d{4}|_t\d{4}`)},
	{"vendor id", regexp.MustCompile(`^CSTA?\d{4}$`)},
	{"tag with a prefix", regexp.MustCompile(`^(attack\.|mitre_)`)},
	{"empty", regexp.MustCompile(`^-?$`)},
}

func shapeOf(s string, r Resolution) string {
	for _, shape := range shapes {
		if shape.re.MatchString(s) {
			return shape.name
		}
	}
	switch {
	case len(r.IDs) > 0 || r.Reason == ReasonAmbiguous:
		return "name"
	case r.Reason == ReasonTactic:
		return "tactic's name"
	}
	return "other words"
}

func TestNothingOfTheSamplesIsLostSilently(t *testing.T) {
	dir := shared(t, "data", "samples")
	texts := 0
	counts := map[string]int{}
	old, revokedUses := map[string]bool{}, 0
	for format, fields := range techniqueFields {
		files, err := filepath.Glob(filepath.Join(dir, format, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no samples: %v", format, err)
		}
		for _, file := range files {
			for _, text := range fieldTexts(t, file, fields) {
				texts++
				r := checkText(t, file, text)
				counts[fmt.Sprintf("%-22s → %s", shapeOf(text, r), outcome(r))]++
				for _, id := range r.IDs {
					if n, _ := Embedded().Technique(id); n.Revoked {
						old[id] = true
						revokedUses++
					}
				}
			}
		}
	}
	if texts < 300 {
		t.Errorf("only %d texts in the known fields: the table is wrong", texts)
	}
	t.Logf("%d texts; %d revoked ids in %d uses", texts, len(old), revokedUses)
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%4d %s", counts[k], k)
	}
}

func outcome(r Resolution) string {
	if len(r.IDs) > 0 {
		return "technique"
	}
	return string(r.Reason)
}

// checkText holds one text against what is promised: a technique or a reason,
// every id accounted for, and every technique known to both releases.
func checkText(t *testing.T, file, text string) Resolution {
	t.Helper()
	c := Embedded()
	r := c.Resolve(text, Hint{})
	if (len(r.IDs) == 0) == (r.Reason == ReasonNone) {
		t.Errorf("%s: %q gives neither technique nor reason: %+v", file, text, r)
	}
	for _, m := range looksLikeID.FindAllStringSubmatch(text, -1) {
		id := strings.ToUpper(strings.NewReplacer("/", ".", "_", ".").Replace(m[1]))
		if !slices.Contains(r.IDs, id) && !slices.Contains(r.Unknown, id) {
			t.Errorf("%s: %s of %q is lost: %+v", file, id, text, r)
		}
	}
	for _, release := range []string{"18.1", "19.0"} {
		for _, id := range r.IDs {
			if m := c.For(KnownRelease(release)).Map(id, ""); m.Kind == KindNone || m.Tactic == "" {
				t.Errorf("%s: %s of %q is lost in %s: %+v", file, id, text, release, m)
			}
		}
	}
	return r
}

// fieldTexts gives every text that the file has at the fields.
func fieldTexts(t *testing.T, file string, fields []string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var event any
	if err := json.Unmarshal(b, &event); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var out []string
	for _, f := range fields {
		out = append(out, at(event, strings.Split(f, ">"))...)
	}
	return out
}

func at(v any, steps []string) []string {
	switch v := v.(type) {
	case []any:
		var out []string
		for _, e := range v {
			out = append(out, at(e, steps)...)
		}
		return out
	case map[string]any:
		if len(steps) > 0 {
			return at(v[steps[0]], steps[1:])
		}
	case string:
		if len(steps) == 0 {
			return []string{v}
		}
	}
	return nil
}
