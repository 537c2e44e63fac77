package detection

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/malformed"
)

// TestAnUnknownAlertIsReadByWellKnownNames where the operator says so; the names are written as products write them.
func TestAnUnknownAlertIsReadByWellKnownNames(t *testing.T) {
	t.Parallel()
	plain, err := New(Options{})
	mustBe(t, err)
	generic, err := New(Options{Generic: true})
	mustBe(t, err)
	for name, body := range map[string]string{
		"nested, camel case": `{"alertName":"Beacon","severity":"High","detectedAt":"2026-03-02T08:12:40Z","device":{"hostname":"ws-7"},"userName":"jdoe",
			"network":{"srcIp":"10.1.2.3","dstIp":"203.0.113.9"},"mitre":{"technique":"T1071.001"},"file":{"sha256":"1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c5b6a7988"}}`,
		"flat, snake case": `{"alert_name":"Beacon","risk_score":80,"event_time":1772439160,"computer_name":"ws-7","user_name":"jdoe",
			"src_ip":"10.1.2.3","dst_ip":"203.0.113.9","technique_id":"T1071.001","file_sha256":"1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c5b6a7988"}`,
		"in a batch and an envelope": `{"specversion":"1.0","type":"acme.alert","source":"/acme","id":"1","data":{"data":{"rule_name":"Beacon","level":"high","timestamp":"2026-03-02T08:12:40Z",
			"host":"ws-7","username":"jdoe","source":{"ip":"10.1.2.3"},"destination":{"ip":"203.0.113.9"},"mitre_technique":"T1071.001",
			"hashes":{"sha256":"1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c5b6a7988"}}}}`,
	} {
		if r, err := plain.Decode(Message{Body: []byte(body), Time: now}); err == nil && len(r.Detections) > 0 {
			t.Errorf("%s: read without being asked to", name)
		}
		r, err := generic.Decode(Message{Body: []byte(body), Time: now})
		if err != nil || len(r.Detections) != 1 {
			t.Errorf("%s: %v %+v", name, err, r)
			continue
		}
		d := r.Detections[0]
		if d.Format != "generic" || d.Title != "Beacon" || d.Severity != canon.High || d.Host != "ws-7" || d.User != "jdoe" || !d.Time.Equal(mustTime(t, "2026-03-02T08:12:40Z")) ||
			len(d.Techniques) != 1 || d.Techniques[0].Text != "T1071.001" || !slices.Contains(d.Marks, MarkGeneric) {
			t.Errorf("%s: %+v", name, d)
		}
		for _, want := range []string{"ws-7", "10.1.2.3", "203.0.113.9", "1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c5b6a7988"} {
			if !slices.ContainsFunc(d.Observables, func(o Observable) bool { return o.Data == want }) {
				t.Errorf("%s: no observable %s", name, want)
			}
		}
	}
}

// TestWhatSaysNothingStaysADeadLetter: an object without a title, a rule, a host or an observable is no detection by any name.
func TestWhatSaysNothingStaysADeadLetter(t *testing.T) {
	t.Parallel()
	d, err := New(Options{Generic: true})
	mustBe(t, err)
	for body, want := range map[string]string{`{"x":1}`: malformed.NothingToRead, `[1,2]`: malformed.UnknownFormat, `"text"`: malformed.UnknownFormat} {
		_, err := d.Decode(Message{Body: []byte(body), Time: now})
		if e, ok := errors.AsType[*malformed.Error](err); !ok || e.Reason != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

// TestGenericTakesNothingFromTheOthers: what a format knows is read by it, and what it drops stays dropped.
func TestGenericTakesNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	plain, err := New(Options{})
	mustBe(t, err)
	generic, err := New(Options{Generic: true})
	mustBe(t, err)
	for _, file := range sampleFiles(t, "testdata") {
		body, err := os.ReadFile(file)
		mustBe(t, err)
		m := Message{Body: body, Time: now}
		want, wrong := plain.Decode(m)
		got, err := generic.Decode(m)
		if wrong != nil || len(want.Unreadable) > 0 || slices.ContainsFunc(want.Dropped, func(d Drop) bool { return d.Reason == DropNoAlert }) {
			continue // there was something that nobody knew
		}
		if err != nil || got.Format != want.Format || len(got.Detections) != len(want.Detections) || len(got.Dropped) != len(want.Dropped) {
			t.Errorf("%s: %v, read by %s rather than %s", filepath.Base(file), err, got.Format, want.Format)
		}
	}
}

// TestHowMuchGenericFinds reads the fixtures of every format as if nobody knew it, and tells how much of what its format finds
// is found by names alone. The bound is what was measured when it was written: it is to grow.
func TestHowMuchGenericFinds(t *testing.T) {
	t.Parallel()
	plain, err := New(Options{})
	mustBe(t, err)
	byNames, err := New(Options{Generic: true, Pins: []Pin{{Subject: ">", Format: genericFormat}}})
	mustBe(t, err)
	var alerts, titles, times, hosts, withHost, seen, there int
	for _, file := range sampleFiles(t, "testdata") {
		body, err := os.ReadFile(file)
		mustBe(t, err)
		m := Message{Subject: "x", Body: body, Time: now}
		want, err := plain.Decode(m)
		if err != nil || len(want.Detections) != 1 || want.Detections[0].Format == "native" {
			continue
		}
		alerts++
		w := want.Detections[0]
		if w.Host != "" {
			withHost++
		}
		there += len(w.Observables)
		got, err := byNames.Decode(m)
		if err != nil || len(got.Detections) == 0 {
			continue
		}
		g := got.Detections[0]
		titles += count(g.Title != "")
		times += count(g.Time.Equal(w.Time))
		hosts += count(w.Host != "" && canon.FoldHost(g.Host, false) == canon.FoldHost(w.Host, false))
		for _, o := range w.Observables {
			seen += count(slices.ContainsFunc(g.Observables, func(x Observable) bool { return x.Data == o.Data }))
		}
	}
	t.Logf("%d alerts: a title in %d, the time in %d, the host in %d of %d, %d of %d observables", alerts, titles, times, hosts, withHost, seen, there)
	if 100*seen < 55*there || 100*titles < 95*alerts || 100*times < 55*alerts {
		t.Errorf("%d of %d observables, %d of %d titles", seen, there, titles, alerts)
	}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func mustBe(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestGenericReadsALargeEventInTime: names are looked for on three levels, and that must not cost more the larger an event is.
func TestGenericReadsALargeEventInTime(t *testing.T) {
	t.Parallel()
	d, err := New(Options{Generic: true})
	mustBe(t, err)
	small, large := wideEvent(20), wideEvent(2000)
	took := func(body []byte, times int) time.Duration {
		began := time.Now()
		for range times {
			if _, err := d.Decode(Message{Body: body, Time: now}); err != nil {
				t.Fatal(err)
			}
		}
		return time.Since(began)
	}
	took(large, 1)
	if s, l := took(small, 200), took(large, 2); l > 10*s+100*time.Millisecond { // as many values in both, and what a crowded machine adds
		t.Errorf("%v for 200 small events, %v for two that are a hundred times as large", s, l)
	}
}

// wideEvent has so many objects of objects.
func wideEvent(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"title":"x","host":"ws-7"`)
	for i := range n {
		fmt.Fprintf(&b, `,"a%d":{"b":{"c":{"src_ip":"10.1.%d.%d","name":"n"}},"list":[{"x":1},{"x":2}]}`, i, i/256, i%256)
	}
	b.WriteString("}")
	return b.Bytes()
}
