package service

import (
	"testing"
	"time"

	"forager/cmd/worker/recent"
	"forager/enrich"
	"forager/pipeline"
)

// hearing is an observer that does something when it hears of a settlement.
type hearing struct {
	pipeline.Observer

	do func(pipeline.Settlement)
}

func (h hearing) Settled(s pipeline.Settlement) { h.do(s) }

// TestWhoHearsOfASettlementFindsItOnThePage: what waits for a settlement, as the demonstration does, looks at the page next.
func TestWhoHearsOfASettlementFindsItOnThePage(t *testing.T) {
	t.Parallel()
	history := recent.New(time.Now)
	heard := false
	o := onPage(history, hearing{do: func(s pipeline.Settlement) {
		heard = true
		if _, known := history.Known(s.Sequence); !known {
			t.Errorf("message %d is settled, and the page does not know it", s.Sequence)
		}
	}})
	o.Settled(pipeline.Settlement{Stream: "DETECTIONS", Sequence: 7, Class: enrich.None})
	if !heard {
		t.Error("nobody heard of it")
	}
}
