package demo

import (
	"regexp"
	"strings"
	"testing"

	"forager/cmd/worker/events"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/workertest"
)

// TestAWorkerThatWorksIsMeasured: one detection through the real pipeline leaves its traces.
func TestAWorkerThatWorksIsMeasured(t *testing.T) {
	sh := &shell.Shell{In: strings.NewReader(""), Out: t.Output(), Err: t.Output()}
	s, err := newStage(t.Context(), sh, &demoCmd{Calm: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { workertest.Must(t, s.Close()) }()
	body := `{"schema":"forager.detection/v1","id":"d-1","time":"2026-03-02T08:12:40Z","title":"One","severity":2,"host":"web01","techniques":["T1059.001"]}`
	workertest.Must(t, s.publish(t.Context(), nil, sh, events.Of([]string{"-"}, strings.NewReader(body))))
	workertest.Must(t, s.settle(t.Context(), nil))
	_, _, text := workertest.Scrape(t, s.service.MetricsHandler(), "/metrics", "")
	for _, want := range []string{
		`forager_settled_total\{outcome="ack",reason="none"\} 1`, `forager_detections_total\{format="[a-z]+"\} 1`,
		`forager_call_seconds_count\{operation="create case",status="201"\} 1`, `forager_attack_mappings_total\{kind="same"\} 1`,
		`forager_group_size_count 1`, `forager_store_seconds_count 1`, `forager_settle_seconds_count 1`, `forager_cases_opened_total 1`,
		`forager_gate_open 1`, `forager_ready 1`, `forager_concurrency_limit 32`, `forager_messages_gone_total 0`,
	} {
		if !regexp.MustCompile("(?m)^" + want + "$").MatchString(text) {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
