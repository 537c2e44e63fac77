package detection

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"forager/enrich/detection/tree"
)

// ofReadProducts are those of the samples that are of products read, in a folder of many.
var ofReadProducts = map[string]string{
	"further/elastic-rule-action-context.json":  "elastic",
	"further/prowler-ocsf-fail.json":            "ocsf",
	"further/sechub-v2-eventbridge.json":        "ocsf",
	"further/splunk-webhook.json":               "splunk",
	"further/wazuh-shuffle.json":                "wazuh",
	"further/securityonion-suricata-alert.json": "suricata", // in its message
	"further/cloudtrail.json":                   "cloudtrail",
	"further/cortex-xdr-alert.json":             "cortex_xdr",
	"further/darktrace-model-breach.json":       "darktrace",
	"further/entra-risk-detection.json":         "entra_id",
	"further/eset-protect-threat.json":          "eset_protect",
	"further/extrahop.json":                     "extrahop",
	"further/github-audit.json":                 "github_audit",
	"further/proofpoint-tap-siem.json":          "proofpoint_tap",
	"further/sophos-central-event.json":         "sophos_central",
	"further/tehtris-edr.json":                  "tehtris",
	"further/thinkst-canary.json":               "thinkst_canary",
	"further/trend-vision-one-workbench.json":   "trend_workbench",
	"further/withsecure-elements.json":          "withsecure",
	"further/wiz-threat-detection.json":         "wiz",
	"further/alertmanager-webhook.json":         "alertmanager",
	"further/bitsight.json":                     "bitsight",
	"further/carbon-black-alert-v7.json":        "carbon_black",
	"further/checkpoint-harmony.json":           "checkpoint_harmony",
	"further/crowdstrike-fdr-detection.json":    "crowdstrike_fdr",
	"further/google-scc-finding.json":           "google_scc",
	"further/grafana-webhook.json":              "alertmanager",
	"further/graph-incident-no-alerts.json":     "defender_graph",
	"further/graylog-event.json":                "graylog",
	"further/jamf-protect.json":                 "jamf_protect",
	"further/mde-alert-api.json":                "defender_endpoint",
	"further/misp-event-publish.json":           "misp_event",
	"further/qradar-offense.json":               "qradar",
	"further/sentinelone-activity.json":         "sentinelone_activity",
	"further/tetragon.json":                     "tetragon",
	"further/windows-defender-1116.json":        "windows_defender",
	"further/zerofox-alert.json":                "zerofox",
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
		if name := r.Format; slices.Contains(d.Formats(), name) && name != ofReadProducts[rel] && name != filepath.Base(filepath.Dir(file)) && filepath.Base(filepath.Dir(file)) != "cef" {
			t.Errorf("%s is taken for %s", rel, name)
		}
	}
}

// alsoSpeaks are the formats that alerts of a format look like, too, and that come after it: those that
// are said in the Elastic Common Schema are ECS.
var alsoSpeaks = map[string][]string{
	"elastic": {"ecs", "elastic_endpoint"}, "elastic_endpoint": {"ecs"}, "wazuh5": {"ecs"}, "sysmon": {"ecs"}, "zeek": {"ecs"}, "suricata": {"ecs"},
}

// TestEachFormatKnowsItsOwnAlone holds every format against every other's fixtures and samples.
func TestEachFormatKnowsItsOwnAlone(t *testing.T) {
	files := sampleFiles(t, "testdata")
	t.Run("fixtures", func(t *testing.T) { knownAlone(t, files) })
	t.Run("samples", func(t *testing.T) { knownAlone(t, sampleFiles(t, samplesDir(t))) })
}

func knownAlone(t *testing.T, files []string) {
	t.Helper()
	d := mustNew(t, Options{})
	held := 0
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tr := tree.New(d.limits.tree())
		root, err := tr.ParseAll(string(body))
		if err != nil {
			continue
		}
		u := unwrapper{Decoder: d, scratch: &scratch{Tree: tr}}
		if err := u.unwrap(root, envelope{}, 0); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, p := range u.parts {
			if p.format == nil {
				continue
			}
			held++
			for _, name := range d.formats.Matching(tr, p.root) {
				if name != p.format.Format && !slices.Contains(alsoSpeaks[p.format.Format], name) {
					t.Errorf("%s is of %s, and looks like %s, too", file, p.format.Format, name)
				}
			}
		}
	}
	if held == 0 {
		t.Error("nothing was held against anything")
	}
}

// TestEverydayWordsMakeNoFormat gives events of no product that is read, with its everyday words.
func TestEverydayWordsMakeNoFormat(t *testing.T) {
	for _, body := range []string{
		`{"kind":"Event","verb":"create","annotations":{"authorization.k8s.io/decision":"allow"},"user":{"username":"u"}}`,
		`{"annotations":[{"text":"deployed"}],"dashboardId":3}`,
		`{"incident_number":11,"title":"Disk full","created_at":"2026-03-02T10:00:00Z","status":"triggered","incident_url":"https://tickets.example/11","severity":"high"}`,
		`{"incidentNumber":"INC001","title":"x","severity":"2","type":"incident","id":"11"}`,
		`{"AlertDisplayName":"x","AlertType":"y","Severity":"High","StartTimeUtc":"2026-03-02T10:00:00Z"}`,
		`{"properties":{"AlertDisplayName":"x","AlertType":"y","DeviceName":"d"},"category":"OperationalLogs"}`,
		`{"alert_type":"brand","rule_name":"Lookalike","severity":4,"id":77}`,
		`{"log_type":"threat","rules":[{"name":"x"}],"src":"10.0.0.1"}`,
		`{"CompositeId":"c-1","Name":"x","Severity":70,"product":"y","tactic":"z"}`,
		`{"composite_id":"7","display_name":"x","tactic":"y"}`,
		`{"behaviors":[{"name":"slow"}],"device":{"hostname":"h"},"detection_id":"1"}`,
		`{"metadata":{"eventType":"detection.created"},"event":{"id":"1","name":"x"}}`,
		`{"id":"1","mitreTechniques":["T1059"],"evidence":[{"entityType":"Process"}],"title":"x","incidentId":7}`,
		`{"threatInfo":{"name":"x"},"id":"1"}`,
		`{"rule":"r","priority":"high","output":"done","time":"2026-03-02T10:00:00Z"}`,
		`{"RuleTitle":"x","Level":"high"}`,
		`{"rule_level":"high","title":"x","matches":[{"a":1}]}`,
		`{"document":{"id":1},"group":"g","kind":"k","name":"n"}`,
		`{"result":{"ok":true},"sid":"AC0123"}`,
		`{"ClientId":"web","Artifact":"build.zip","Timestamp":"2026-03-02T10:00:00Z"}`,
		`{"event_type":"http","timestamp":"2026-03-02T10:00:00Z","src_ip":"203.0.113.4"}`,
		`{"event":{"kind":"alert"},"what":"door open"}`,
		`{"detection":{"ruleName":"x"},"id":"1"}`,
		`{"detectorId":"7","type":"smoke","service":{"name":"x"}}`,
		`{"signal":{"rule":{"threshold":3}},"title":"cpu"}`,
		`{"index":"risk","value":3}`,
	} {
		read{}.check(t, body, body)
	}
}
