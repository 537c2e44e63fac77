//go:build bench && linux

package bench

import (
	"maps"
	"syscall"
	"testing"
	"time"
)

// trial is what a row asks for.
type trial struct {
	keys, messages  int
	replicas, calls int // calls in flight of each replica
	manners         manners
	ways            ways // what detections become
	probe           bool // ask, beside the workers, how long a call takes under their load
}

// usage is processor time.
type usage struct{ workers, nats, hive time.Duration }

func (u usage) minus(o usage) usage {
	return usage{u.workers - o.workers, u.nats - o.nats, u.hive - o.hive}
}

// outcome is what came of a trial.
type outcome struct {
	settled int
	took    time.Duration
	calls   map[string]int // by route
	total   int            // of the calls
	used    usage
	whole   bool          // everything was settled in time
	probed  time.Duration // what a call of somebody else took meanwhile, the mean; 0: not probed
}

// rate is detections a second.
func (o outcome) rate() float64 { return float64(o.settled) / o.took.Seconds() }

// each is calls per detection.
func (o outcome) each() float64 { return float64(o.total) / float64(max(o.settled, 1)) }

// patience is how long a trial may take; what is settled by then gives the rate.
const patience = 40 * time.Second

// try measures one trial, and checks that nothing is lost or doubled.
func try(t *testing.T, built programs, c trial) outcome {
	t.Helper()
	s := newScene(t, built, c.manners)
	s.routes = c.ways.routes()
	s.work(t, built, c.replicas, c.calls)
	s.hold(t)
	s.publish(t, c.messages, c.keys)
	before, calls := s.used(t), s.stats(t)
	s.profile(t, syscall.SIGUSR1)
	probed := s.probe(t, c.probe)
	began := s.release(t)
	left := c.messages
	whole := eventually(t, patience, func() bool {
		left = s.left(t)
		return left == 0
	})
	o := outcome{settled: c.messages - left, took: time.Since(began), whole: whole, used: s.used(t).minus(before)}
	s.profile(t, syscall.SIGUSR2)
	o.probed = probed()
	after := s.stats(t)
	o.total, o.calls = after.Total-calls.Total, maps.Clone(after.Calls)
	for route, n := range calls.Calls {
		o.calls[route] -= n
	}
	o.total -= o.calls[probeRoute]
	delete(o.calls, probeRoute)
	maps.DeleteFunc(o.calls, func(_ string, n int) bool { return n == 0 })
	s.check(t, c, o)
	return o
}

// check holds the trial against the promises.
func (s *scene) check(t *testing.T, c trial, o outcome) {
	t.Helper()
	after := s.stats(t)
	if n := after.Duplicates.Total(); n > 0 {
		t.Errorf("%d entities are doubled: %+v", n, after.Duplicates)
	}
	if n := s.letters(t); n > 0 {
		t.Errorf("%d dead letters", n)
	}
	if !o.whole {
		t.Logf("cut after %s with %d of %d settled", o.took.Round(time.Millisecond), o.settled, c.messages)
		return
	}
	groups := min(c.keys, c.messages)
	cases, alerts := map[ways]int{asCases: groups, byAlert: groups}[c.ways], map[ways]int{byAlert: groups, asAlerts: groups}[c.ways]
	if after.Cases != cases || after.Alerts != alerts {
		t.Errorf("%d cases and %d alerts, want %d and %d", after.Cases, after.Alerts, cases, alerts)
	}
	if want := 2 * (cases + alerts); after.Procedures != want {
		t.Errorf("%d procedures, want %d", after.Procedures, want)
	}
	if want := observablesOf(c) * (cases + alerts) / groups; after.Observables != want {
		t.Errorf("%d observables, want %d", after.Observables, want)
	}
}

// observablesOf is how many observables all detections of a trial bring.
func observablesOf(c trial) (all int) {
	for key := range min(c.keys, c.messages) {
		turns := (c.messages - key + c.keys - 1) / c.keys
		all += 1 + min(turns, addresses) + min(turns, hashes)
	}
	return all
}
