package workertest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// GoodSenders behave; each has hosts of its own.
var GoodSenders = []string{"edr", "siem", "proxy", "mail", "cloud", "dns"}

// GarbageOf is what a broken forwarder sends, and what looks like a format and is none.
func GarbageOf(n int) []byte {
	all := []string{
		"\x00\xff\xfe\x01\x02\x03\x04\x05", `{"schema":"forager.detection/v1"`, strings.Repeat("[", 60_000), "", "\xef\xbb\xbf", "null", `""`, `[]`,
		`{"date":1764300000.5,"log":"GET / HTTP/1.1"}`, `{"schema":"forager.detection/v1","id":{},"time":[]}`, `{"schema":"forager.detection/v1","title":"T"}`,
	}
	if n%2 == 0 {
		return []byte(all[0])
	}
	return []byte(all[n/2%len(all)])
}

// JunkOf is evidence beyond measure, all of one host that a good sender has too.
func JunkOf(n int) []byte {
	d := map[string]any{
		"schema": "forager.detection/v1", "id": fmt.Sprint("junk-", n), "time": "2026-03-02T08:00:00Z", "title": strings.Repeat("💥", 70), "severity": 4,
		"host": fmt.Sprint("junk-", n%3), "rule": map[string]string{"id": strings.Repeat("💥", 70), "name": strings.Repeat("💥", 700)},
		"techniques": []string{strings.Repeat("💥", 70), "T1110"},
	}
	var observables []map[string]any
	switch n % 3 {
	case 0:
		for i := range 2000 {
			observables = append(observables, map[string]any{"dataType": "ip", "data": fmt.Sprintf("203.%d.%d.%d", n%250, i/250, i%250)})
		}
	case 1:
		for i := range 100 {
			observables = append(observables, map[string]any{"dataType": "other", "data": fmt.Sprint(i, strings.Repeat("x", 5000)), "tags": []string{strings.Repeat("t", 200)}})
		}
	default:
		observables = append(observables, map[string]any{"dataType": "file", "data": "💥"}, map[string]any{"dataType": "../x", "data": "y"}, map[string]any{"dataType": "ip", "data": "\x00\u202e"})
	}
	tags := make([]string, 100)
	for i := range tags {
		tags[i] = fmt.Sprintf("junk-%d-%d", n, i)
	}
	d["observables"], d["tags"] = observables, tags
	body, _ := json.Marshal(d) //nolint:errchkjson // of texts and numbers
	return body
}

// ReachOf names what is not the sender's, or wants as many cases as it can.
func ReachOf(n int) []byte {
	if n%2 == 0 {
		return fmt.Appendf(nil, `{"schema":"forager.detection/v1","id":"reach-%d","time":"2026-03-02T08:00:00Z","title":"T","host":"reach","files":[`+
			`{"name":"m","object":"evidence/memory.dmp"},{"name":"a","object":"HR/payroll.csv"},{"name":"b","object":"FORAGER_FILES/../HR/x"},{"name":"c","object":"file:///dev/zero"}]}`, n)
	}
	all := make([]string, 45)
	for i := range all {
		at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 3*(45*n+i))
		all[i] = fmt.Sprintf(`{"schema":"forager.detection/v1","id":"blind-%d-%d","time":%q,"title":"x","severity":1,"host":"DC01"}`, n, i, at.Format(time.RFC3339))
	}
	return []byte("[" + strings.Join(all, ",") + "]")
}
