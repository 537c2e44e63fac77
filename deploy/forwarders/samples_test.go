package forwarders

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"forager/cmd/worker/intake"
)

// samples are what each forwarder sends: its Content-Type, the format that reads it, and how many detections it has where it is not one.
var samples = map[string]struct {
	kind, format string
	n            int
}{
	"wazuh":          {kind: "application/json", format: "wazuh"},
	"fluent-bit":     {kind: "application/json", format: "wazuh"},
	"vector":         {kind: "application/x-ndjson", format: "wazuh"},
	"falcosidekick":  {kind: "application/json", format: "falco"},
	"kibana":         {kind: "application/json", format: "elastic"},
	"thehive":        {kind: "application/json", format: "thehive"},
	"telegraf":       {kind: "application/json", format: "suricata"},
	"suricata":       {kind: "text/plain", format: "suricata"},
	"filebeat":       {kind: "application/x-ndjson", format: "wazuh"},
	"opensearch":     {kind: "application/json", format: "wazuh"},
	"splunk-webhook": {kind: "application/json", format: "splunk"},
	"splunk-hec":     {format: "suricata", n: 2},
	"rsyslog":        {kind: "text/plain", format: "cef"},
	"syslog-ng":      {kind: "text/plain", format: "cef"},
}

// TestEveryForwarderHasASampleThatIsRead: the intake takes it, and its format reads it.
func TestEveryForwarderHasASampleThatIsRead(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("*/sample.*")
	if err != nil || len(folders) != len(samples) {
		t.Errorf("%d samples are there, %d are known: %v", len(folders), len(samples), err)
	}
	for _, file := range folders {
		want, known := samples[filepath.Dir(file)]
		if !known {
			t.Errorf("%s: nothing says how it is read", file)
			continue
		}
		s := newSite(t, 0)
		to := s.url
		show := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
		switch filepath.Dir(file) {
		case "splunk-webhook": // it can set no header
			to, show = s.url+"?access_token="+token, func(*http.Request) {}
		case "splunk-hec":
			to = strings.Replace(s.url, intake.Path, "/services/collector/event", 1)
			show = func(r *http.Request) { r.Header.Set("Authorization", "Splunk "+token) }
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(read(t, file)))
		if err != nil {
			t.Fatal(err)
		}
		show(r)
		r.Header.Set("Content-Type", want.kind)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted && (filepath.Dir(file) != "splunk-hec" || resp.StatusCode != http.StatusOK) {
			t.Errorf("%s: answered %s", file, resp.Status)
			continue
		}
		if got := formatsOf(t, s.taken(t, 1)); !slices.Equal(got, slices.Repeat([]string{want.format}, max(want.n, 1))) {
			t.Errorf("%s: read as %v, want %s", file, got, want.format)
		}
	}
}
