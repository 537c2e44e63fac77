package forwarders

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// samples are what each forwarder sends: its Content-Type, and the format that reads it.
var samples = map[string]struct{ kind, format string }{
	"wazuh":         {"application/json", "wazuh"},
	"fluent-bit":    {"application/json", "wazuh"},
	"vector":        {"application/x-ndjson", "wazuh"},
	"falcosidekick": {"application/json", "falco"},
	"kibana":        {"application/json", "elastic"},
	"thehive":       {"application/json", "thehive"},
	"rsyslog":       {"text/plain", "cef"},
	"syslog-ng":     {"text/plain", "cef"},
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
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, strings.NewReader(read(t, file)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", want.kind)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			t.Errorf("%s: answered %s", file, resp.Status)
			continue
		}
		if got := formatsOf(t, s.taken(t, 1)); !slices.Equal(got, []string{want.format}) {
			t.Errorf("%s: read as %v, want %s", file, got, want.format)
		}
	}
}
