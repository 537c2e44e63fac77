//go:build bench && linux

package bench

import (
	"cmp"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/sourcegraph/conc"
)

// What is offered while workers are killed, one a second.
const (
	killsRate     = 200 // a second; 500 where there are many
	killsMany     = 100
	killsManyRate = 500
	killsKeys     = 50
	killsReplicas = 2
	lostAnswers   = 0.02 // of the writes, where there are many
)

// kills: one worker after the other is killed and started again, while detections come.
func (b *bench) kills(t *testing.T) {
	m, rate := manners{Latency: latency}, killsRate
	if *deaths >= killsMany {
		m.Ambiguous, rate = lostAnswers, killsManyRate
	}
	s := newScene(t, b.programs, m)
	s.work(t, b.programs, killsReplicas, inFlight)
	var offering conc.WaitGroup
	offered := 0
	offering.Go(func() { offered = s.offer(t, rate, time.Duration(*deaths)*time.Second) })
	each := time.NewTicker(time.Second)
	defer each.Stop()
	for n := range *deaths {
		<-each.C
		s.workers[len(s.workers)-killsReplicas].kill() // the oldest that lives
		program := b.programs.worker
		if n%2 == 1 && n < *deaths-killsReplicas { // an upgrade ends: who is left at the end is of this version
			program = cmp.Or(*older, program)
		}
		s.start(t, program, inFlight, false)
	}
	killed := time.Now()
	offering.Wait()
	_, all := s.recovered(t, killed, s.left(t))
	b.atMost(line{
		row: fmt.Sprintf("%d × kill -9, a second apart", *deaths), measured: fmt.Sprintf("all of %d is in TheHive", offered),
		result: fmt.Sprintf("%.1f s after the last", all.Seconds()), must: "≤ 60 s",
	}, all.Seconds(), 60)
	s.check(t, trial{keys: killsKeys, messages: offered}, outcome{whole: true})
}

// stop: one of two replicas is told to end.
func (b *bench) stop(t *testing.T) {
	s := newScene(t, b.programs, manners{Latency: latency})
	s.work(t, b.programs, 2, inFlight)
	s.offer(t, crashRate, 5*time.Second)
	left := s.left(t)
	if err := s.workers[0].cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_, all := s.recovered(t, time.Now(), left)
	b.atMost(line{
		row: "SIGTERM of 1 of 2", measured: "all is in TheHive", result: fmt.Sprintf("%.2f s", all.Seconds()), must: "≤ 1 s",
	}, all.Seconds(), 1)
}

// idleCases is how many cases an idle worker opens.
const idleCases = 60

// idle: detections come one by one, each opens a case.
func (b *bench) idle(t *testing.T) {
	s := newScene(t, b.programs, manners{Latency: latency})
	s.work(t, b.programs, 1, inFlight)
	at := time.Now().UTC().Truncate(24 * time.Hour)
	var visible, complete []time.Duration
	for n := range idleCases {
		began := time.Now()
		if _, err := s.js.Publish(t.Context(), subject, detectionOf(n, idleCases, at)); err != nil {
			t.Fatal(err)
		}
		there := looking(t, time.Millisecond, patience, func() bool { return s.stats(t).Cases > n })
		visible = append(visible, time.Since(began))
		there = there && looking(t, time.Millisecond, patience, func() bool {
			now := s.stats(t)
			return now.Procedures == 2*(n+1) && now.Observables == 3*(n+1)
		})
		complete = append(complete, time.Since(began))
		if !there {
			t.Fatalf("case %d is not complete within %s", n, patience)
		}
		until(t, patience, "it is settled", func() bool { return s.left(t) == 0 })
	}
	b.atMost(line{
		row: "idle, new case", measured: "visible, the median", result: fmt.Sprintf("%.0f ms", milliseconds(median(visible))), must: "≤ 45 ms",
	}, milliseconds(median(visible)), 45)
	b.atMost(line{
		measured: "complete, the median", result: fmt.Sprintf("%.0f ms", milliseconds(median(complete))), must: "≤ 85 ms",
	}, milliseconds(median(complete)), 85)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
