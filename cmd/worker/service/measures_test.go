package service

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"forager/cmd/worker/shell"
	"forager/cmd/worker/workertest"
	"forager/enrich/apply"
	"forager/hive"
	"forager/pipeline"
	"forager/pipeline/rollback"
)

var update = flag.Bool("update", false, "write golden files anew")

// reference is the table of all metrics.
func reference(t *testing.T) string {
	t.Helper()
	m, err := newMeasures()
	if err != nil {
		t.Fatal(err)
	}
	m.metrics.WatchRollbacks(func() []rollback.Incident { return nil })
	if err := m.metrics.Watch(func() (int, int) { return 0, 0 }, func() int { return 0 }, func() bool { return false }, func() []pipeline.Organisation { return nil }, func() (int, bool) { return 0, false }); err != nil {
		t.Fatal(err)
	}
	if err := m.metrics.WatchThresholds(func() (int, uint64) { return 0, 0 }); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := m.metrics.WriteReference(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestTableOfMetricsIsThatOfTheCode: -update writes it anew.
func TestTableOfMetricsIsThatOfTheCode(t *testing.T) {
	name := filepath.Join(workertest.Root(t), "docs", "reference", "metrics.md")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, table, ok := strings.Cut(string(text), "\n| Metric ")
	if !ok {
		t.Fatal("docs/reference/metrics.md has lost its table")
	}
	want := reference(t)
	if *update {
		if err := os.WriteFile(name, []byte(head+"\n"+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, "| Metric "+table); d != "" {
		t.Error(d)
	}
}

type well struct{}

func (well) Ready() (bool, []string) { return true, nil }
func (well) Notes() []string         { return nil }

func TestMetricsAreServedAndProfilesOnlyWhenAskedFor(t *testing.T) {
	m, err := newMeasures()
	if err != nil {
		t.Fatal(err)
	}
	m.called(hive.Call{Op: "get case", Status: 200, Duration: time.Second})
	happenings{eventLog{zap.NewNop()}, m.metrics, nil}.Happened(apply.Event{Kind: apply.EventDoubled})
	closed, open := opsHandler(well{}, m.handler(), nil, false), opsHandler(well{}, m.handler(), nil, true)
	status, _, body := workertest.Scrape(t, closed, "/metrics", "")
	if status != http.StatusOK {
		t.Errorf("/metrics: %d", status)
	}
	for _, want := range []string{
		"forager_build_info{goversion=", `forager_call_seconds_count{operation="get case",status="200"} 1`, "forager_doubled_cases_total 1",
		`forager_noticed_total{what="letter unstored"} 0`, "go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	if _, header, _ := workertest.Scrape(t, closed, "/metrics", protobuf); !strings.HasPrefix(header.Get("Content-Type"), "application/vnd.google.protobuf") {
		t.Errorf("asked for protobuf, which native histograms need: %s", header.Get("Content-Type"))
	}
	for path, want := range map[string]int{"/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/cmdline": 404} {
		if got, _, _ := workertest.Scrape(t, closed, path, ""); got != http.StatusNotFound {
			t.Errorf("%s without ops.pprof: %d", path, got)
		}
		if got, _, _ := workertest.Scrape(t, open, path, ""); got != want {
			t.Errorf("%s with ops.pprof: %d, want %d", path, got, want)
		}
	}
	if got, _, body := workertest.Scrape(t, closed, "/version", ""); got != http.StatusOK || !strings.Contains(body, shell.Version()) {
		t.Errorf("/version: %d %s", got, body)
	}
}

// heard counts what an observer is told.
type heard struct{ settled, gate, noticed int }

func (h *heard) Settled(pipeline.Settlement) { h.settled++ }
func (h *heard) Gate(bool, string)           { h.gate++ }
func (h *heard) Noticed(string)              { h.noticed++ }

func TestAnotherObserverHearsTheSame(t *testing.T) {
	m, err := newMeasures()
	if err != nil {
		t.Fatal(err)
	}
	other := &heard{}
	o := m.observer(other)
	o.Settled(pipeline.Settlement{})
	o.Gate(true, "")
	o.Noticed(pipeline.NoticePanic)
	if *other != (heard{1, 1, 1}) {
		t.Errorf("%+v", *other)
	}
	if m.observer(nil) != pipeline.Observer(m.metrics) {
		t.Error("metrics alone are wrapped")
	}
}

func TestSweepingPausesBetweenKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := func(yield func(string, error) bool) {
			for range 1000 {
				if !yield("key.x", nil) {
					return
				}
			}
		}
		began, n := time.Now(), 0
		for _, err := range slowly(t.Context(), keys) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 50 {
				break
			}
		}
		if took := time.Since(began); took < 50*sweepPause {
			t.Errorf("50 keys in %s", took)
		}
	})
}
