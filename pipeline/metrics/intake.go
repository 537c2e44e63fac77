package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Intake counts what the intake of events does. Safe for concurrent use.
type Intake struct {
	sources, results *words
	requests, bytes  *prometheus.CounterVec
	seconds          prometheus.Observer
}

// NewIntake registers the metrics of an intake alone, among them the version as build info. Its error is
// the registry's. Those of an intake in a worker are in [Metrics].
func NewIntake(r prometheus.Registerer, version string, ready func() bool) (*Intake, error) {
	t := &table{registry: r}
	t.build(version)
	t.watch("forager_ready", "1 while work gets done, as /readyz says", func() float64 { return oneIf(ready()) })
	return newIntake(t), t.failed
}

func newIntake(t *table) *Intake {
	return &Intake{
		sources: newWords(), results: newWords(),
		requests: t.counter("forager_intake_requests_total", "requests of the intake, by who sent them (none: not known) and by what became of them: stored, duplicate, or why not", "source", "result"),
		bytes:    t.counter("forager_intake_bytes_total", "bytes of the bodies that the intake took, decompressed", "source"),
		seconds:  t.histogram("forager_intake_seconds", "from a request's headers to its answer, of those that were stored", callBuckets).WithLabelValues(),
	}
}

// Expect shows the words of these sources as 0 from the start, so that the first of them is an increase.
func (i *Intake) Expect(sources, results []string) {
	for _, s := range sources {
		i.bytes.WithLabelValues(i.sources.fold(s))
		for _, r := range results {
			i.requests.WithLabelValues(i.sources.fold(s), i.results.fold(r))
		}
	}
}

// Took counts a request of a source, empty where it is not known; stored tells whether the stream has it.
func (i *Intake) Took(source, result string, stored bool, bytes int, took time.Duration) {
	i.requests.WithLabelValues(i.sources.fold(source), i.results.fold(result)).Inc()
	if stored {
		i.bytes.WithLabelValues(i.sources.fold(source)).Add(float64(bytes))
		i.seconds.Observe(took.Seconds())
	}
}
