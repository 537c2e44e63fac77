package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Feedback counts what sources are told of their alerts. Safe for concurrent use.
type Feedback struct {
	told    *prometheus.CounterVec
	untold  prometheus.Counter
	waiting atomic.Pointer[func() int] // nil: off
}

// What a message to a source is counted as.
const (
	toldAnew  = "stored"
	toldAgain = "there already" // an earlier worker died, or its answer was lost
)

func newFeedback(t *table) *Feedback {
	f := &Feedback{
		told:   t.counter("forager_feedback_messages_total", "messages to sources, by what became of the case (closed, reopened, status) and whether the stream had them", "event", "result"),
		untold: t.counter("forager_feedback_failed_total", "looks at cases whose sources could not be told; each is tried again").WithLabelValues(),
	}
	t.watch("forager_feedback_waiting", "cases that are to be looked at, since their sources may be owed word", func() float64 {
		if waiting := f.waiting.Load(); waiting != nil {
			return float64((*waiting)())
		}
		return 0
	})
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

// WatchFeedback says where the cases are counted that wait to be looked at; before, there are none.
func (f *Feedback) WatchFeedback(waiting func() int) { f.waiting.Store(&waiting) }
