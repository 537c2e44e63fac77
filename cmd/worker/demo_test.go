package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"forager/config"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/mitre"
)

// TestSamplesBecomeDetections: each file of samples is of the format that it is named after, all
// of it has a place in a case, and every format has one.
func TestSamplesBecomeDetections(t *testing.T) {
	c := config.Default()
	decoder, err := newDecoder(&c, newWitness(), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	planner := newPlanner(&c, mitre.Embedded(), nil, nil, nil)
	for _, format := range decoder.Formats() {
		text, err := samples.ReadFile("samples/" + format + ".ndjson")
		if err != nil {
			t.Errorf("no samples of %s", format)
			continue
		}
		split(format, bytes.NewReader(text), func(e event, err error) bool {
			if err != nil {
				t.Fatal(err)
			}
			got, err := decoder.Decode(detection.Message{Subject: "demo", Body: e.body})
			if err != nil || got.Format != format || len(got.Detections) == 0 {
				t.Errorf("%s: read as %q, %d detections, %v", format, got.Format, len(got.Detections), err)
			}
			for _, d := range got.Detections {
				if p, err := planner.Plan(d, enrich.Origin{}); err != nil || p.Title == "" || p.At.Year() != 2026 {
					t.Errorf("%s: %v, %+v", format, err, p)
				}
			}
			return true
		})
	}
}

// TestRealEventsEndInTheirCasesOnce publishes all the shared samples to a TheHive that misbehaves.
func TestRealEventsEndInTheirCasesOnce(t *testing.T) {
	dir := filepath.Join(root(t), "..", "shared", "data", "samples")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the shared samples are not next to the repository")
	}
	for _, args := range [][]string{{"demo", "--once", "--json", dir}, {"demo", "--once", "--json", "--calm", dir}} {
		var out, complaints bytes.Buffer
		code := run(t.Context(), args, nil, strings.NewReader(""), &out, &complaints)
		var f figures
		if err := json.Unmarshal(out.Bytes(), &f); err != nil {
			t.Fatalf("%v: %s", err, complaints.String())
		}
		t.Logf("%+v", f)
		if code != exitDone || f.Lost != 0 || f.Duplicates != 0 || f.Published != f.Acked+f.Dropped+f.Dead || f.Cases == 0 {
			t.Errorf("exit %d, %+v, %s", code, f, complaints.String())
		}
	}
}

func TestFilesAreCutIntoEvents(t *testing.T) {
	tests := map[string][]string{
		"":                                  {""},
		"{\"a\":1}":                         {`{"a":1}`},
		"{\"a\":1}\n\n{\"b\":2}\n":          {`{"a":1}`, `{"b":2}`},
		"{\"a\":1}\nbroken\n{\"b\":2}":      {`{"a":1}`, "broken", `{"b":2}`},
		"{\n\"a\":1}\n":                     {"{\n\"a\":1}\n"},
		"{\n\"a\":1}\n{\n\"b\":2}":          {"{\n\"a\":1}", "{\n\"b\":2}"},
		"{\n\"a\":1}\nbroken":               {"{\n\"a\":1}\nbroken"},
		"[{\"a\":1},\n{\"b\":2}]":           {"[{\"a\":1},\n{\"b\":2}]"},
		"{\"a\":1}\r\n{\"b\":2}\r\n":        {`{"a":1}`, `{"b":2}`},
		strings.Repeat(" ", 70000) + "{}\n": {"{}"},
	}
	for text, want := range tests {
		var got []string
		split("x", strings.NewReader(text), func(e event, err error) bool {
			if err != nil {
				t.Error(err)
			}
			got = append(got, string(e.body))
			return true
		})
		if !slices.Equal(got, want) {
			t.Errorf("%.40q: %q, want %q", text, got, want)
		}
	}
}

// TestReportMissesWhatIsNotThere: the demonstration's own proof must be able to fail.
func TestReportMissesWhatIsNotThere(t *testing.T) {
	sh := &shell{out: t.Output(), err: t.Output()}
	s, err := newStage(t.Context(), sh, &demoCmd{Calm: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.publish(t.Context(), sh, (&demoCmd{}).events(s.decoder)); err != nil {
		t.Fatal(err)
	}
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.hive.Reset() // TheHive forgets everything that was acknowledged
	r, err := s.report(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if r.figures.Lost != r.figures.Published || r.verdict() == nil {
		t.Errorf("%+v: what was acknowledged and is not there is not lost", r.figures)
	}
}
