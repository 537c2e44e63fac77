package pipeline

import (
	"slices"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"forager/enrich"
)

// TestASettlementSaysWhereItsMessageWent: each case once, also in the line of the log.
func TestASettlementSaysWhereItsMessageWent(t *testing.T) {
	core, lines := observer.New(zapcore.InfoLevel)
	r := newRig(t, func(o *Options) { o.Log = zap.New(core) })
	r.ensure()
	r.publishRaw("alerts.test", []byte(`{"id":"a","keys":["k","k","l"]}`))
	r.publishRaw("alerts.test", []byte(`{`))
	_, stop := r.start()
	r.ended(2)
	must(t, stop())
	whole := ended(r, ActionAck)
	var want []enrich.Landing
	for _, batch := range r.applier.batches {
		for _, p := range batch {
			if in := landingOf(p); !slices.Contains(want, in) {
				want = append(want, in)
			}
		}
	}
	same := func(a, b []enrich.Landing) bool {
		return len(a) == len(b) && !slices.ContainsFunc(a, func(x enrich.Landing) bool { return !slices.Contains(b, x) })
	}
	if len(want) != 2 || !same(whole.Cases, want) || whole.First == nil || whole.First.SourceID == "" {
		t.Errorf("cases %v, want %v; first plan %v", whole.Cases, want, whole.First)
	}
	letter := ended(r, ActionDeadLetter)
	if letter.Cases != nil || letter.First != nil {
		t.Errorf("a message that nobody can read went to %v", letter.Cases)
	}
	for _, line := range lines.FilterMessage("message settled").All() {
		cases, said := line.ContextMap()["cases"].([]any)
		if said != (line.ContextMap()["action"] == "ack") || said && len(cases) != 2 {
			t.Errorf("line %v", line.ContextMap())
		}
	}
}

// ended is the settlement of the one message that ended so.
func ended(r *rig, action Action) (one Settlement) {
	r.seen.count(func(s Settlement) bool {
		if s.Action == action {
			one = s
		}
		return false
	})
	return one
}
