package intake

import "strings"

// Splunk's HTTP Event Collector, as far as those who send to it need it: its addresses, how they show a token, and what they wait for
// (docs.splunk.com, HTTP Event Collector REST API). Many products can send to it and nowhere else.
const (
	collectorPath   = "/services/collector"
	collectorScheme = "Splunk"
	collected       = `{"text":"Success","code":0}` + "\n"
)

// isCollector tells whether a path is one that events are sent to, of either kind: the body tells what it is. What the senders say of
// its type is not looked at: they often say nothing, or what an HTTP library says by itself.
func isCollector(path string) bool {
	kind, ours := strings.CutPrefix(path, collectorPath)
	switch strings.TrimSuffix(kind, "/1.0") {
	case "", "/", "/event", "/raw":
		return ours
	}
	return false
}
