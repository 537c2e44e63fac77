//go:build bench && linux

package bench

import (
	"fmt"
	"testing"
	"time"
)

// ways is what detections become, by which of TheHive's ways.
type ways string

const (
	asCases  ways = ""
	byAlert  ways = "via"
	asAlerts ways = "as"
)

// routes are those of the workers.
func (w ways) routes() string {
	if w == asCases {
		return ""
	}
	return "  - {name: all, " + string(w) + ": alert}\n"
}

// alerts: the 4000 keys' detections by alert, and as alerts for the queue, beside the direct way.
func (b *bench) alerts(t *testing.T) {
	base := b.usual["4000 keys"]
	for _, c := range []struct {
		ways     ways
		name, of string
		most     float64
	}{
		{byAlert, "4000 keys, by alert", "create, promote", 2.05},
		{asAlerts, "4000 keys, as alerts", "create", 1.05},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := try(t, b.programs, trial{keys: 4000, messages: 4000, replicas: 1, calls: inFlight, manners: manners{Latency: latency}, ways: c.ways})
			b.compare(line{row: c.name, measured: "detections; base: 4000 keys in the direct way"}, o, base, 2.5)
			b.atMost(line{measured: "calls per detection", base: c.of, result: fmt.Sprintf("%.3f", o.each()), must: fmt.Sprintf("≤ %.2f", c.most)}, o.each(), c.most)
			logCalls(t, o)
		})
	}
	t.Run("latencies", b.alone)
}

// alone: how many answers a detection waits for, one after the other, when it is alone. The first of a worker's life asks, besides, what
// the account may do; what is measured is the second, of another key.
func (b *bench) alone(t *testing.T) {
	const long = 400 * time.Millisecond
	for _, c := range []struct {
		ways ways
		name string
		must float64
	}{{asCases, "a new case", 5.5}, {byAlert, "a new case by alert", 2.5}, {asAlerts, "a new alert", 1.5}} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, b.programs, manners{Latency: long})
			s.routes = c.ways.routes()
			s.work(t, b.programs, 1, inFlight)
			before := 0
			var began time.Time
			for n := range 2 {
				before, began = s.stats(t).Total, time.Now()
				if _, err := s.js.Publish(t.Context(), subject, detectionOf(n, 2, began.UTC().Truncate(24*time.Hour))); err != nil {
					t.Fatal(err)
				}
				until(t, patience, "the detection is settled", func() bool { return s.left(t) == 0 })
			}
			waits, calls := time.Since(began).Seconds()/long.Seconds(), s.stats(t).Total-before
			b.atMost(line{
				row: c.name, measured: "answers in a row, one detection alone", base: fmt.Sprintf("%s a call, %d calls", long, calls),
				result: fmt.Sprintf("%.2f", waits), must: fmt.Sprintf("≤ %.1f", c.must),
			}, waits, c.must)
		})
	}
}
