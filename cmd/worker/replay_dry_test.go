package main

import (
	"context"
	"slices"
	"testing"
	"time"

	"forager/enrich"
	"forager/enrich/threshold"
	"forager/pipeline"
)

// nothingOpen has no case.
type nothingOpen struct{}

func (nothingOpen) Opened(_ context.Context, plans []enrich.Plan) ([]bool, error) {
	return make([]bool, len(plans)), nil
}

// TestADryRunHoldsWhatAWorkerWouldHold: what waits has its line when others let it pass, or at the end.
func TestADryRunHoldsWhatAWorkerWouldHold(t *testing.T) {
	t.Parallel()
	below := newDryThresholds()
	three := threshold.Rule{Kind: threshold.Count, Need: 3, Within: time.Hour.Milliseconds()}
	send := func(sequence uint64, id, hash string, minute int) (ids []string) {
		p := enrich.Plan{SourceID: id, At: time.Date(2026, 3, 2, 8, minute, 0, 0, time.UTC), Threshold: &enrich.Threshold{Hash: hash, Rule: three, ID: id}}
		p.Origin.Sequence = sequence
		for _, ready := range below.admit(t.Context(), pipeline.Planned{Sequence: sequence, Plans: []enrich.Plan{p}}, nothingOpen{}) {
			ids = append(ids, ready.plan.SourceID)
		}
		return ids
	}
	for _, c := range []struct {
		id, hash string
		minute   int
		want     []string
	}{
		{"a", "x", 0, nil}, {"b", "y", 1, nil}, {"c", "x", 2, nil},
		{"d", "x", 3, []string{"a", "c", "d"}}, {"e", "x", 4, []string{"e"}},
	} {
		if got := send(uint64(100+c.minute), c.id, c.hash, c.minute); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.id, got, c.want)
		}
	}
	if rest := below.rest(); len(rest) != 1 || rest[0].plan.SourceID != "b" {
		t.Errorf("the rest: %+v", rest)
	}
}
