package detection

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"forager/enrich/detection/tree"
)

// benchEvents are fixtures in the shape of real events, and real ones where the samples are here.
func benchEvents(tb testing.TB) map[string][]byte {
	tb.Helper()
	events := map[string][]byte{}
	for name, file := range map[string]string{"wazuh": "testdata/wazuh/sysmon.json", "ecs": "testdata/ecs/alert.json"} {
		body, err := os.ReadFile(filepath.FromSlash(file))
		if err != nil {
			tb.Fatal(err)
		}
		events["fixture-"+name] = body
	}
	return events
}

// BenchmarkDecode measures reading and normalising against encoding/json into any on the same
// bytes, in one run: the ratio is to stay at or below 1.5.
func BenchmarkDecode(b *testing.B) {
	events := benchEvents(b)
	for _, file := range sampleFiles(b, samplesDir(b)) {
		switch folder := filepath.Base(filepath.Dir(file)); folder {
		case "wazuh", "wazuh5", "elastic", "elastic_endpoint":
			body, err := os.ReadFile(file)
			if err != nil {
				b.Fatal(err)
			}
			events[folder+"-"+strings.TrimSuffix(filepath.Base(file), ".json")] = compact(b, body)
		}
	}
	againstStandard(b, events)
}

// BenchmarkDecodeSmall is BenchmarkDecode for all fixtures of one JSON event under 800 bytes: what does not grow with an event weighs most there.
func BenchmarkDecodeSmall(b *testing.B) {
	events := map[string][]byte{}
	files, err := filepath.Glob(filepath.FromSlash("testdata/*/*.json"))
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		var v map[string]any
		if json.Unmarshal(body, &v) != nil {
			continue // lines of text, or several events
		}
		if body = compact(b, body); len(body) < 800 {
			events[filepath.Base(filepath.Dir(file))+"-"+filepath.Base(file)] = body
		}
	}
	againstStandard(b, events)
}

// againstStandard measures decoding and encoding/json on the same events, in turns.
func againstStandard(b *testing.B, events map[string][]byte) {
	b.Helper()
	d := mustNew(b, Options{})
	decode := func(body []byte) error {
		_, err := d.Decode(Message{Body: body, Time: now})
		return err
	}
	standard := func(body []byte) error {
		var v any
		return json.Unmarshal(body, &v)
	}
	names := slices.Sorted(maps.Keys(events))
	ours, theirs := map[string]time.Duration{}, map[string]time.Duration{}
	for b.Loop() {
		for _, name := range names { // in turns, so that a busy machine is busy for both
			keepBest(ours, name, measure(b, decode, events[name]))
			keepBest(theirs, name, measure(b, standard, events[name]))
		}
	}
	sum, worst := 0.0, 0.0
	var report strings.Builder // testing prints ten lines of a benchmark's log at most
	for _, name := range names {
		ratio := float64(ours[name]) / float64(theirs[name])
		sum, worst = sum+ratio, max(worst, ratio)
		fmt.Fprintf(&report, "\n%-60.60s %6d bytes: %8v against %8v: %.2f", name, len(events[name]), ours[name], theirs[name], ratio)
	}
	b.Log(report.String())
	b.ReportMetric(sum/float64(len(names)), "mean-ratio")
	b.ReportMetric(worst, "worst-ratio")
	b.ReportMetric(0, "ns/op")
}

func keepBest(best map[string]time.Duration, name string, took time.Duration) {
	if have, ok := best[name]; !ok || took < have {
		best[name] = took
	}
}

// measure is the best of several rounds, which is what the machine can do when others leave it alone.
func measure(b *testing.B, do func([]byte) error, body []byte) time.Duration {
	b.Helper()
	const rounds, times = 4, 50
	best := time.Duration(math.MaxInt64)
	for range rounds {
		start := time.Now()
		for range times {
			if err := do(body); err != nil {
				b.Fatal(err)
			}
		}
		best = min(best, time.Since(start)/times)
	}
	return best
}

func compact(tb testing.TB, body []byte) []byte {
	tb.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		tb.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// BenchmarkScan measures the reader alone against encoding/json on the same bytes.
func BenchmarkScan(b *testing.B) {
	limits := Limits{}.withDefaults()
	tr := tree.New(limits.tree())
	for name, body := range benchEvents(b) {
		b.Run(name+"/scanner", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tr.Reset()
				if _, err := tr.ParseAll(string(body)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/standard", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var v any
				if err := json.Unmarshal(body, &v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFormats shows that a hundred further formats cost an event nothing: the ratio of the
// times with and without them, measured in turns.
func BenchmarkFormats(b *testing.B) {
	body := benchEvents(b)["fixture-wazuh"]
	dir := fstest.MapFS{}
	for i := range 100 {
		name := "extra" + strconv.Itoa(i)
		dir[name+".yaml"] = &fstest.MapFile{Data: []byte("format: " + name + "\norder: 1\nrecognise:\n  - [{path: " + name + "}]\ntitle: [a]\n")}
	}
	decode := func(d *Decoder) func([]byte) error {
		return func(body []byte) error {
			_, err := d.Decode(Message{Body: body, Time: now})
			return err
		}
	}
	few, many := decode(mustNew(b, Options{})), decode(mustNew(b, Options{Formats: []fs.FS{dir}}))
	x, y := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for b.Loop() {
		x, y = min(x, measure(b, few, body)), min(y, measure(b, many, body))
	}
	b.ReportMetric(float64(y)/float64(x), "ratio")
	b.ReportMetric(0, "ns/op")
}
