package service

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/cmd/worker/rulefiles"
	"forager/config"
	"forager/enrich/apply"
	"forager/enrich/detection"
)

// TestLimitsOfTheConfigurationReachWhatTheyBound, those of a case and those of a message.
func TestLimitsOfTheConfigurationReachWhatTheyBound(t *testing.T) {
	c := config.Default()
	if diff := cmp.Diff(apply.Limits{Observables: 2000, Procedures: 500, Comments: 500, Tags: 100, Analyses: 100, Outstanding: 100}, caseLimits(&c)); diff != "" {
		t.Errorf("without a configuration: %s", diff)
	}
	c.Limits.ObservablesPerDetection, c.Limits.TechniquesPerDetection, c.Limits.TagsPerDetection = 3, 2, 1
	c.Limits.FilesPerDetection, c.Limits.DetectionsPerMessage = 1, 2
	decoder, err := rulefiles.NewDecoder(&c, rulefiles.NewWitness(), rulefiles.Trial{})
	if err != nil {
		t.Fatal(err)
	}
	one := `{"schema":"forager.detection/v1","id":"%d","time":"2026-03-02T08:12:00Z","title":"t","host":"ws-7","severity":2,` +
		`"observables":[{"dataType":"ip","data":"198.51.100.1"},{"dataType":"ip","data":"198.51.100.2"},{"dataType":"ip","data":"198.51.100.3"},{"dataType":"ip","data":"198.51.100.4"}],` +
		`"techniques":["T1059","T1055","T1110"],"tags":["a","b"],"files":[{"name":"a","base64":"YQ=="},{"name":"b","base64":"Yg=="}]}`
	got, err := decoder.Decode(detection.Message{Subject: "detections.x", Body: fmt.Appendf(nil, one, 1), Time: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	d := got.Detections[0]
	counts := []int{len(d.Observables), len(d.Techniques), len(d.Tags), len(d.Files)}
	if diff := cmp.Diff([]int{3, 2, 1, 1}, counts); diff != "" {
		t.Errorf("observables, techniques, tags, files: %s", diff)
	}
	three := "[" + strings.Join([]string{fmt.Sprintf(one, 1), fmt.Sprintf(one, 2), fmt.Sprintf(one, 3)}, ",") + "]"
	if _, err := decoder.Decode(detection.Message{Subject: "detections.x", Body: []byte(three), Time: time.Unix(0, 0)}); err == nil || !strings.Contains(err.Error(), "too many detections") {
		t.Errorf("three detections in a message: %v", err)
	}
}
