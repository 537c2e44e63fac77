package demo

import (
	"bytes"
	"testing"

	"forager/cmd/worker/events"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/shell"
	"forager/config"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/mitre"
)

// TestSamplesBecomeDetections: each file of samples is of the format that it is named after, all
// of it has a place in a case, and every format has one.
func TestSamplesBecomeDetections(t *testing.T) {
	c := config.Default()
	decoder, err := rulefiles.NewDecoder(&c, rulefiles.NewWitness(), rulefiles.Trial{})
	if err != nil {
		t.Fatal(err)
	}
	planner := rulefiles.NewPlanner(&c, mitre.Embedded(), nil, nil, nil)
	for _, format := range decoder.Formats() {
		if format == "generic" { // it recognises nothing
			continue
		}
		text, err := samples.ReadFile("samples/" + format + ".ndjson")
		if err != nil {
			t.Errorf("no samples of %s", format)
			continue
		}
		events.Split(format, bytes.NewReader(text), func(e events.Event, err error) bool {
			if err != nil {
				t.Fatal(err)
			}
			got, err := decoder.Decode(detection.Message{Subject: "demo", Body: e.Body})
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

// TestReportMissesWhatIsNotThere: the demonstration's own proof must be able to fail.
func TestReportMissesWhatIsNotThere(t *testing.T) {
	sh := &shell.Shell{Out: t.Output(), Err: t.Output()}
	s, err := newStage(t.Context(), sh, &demoCmd{Calm: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.publish(t.Context(), nil, sh, (&demoCmd{}).events(s.decoder)); err != nil {
		t.Fatal(err)
	}
	if err := s.settle(t.Context(), nil); err != nil {
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
