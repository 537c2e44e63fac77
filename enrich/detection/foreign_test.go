package detection

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// ofReadProducts are those of the samples that are of products read: other ways to send them.
var ofReadProducts = map[string]string{
	"further/elastic-rule-action-context.json":  "elastic",
	"further/prowler-ocsf-fail.json":            "ocsf",
	"further/sechub-v2-eventbridge.json":        "ocsf",
	"further/splunk-webhook.json":               "splunk",
	"further/securityonion-suricata-alert.json": "suricata", // in its message
}

// TestNoFormatTakesForeignAlerts reads the alerts of products that no embedded format is for:
// each is unknown, whatever everyday words it uses.
func TestNoFormatTakesForeignAlerts(t *testing.T) {
	dir := filepath.Join(filepath.Dir(samplesDir(t)), "samples-2")
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) == 0 {
		t.Skip("the shared samples of other products are not here")
	}
	slices.Sort(files)
	d := mustNew(t, Options{})
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := d.Decode(Message{Body: body, Time: now})
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		if name := r.Format; slices.Contains(d.Formats(), name) && name != ofReadProducts[rel] && name != filepath.Base(filepath.Dir(file)) {
			t.Errorf("%s is taken for %s", rel, name)
		}
	}
}
