package intake

import (
	"net/http"
	"testing"

	"forager/pipeline/intake"
)

// TestWhoSendsToSplunksCollector finds it here.
func TestWhoSendsToSplunksCollector(t *testing.T) {
	t.Parallel()
	const two = `{"time":1772439243,"event":{"a":1}}{"time":1772439244,"event":{"a":2}}`
	for name, c := range map[string]struct {
		sent sent
		why  intake.Why
		want int
	}{
		"events":             {sent: post("/services/collector/event", two, "Authorization", "Splunk tok"), want: 200},
		"events, compressed": {sent: post("/services/collector", gzipped(t, two), "Authorization", "Splunk tok", "Content-Encoding", "gzip"), want: 200},
		"as curl says it":    {sent: post("/services/collector/event/1.0", two, "Authorization", "Splunk tok", "Content-Type", "application/x-www-form-urlencoded"), want: 200},
		"raw":                {sent: post("/services/collector/raw?channel=x&sourcetype=y", "CEF:0|a|b|1|1|worm|9|src=198.51.100.7", "Authorization", "Splunk tok", "Content-Type", ""), want: 200},
		"a wrong token":      {sent: post("/services/collector/event", two, "Authorization", "Splunk toc"), want: 401},
		"Basic as a token":   {sent: post("/services/collector/event", two, "Authorization", "Splunk dTpwOnc="), want: 401},
		"elsewhere":          {sent: post("/services/collector/ack", two, "Authorization", "Splunk tok"), want: 404},
		"nearly":             {sent: post("/services/collectors", two, "Authorization", "Splunk tok"), want: 404},
		"half an event":      {sent: post("/services/collector", `{"event":`, "Authorization", "Splunk tok"), want: 400},
		"a form elsewhere":   {sent: post(Path, two, "Content-Type", "application/x-www-form-urlencoded"), want: 415},
		"not stored":         {sent: post("/services/collector", two, "Authorization", "Splunk tok"), why: intake.Full, want: 503},
	} {
		d := &drawer{why: c.why}
		h, _ := newTestHandler(t, Options{}, d)
		w := c.sent.to(t, h)
		if w.Code != c.want || (c.want == http.StatusOK) != (len(d.kept) == 1 && w.Body.String() == `{"text":"Success","code":0}`+"\n") {
			t.Errorf("%s: %d %s, kept %d", name, w.Code, w.Body, len(d.kept))
		}
		if len(d.kept) == 1 && d.kept[0].Subject != "detections.kibana" {
			t.Errorf("%s: to %s", name, d.kept[0].Subject)
		}
	}
}
