package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// TestADryRunSaysTheSameAbreast: what is worked at a time is told in the order of the stream, and is what one after the other gives.
func TestADryRunSaysTheSameAbreast(t *testing.T) {
	t.Parallel()
	b := newBackyard(t)
	day := weekAgo()
	b.publish("there", "host0", day, "203.0.113.200", "T1059")
	b.worker(0, "replay", "--since", "1h", "--again")
	for i := range 400 {
		if i%50 == 49 {
			b.send(`{"schema":"forager.detection/v1","id":"broken"`)
		} else {
			b.publish(fmt.Sprint("d-", i%350), fmt.Sprint("host", i%40), day.Add(time.Duration(i%29)*time.Hour), fmt.Sprint("203.0.113.", i%17), []string{"T1059", "T1566", "T1110"}[i%3])
		}
	}
	before, env := b.writes(), slices.Clone(b.env)
	b.env = append(slices.Clip(env), "FORAGER_HIVE_CONCURRENCY=1")
	one, said := b.worker(0, "replay", "--since", "1h", "--dry-run")
	b.env = append(slices.Clip(env), "FORAGER_HIVE_CONCURRENCY=64")
	many, saidMany := b.worker(0, "replay", "--since", "1h", "--dry-run")
	if diff := cmp.Diff(strings.Split(one, "\n"), strings.Split(many, "\n")); diff != "" {
		t.Errorf("(-one +many):\n%s", diff)
	}
	_, sum, _ := strings.Cut(said, "\n") // the first line names the replay by its beginning
	if !strings.HasSuffix(saidMany, sum) || sum == "" || strings.Count(one, "\n") != 401 || !strings.Contains(one, `"case":"new-39"`) || b.writes() != before {
		t.Errorf("%d lines; %s%s", strings.Count(one, "\n"), said, saidMany)
	}
}
