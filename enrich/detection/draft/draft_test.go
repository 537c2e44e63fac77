package draft

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/enrich/detection/formats"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// tally counts what the detections of a format have, and what is found by its draft.
type tally struct{ alerts, time, dated, rated, severity, title, withHost, host, observables, found int }

// samples are the fixtures of a format that hold one event, which is one detection.
func samples(t *testing.T, plain *detection.Decoder, name string) (bodies [][]byte, events [][]detection.Leaf) {
	t.Helper()
	syntax := detection.NewSyntax(detection.Limits{})
	files, err := filepath.Glob(filepath.Join("..", "testdata", name, "*"))
	must(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, ".golden") {
			continue
		}
		body, err := os.ReadFile(file)
		must(t, err)
		r, err := plain.Decode(detection.Message{Body: body, Time: now})
		if err != nil || len(r.Detections) != 1 || r.Format != name {
			continue
		}
		leaves, err := syntax.Leaves(body)
		must(t, err)
		if len(leaves) == 1 {
			bodies, events = append(bodies, body), append(events, leaves[0])
		}
	}
	return bodies, events
}

// TestADraftFindsWhatAHiddenFormatFinds: of every built-in format a draft is made from its own fixtures, as if nobody knew it, and held
// against it. The bounds are what was measured: they are to grow. A severity counts where the format takes it from the event.
func TestADraftFindsWhatAHiddenFormatFinds(t *testing.T) {
	t.Parallel()
	plain, err := detection.New(detection.Options{Why: true})
	must(t, err)
	files, pins, bodies := fstest.MapFS{}, []detection.Pin{}, map[string][][]byte{}
	for _, name := range plain.Formats() {
		found, events := samples(t, plain, name)
		if len(events) == 0 {
			continue
		}
		bodies[name] = found
		files["drafted_"+name+".yaml"] = &fstest.MapFile{Data: []byte(Of("drafted_"+name, events))}
		pins = append(pins, detection.Pin{Subject: name, Format: "drafted_" + name})
	}
	drafted, err := detection.New(detection.Options{Formats: []fs.FS{files}, Pins: pins})
	if err != nil {
		t.Fatalf("a draft does not load: %v", err)
	}
	var all tally
	below := 0
	for _, name := range slices.Sorted(maps.Keys(bodies)) {
		var own tally
		for _, body := range bodies[name] {
			own.hold(t, plain, drafted, name, body)
		}
		all.add(own)
		if 10*own.found < 8*own.observables {
			below++
			t.Logf("below 80 %%: %s %+v", name, own)
		}
	}
	t.Logf("%d formats, %d of them below 80 %% of observables; all: %+v", len(bodies), below, all)
	for what, enough := range map[string]bool{
		"formats": below <= 7, "observables": 100*all.found >= 95*all.observables, "times": 100*all.time >= 79*all.alerts, "any time": 100*all.dated >= 96*all.alerts,
		"titles": 100*all.title >= 99*all.alerts, "severities": 100*all.severity >= 80*all.rated, "hosts": 100*all.host >= 80*all.withHost,
	} {
		if !enough {
			t.Errorf("%s: %+v", what, all)
		}
	}
}

func (y *tally) hold(t *testing.T, plain, drafted *detection.Decoder, name string, body []byte) {
	t.Helper()
	m := detection.Message{Subject: name, Body: body, Time: now}
	want, err := plain.Decode(m)
	must(t, err)
	w := want.Detections[0]
	y.alerts++
	y.observables += len(w.Observables)
	y.withHost += one(w.Host != "")
	got, err := drafted.Decode(m)
	if err != nil || len(got.Detections) == 0 {
		return
	}
	g := got.Detections[0]
	y.time += one(g.Time.Equal(w.Time))
	y.dated += one(g.Time.Equal(w.Time) || !g.Time.Equal(now))
	if slices.ContainsFunc(w.Why, func(o detection.Origin) bool { return o.Field == "severity" && o.Path != "" }) {
		y.rated++
		y.severity += one(g.Severity == w.Severity)
	}
	y.title += one(g.Title != "")
	y.host += one(w.Host != "" && canon.FoldHost(g.Host, false) == canon.FoldHost(w.Host, false))
	for _, o := range w.Observables {
		y.found += one(slices.ContainsFunc(g.Observables, func(x detection.Observable) bool { return x.Data == o.Data }))
	}
}

func (y *tally) add(o tally) {
	y.alerts += o.alerts
	y.time += o.time
	y.dated += o.dated
	y.rated += o.rated
	y.severity += o.severity
	y.title += o.title
	y.withHost += o.withHost
	y.host += o.host
	y.observables += o.observables
	y.found += o.found
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// FuzzDraft: whatever the samples, the draft loads.
func FuzzDraft(f *testing.F) {
	f.Add([]byte(`{"title":"x","severity":3,"time":"2026-03-02T08:12:40Z","a b":{"@c":["10.1.2.3","x.example.com"]}}`))
	f.Add([]byte("<13>Oct 11 22:14:15 fw1 CEF:0|a|b|1|100|worm|10|src=198.51.100.7 act=no"))
	f.Add([]byte(`[{"yes":"T1059","#":1,"- a":true,"":{"":"HKLM\\x"}},{"null":"md5=266aedbec51e35277729294996a213dd","a.b":"C:\\x.exe","x[y]":1}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		leaves, err := detection.NewSyntax(detection.Limits{}).Leaves(body)
		if err != nil {
			return
		}
		text := Of("drafted", leaves)
		if _, err := formats.New(fstest.MapFS{"drafted.yaml": &fstest.MapFile{Data: []byte(text)}}); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}
