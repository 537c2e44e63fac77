package metrics

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"forager/pipeline"
	"forager/pipeline/rollback"
)

// row is one metric in the reference.
type row struct{ name, kind, labels, help string }

// table registers metrics, and keeps what the reference says of them.
type table struct {
	registry prometheus.Registerer
	failed   error // of registrations
	rows     []row
}

// build says what runs.
func (m *table) build(version string) {
	m.gauge("forager_build_info", "1; the labels say what runs", "version", "goversion").WithLabelValues(version, runtime.Version()).Set(1)
}

// register registers a collector and keeps what the reference says of it.
func (m *table) register(c prometheus.Collector, r row) {
	if err := m.registry.Register(c); err != nil {
		m.failed = errors.Join(m.failed, fmt.Errorf("register %s: %w", r.name, err))
	}
	m.rows = append(m.rows, r)
}

func (m *table) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.register(c, row{name, "counter", strings.Join(labels, ", "), help})
	return c
}

func (m *table) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.register(g, row{name, "gauge", strings.Join(labels, ", "), help})
	return g
}

// watch registers a gauge that is read at each scrape.
func (m *table) watch(name, help string, read func() float64) {
	m.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read), row{name, "gauge", "", help})
}

// each is a gauge for each of a few names, read at each scrape: a name that is gone leaves no
// value behind.
type each struct {
	desc *prometheus.Desc
	read func(show func(name string, value float64))
}

// Describe is for the registry.
func (e each) Describe(to chan<- *prometheus.Desc) { to <- e.desc }

// Collect reads the values.
func (e each) Collect(to chan<- prometheus.Metric) {
	e.read(func(name string, value float64) {
		to <- prometheus.MustNewConstMetric(e.desc, prometheus.GaugeValue, value, name)
	})
}

// watchEach registers a gauge with one label that is read at each scrape.
func (m *table) watchEach(name, help, label string, read func(show func(name string, value float64))) {
	m.register(each{prometheus.NewDesc(name, help, []string{label}, nil), read}, row{name, "gauge", label, help})
}

// watchOrganisations shows how the worker stands with each of several organisations.
func (m *Metrics) watchOrganisations(read func() []pipeline.Organisation) {
	m.watchEach("forager_organisation_open", "where several organisations are served: 1 while the worker is let in, 0 while TheHive refuses it there", "organisation",
		func(show func(string, float64)) {
			for _, o := range read() {
				show(o.Name, oneIf(o.Open))
			}
		})
	m.watchEach("forager_organisation_waiting", "messages, about, that went back from this replica for an organisation that refuses it and have not returned", "organisation",
		func(show func(string, float64)) {
			for _, o := range read() {
				show(o.Name, float64(o.Waiting))
			}
		})
}

// WatchRollbacks shows what stands of rollbacks of the stream and the ledger. It is called before [Metrics.Watch], once.
func (m *Metrics) WatchRollbacks(stands func() []rollback.Incident) {
	m.watchEach("forager_rolled_back_messages", "messages, or changes of the ledger, that are gone since the stream or the ledger went back, for a day after it was noticed; of a mirror or consumer, by how many it is off; at least 1", "what",
		func(show func(string, float64)) {
			sums := map[rollback.Kind]uint64{}
			for _, i := range stands() {
				sums[i.Kind] += max(i.Count, 1)
			}
			for _, kind := range rollback.Kinds() {
				if sums[kind] > 0 {
					show(string(kind), float64(sums[kind]))
				}
			}
		})
}

// oneIf is 1 for true.
func oneIf(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// histogram is native, within a tenth of every value, and has classic buckets besides.
func (m *table) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
	}, labels)
	m.register(h, row{name, "histogram", strings.Join(labels, ", "), help})
	return h
}

// zero shows words of a closed list from the start.
func zero(c *prometheus.CounterVec, words []string) {
	for _, w := range words {
		c.WithLabelValues(w)
	}
}

// WriteReference writes a table of all metrics, in Markdown, by name.
func (m *table) WriteReference(w io.Writer) error {
	rows := slices.SortedFunc(slices.Values(m.rows), func(a, b row) int { return cmp.Compare(a.name, b.name) })
	var b strings.Builder
	b.WriteString("| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.name, r.kind, r.labels, r.help)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}
