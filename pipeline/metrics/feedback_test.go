package metrics

import "testing"

func TestFeedbackIsCounted(t *testing.T) {
	m, r := newTestMetrics(t)
	if got := gathered(t, r)["feedback_waiting{}"]; got != 0 {
		t.Errorf("off: %v wait", got)
	}
	m.Told("closed", true)
	m.Told("closed", true)
	m.Told("closed", false)
	m.NotTold()
	m.WatchFeedback(func() int { return 7 })
	got := gathered(t, r)
	for name, want := range map[string]float64{
		"feedback_messages_total{event=closed,result=stored}": 2, "feedback_messages_total{event=closed,result=there already}": 1,
		"feedback_messages_total{event=reopened,result=stored}": 0, "feedback_failed_total{}": 1, "feedback_waiting{}": 7,
	} {
		if n := got[name]; n != want {
			t.Errorf("%s: %v, want %v", name, n, want)
		}
	}
}
