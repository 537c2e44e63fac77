package metrics

import "github.com/prometheus/client_golang/prometheus"

// Feedback counts what sources are told of their alerts. Safe for concurrent use.
type Feedback struct {
	shown  *table
	told   *prometheus.CounterVec
	untold prometheus.Counter
}

// What a message to a source is counted as.
const (
	toldAnew  = "stored"
	toldAgain = "there already" // an earlier worker died, or its answer was lost
)

func newFeedback(t *table) *Feedback {
	f := &Feedback{
		shown:  t,
		told:   t.counter("forager_feedback_messages_total", "messages to sources, by what became of the case (closed, reopened, status) and whether the stream had them", "event", "result"),
		untold: t.counter("forager_feedback_failed_total", "looks at cases whose sources could not be told; each is tried again").WithLabelValues(),
	}
	for _, event := range []string{"closed", "reopened", "status"} {
		f.told.WithLabelValues(event, toldAnew)
		f.told.WithLabelValues(event, toldAgain)
	}
	return f
}

// Told counts a message that the stream has, by the event's word, which is of a closed list.
func (f *Feedback) Told(event string, anew bool) {
	result := toldAgain
	if anew {
		result = toldAnew
	}
	f.told.WithLabelValues(event, result).Inc()
}

// NotTold counts a look at a case that failed.
func (f *Feedback) NotTold() { f.untold.Inc() }

// WatchFeedback adds a gauge of the cases that wait to be looked at. It is called once.
func (f *Feedback) WatchFeedback(waiting func() int) error {
	f.shown.watch("forager_feedback_waiting", "cases that are to be looked at, since their sources may be owed word", func() float64 { return float64(waiting()) })
	return f.shown.failed
}
