package metrics

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/pipeline"
	"forager/pipeline/stream"
)

func newTestMetrics(t *testing.T) (*Metrics, *prometheus.Registry) {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	m, err := New(r, "v1")
	if err != nil {
		t.Fatal(err)
	}
	return m, r
}

// gathered gives every sample that is not 0, by name and labels; of histograms the count.
func gathered(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, sample := range f.GetMetric() {
			var labels []string
			for _, l := range sample.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			value := sample.GetCounter().GetValue() + sample.GetGauge().GetValue() + float64(sample.GetHistogram().GetSampleCount())
			if value != 0 {
				all[strings.TrimPrefix(f.GetName(), "forager_")+"{"+strings.Join(labels, ",")+"}"] = value
			}
		}
	}
	return all
}

// counted is what changed between what a worker shows at its start and now.
func counted(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	all := gathered(t, r)
	for name := range all {
		if strings.HasPrefix(name, "build_info{") {
			delete(all, name)
		}
	}
	delete(all, "gate_open{}")
	return all
}

func TestSettlementsAreCountedByOutcomeReasonAndFormat(t *testing.T) {
	for name, test := range map[string]struct {
		settlement pipeline.Settlement
		want       map[string]float64
	}{
		"acknowledged": {
			pipeline.Settlement{Action: pipeline.ActionAck, Plans: 2, Format: "falco", Deliveries: 1, Dropped: []string{"silenced"}},
			map[string]float64{"settled_total{outcome=ack,reason=none}": 1, "detections_total{format=falco}": 2, "dropped_total{reason=silenced}": 1, "settle_seconds{}": 1},
		},
		"dropped": {
			pipeline.Settlement{Action: pipeline.ActionAck, Class: enrich.Dropped, Reason: "silenced", Format: "falco", Dropped: []string{"silenced"}, Deliveries: 1},
			map[string]float64{"settled_total{outcome=dropped,reason=silenced}": 1, "dropped_total{reason=silenced}": 1, "settle_seconds{}": 1},
		},
		"buried at the second delivery, with a clock that runs behind": {
			pipeline.Settlement{Action: pipeline.ActionDeadLetter, Class: enrich.Malformed, Reason: "no format", Deliveries: 2, Age: -time.Hour},
			map[string]float64{"settled_total{outcome=dead letter,reason=no format}": 1, "dead_letters_total{reason=no format}": 1, "redeliveries_total{}": 1, "settle_seconds{}": 1},
		},
		"put back, so that nothing ended": {
			pipeline.Settlement{Action: pipeline.ActionNak, Class: enrich.Transient, Reason: "transient", Plans: 3, Format: "falco", Dropped: []string{"silenced"}, Deliveries: 1},
			map[string]float64{"settled_total{outcome=nak,reason=transient}": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, r := newTestMetrics(t)
			m.Settled(test.settlement)
			if d := cmp.Diff(test.want, counted(t, r)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestGateAndCallsAndMeasurementsAreShown(t *testing.T) {
	m, r := newTestMetrics(t)
	m.Gate(false, "blocked")
	m.Gate(true, "")
	m.Gate(false, "thehive does not answer")
	m.Called("create case", 201, time.Second)
	m.Called("create case", 0, time.Second)
	m.Called("create case", 70000, time.Second)
	m.Measured(stream.Lag{Pending: 5, AckPending: 6, AckLimit: 10, Gone: 7, Letters: 8, LettersBytes: 9, LettersLimit: 0})
	m.Measured(stream.Lag{Pending: 4, AckPending: 6, AckLimit: 20, Gone: 9, Letters: 8, LettersBytes: 9, LettersLimit: 100})
	m.Held(12, 0.25, time.Minute)
	if got := gathered(t, r)["gate_open{}"]; got != 0 {
		t.Errorf("gate_open %v while it is closed", got)
	}
	want := map[string]float64{
		"gate_closed_total{reason=blocked}": 1, "gate_closed_total{reason=thehive does not answer}": 1,
		"call_seconds{operation=create case,status=0}": 1, "call_seconds{operation=create case,status=201}": 1, "call_seconds{operation=create case,status=599}": 1,
		"lag_pending{}": 4, "hold_messages{}": 12, "hold_fill_ratio{}": 0.25, "hold_oldest_seconds{}": 60, "lag_ack_pending{}": 6, "lag_ack_pending_limit{}": 20, "messages_gone_total{}": 9,
		"dead_letters_stored{}": 8, "dead_letters_stored_bytes{}": 9, "dead_letters_limit_bytes{}": 100,
	}
	if d := cmp.Diff(want, counted(t, r)); d != "" {
		t.Error(d)
	}
}

// planned plans what it is told.
type planned struct {
	plan enrich.Plan
	err  error
}

func (p planned) Plan(detection.Detection, enrich.Origin) (enrich.Plan, error) { return p.plan, p.err }

type applied struct{}

func (applied) Apply(_ context.Context, b enrich.Batch) []error {
	return make([]error, len(b.Plans))
}

func TestPlansAndGroupsAreCountedAndPassedOn(t *testing.T) {
	m, r := newTestMetrics(t)
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	plan := enrich.Plan{Hash: "h", At: at, Techniques: []enrich.Technique{{ID: "T1", Kind: 1}, {ID: "T2", Kind: 1}, {}}}
	got, err := m.Planning(planned{plan: plan}).Plan(detection.Detection{}, enrich.Origin{Time: at.Add(-time.Minute)})
	if err != nil || got.Hash != "h" {
		t.Errorf("plan %q, %v", got.Hash, err)
	}
	refused := &enrich.DroppedError{Reason: "silenced"}
	if _, err := m.Planning(planned{err: refused}).Plan(detection.Detection{}, enrich.Origin{}); !errors.Is(err, refused) {
		t.Errorf("error %v", err)
	}
	if results := m.Applying(applied{}).Apply(t.Context(), enrich.Batch{Queue: "q", Plans: make([]enrich.Plan, 3)}); len(results) != 3 {
		t.Errorf("%d results", len(results))
	}
	want := map[string]float64{
		"store_seconds{}": 1, "attack_mappings_total{kind=same}": 2, "attack_mappings_total{kind=none}": 1,
		"apply_seconds{}": 1, "group_size{}": 1,
	}
	if d := cmp.Diff(want, counted(t, r)); d != "" {
		t.Error(d)
	}
}

// TestWordsOfStrangersDoNotGrow: whatever becomes a label, hundreds of values stay a hundred-odd.
func TestWordsOfStrangersDoNotGrow(t *testing.T) {
	m, r := newTestMetrics(t)
	for i := range 5 * mostWords {
		word := "word " + strconv.Itoa(i)
		m.Settled(pipeline.Settlement{Action: pipeline.ActionDeadLetter, Reason: word, Format: word, Plans: 1, Dropped: []string{word, "\xff\xfe", strings.Repeat("long", 99)}})
		m.Called(word, 200, 0)
		m.Noticed(word)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if n := len(f.GetMetric()); n > mostWords+len(noticeWords)+2 {
			t.Errorf("%s has %d series", f.GetName(), n)
		}
	}
}

// TestEveryWordOfAClosedListIsShownFromTheStart: a counter that appears with its first event
// shows no increase, and an alert on it would not be raised.
func TestEveryWordOfAClosedListIsShownFromTheStart(t *testing.T) {
	if missing := slices.DeleteFunc(constants(t, "../observe.go", "Notice"), func(w string) bool { return slices.Contains(noticeWords, w) }); len(missing) > 0 {
		t.Errorf("not shown before they happen: %q", missing)
	}
	kinds := constants(t, "../../enrich/apply/applier.go", "Event")
	for _, kind := range kinds {
		if _, ok := eventMetrics[apply.EventKind(kind)]; !ok {
			t.Errorf("no metric counts %q", kind)
		}
	}
	if len(kinds) != len(eventMetrics) {
		t.Errorf("%d kinds of events, %d metrics", len(kinds), len(eventMetrics))
	}
	m, r := newTestMetrics(t)
	before := len(gatheredNames(t, r))
	for _, kind := range kinds {
		m.Happened(apply.Event{Kind: apply.EventKind(kind)})
	}
	if got := counted(t, r); len(got) != len(kinds) {
		t.Errorf("%d events counted of %d: %v", len(got), len(kinds), got)
	}
	if after := len(gatheredNames(t, r)); after != before {
		t.Errorf("%d metrics before the first event, %d after", before, after)
	}
}

func gatheredNames(t *testing.T, r *prometheus.Registry) []string {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	return names
}

// constants are the texts of the constants of a file that begin with a prefix.
func constants(t *testing.T, file, prefix string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) || len(spec.Values) == 0 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text)
		}
		return true
	})
	if len(all) == 0 {
		t.Fatalf("%s: no constants %s…", file, prefix)
	}
	return all
}

// TestEverySampleIsInTheReference, and every line of it has a metric.
func TestEverySampleIsInTheReference(t *testing.T) {
	m, r := newTestMetrics(t)
	one := func() int { return 1 }
	two := func() []pipeline.Organisation {
		return []pipeline.Organisation{{Name: "acme", Open: true}, {Name: "initech", Waiting: 3}}
	}
	if err := m.Watch(func() (int, int) { return 1, 2 }, one, func() bool { return true }, two, func() (int, bool) { return 2, true }); err != nil {
		t.Fatal(err)
	}
	m.Settled(pipeline.Settlement{Action: pipeline.ActionDeadLetter, Plans: 1, Dropped: []string{"x"}})
	m.Called("x", 200, 0)
	m.Happened(apply.Event{Kind: apply.EventWaited})
	m.Took("x", "stored", true, 1, 0)
	var text strings.Builder
	if err := m.WriteReference(&text); err != nil {
		t.Fatal(err)
	}
	var named []string
	for line := range strings.Lines(text.String()) {
		if _, after, ok := strings.Cut(line, "| `forager_"); ok {
			name, _, _ := strings.Cut(after, "`")
			named = append(named, "forager_"+name)
		}
	}
	if d := cmp.Diff(gatheredNames(t, r), named); d != "" {
		t.Error(d)
	}
	if m2, err := New(r, "again"); err == nil {
		t.Errorf("registered twice: %v", fmt.Sprint(m2.rows[0]))
	}
}

// TestWhatWaitsIsCountedWhenItWaitsAndWhenItGoesOn, by another outcome each time.
func TestWhatWaitsIsCountedWhenItWaitsAndWhenItGoesOn(t *testing.T) {
	m, r := newTestMetrics(t)
	for _, s := range []pipeline.Settlement{
		{Action: pipeline.ActionAck, Waits: 2, Deliveries: 1},
		{Action: pipeline.ActionAck, Waits: 1, Plans: 1, Format: "falco", Deliveries: 1},
		{Action: pipeline.ActionAck, Class: enrich.Dropped, Reason: enrich.ReasonBelow, Dropped: []string{enrich.ReasonBelow}, Carried: true, Deliveries: 1},
	} {
		m.Settled(s)
	}
	want := map[string]float64{
		"settled_total{outcome=waits,reason=none}": 1, "settled_total{outcome=ack,reason=none}": 1, "settled_total{outcome=dropped,reason=below threshold}": 1,
		"threshold_waits_total{}": 3, "dropped_total{reason=below threshold}": 1, "detections_total{format=falco}": 1, "settle_seconds{}": 3,
	}
	if d := cmp.Diff(want, counted(t, r)); d != "" {
		t.Error(d)
	}
}
