//go:build bench && linux

package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// What is offered until a worker is killed.
const (
	crashRate  = 100 // a second
	crashFor   = 10 * time.Second
	crashKeys  = 50
	crashLimit = 5 * time.Minute
)

// crash: a worker is killed while detections come, and what was offered until then is in TheHive later.
func (b *bench) crash(t *testing.T) {
	for _, replicas := range []int{1, 2} {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			s := newScene(t, b.programs, manners{Latency: latency})
			s.work(t, b.programs, replicas, inFlight)
			offered := s.offer(t, crashRate, crashFor)
			left := s.left(t)
			s.workers[0].kill()
			killed := time.Now()
			who := "the other goes on"
			if replicas == 1 {
				who = "restarted at once"
				s.work(t, b.programs, 1, inFlight)
			}
			most, all := s.recovered(t, killed, left)
			t.Logf("%d offered, %d of them open when the worker was killed", offered, left)
			b.atMost(line{
				row: fmt.Sprintf("kill -9 of 1 of %d", replicas), measured: "all is in TheHive, " + who,
				result: fmt.Sprintf("%.1f s", all.Seconds()), must: "≤ 45 s",
			}, all.Seconds(), 45)
			b.atMost(line{
				measured: "… 95 % of what was open", result: fmt.Sprintf("%.1f s", most.Seconds()), must: "≤ 20 s",
			}, most.Seconds(), 20)
			if d := s.stats(t).Duplicates; d.Total() != 0 || s.letters(t) != 0 {
				t.Errorf("there twice: %+v, dead letters: %d", d, s.letters(t))
			}
		})
	}
}

// offer publishes so many detections a second for a while.
func (s *scene) offer(t *testing.T, rate int, during time.Duration) (n int) {
	t.Helper()
	at := time.Now().UTC().Truncate(24 * time.Hour)
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for end := time.Now().Add(during); time.Now().Before(end); n++ {
		<-tick.C
		if _, err := s.js.PublishAsync(subject, detectionOf(n, crashKeys, at), jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// recovered waits until everything is settled, and tells how long after a moment that was, and when a
// twentieth of what was open then was left.
func (s *scene) recovered(t *testing.T, since time.Time, open int) (most, all time.Duration) {
	t.Helper()
	said := time.Now()
	until(t, crashLimit, "everything is settled", func() bool {
		left := s.left(t)
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			t.Logf("%.0f s after: %d are left", time.Since(since).Seconds(), left)
		}
		if most == 0 && left <= open/20 {
			most = time.Since(since)
		}
		return left == 0
	})
	return most, time.Since(since)
}

// pending: a replica that is alone applies a backlog's keys once each.
func (b *bench) pending(t *testing.T) {
	for _, c := range []struct {
		keys, messages int
		rate, calls    float64
	}{{200, 2000, 2000, 0.8}, {1000, 20_000, 2000, 0.6}} {
		t.Run(fmt.Sprint(c.messages), func(t *testing.T) {
			o := try(t, b.programs, trial{keys: c.keys, messages: c.messages, replicas: 1, calls: inFlight, manners: manners{Latency: latency}})
			b.rateAndCalls(fmt.Sprintf("%d on %d keys", c.messages, c.keys), o, c.rate, c.calls)
			logCalls(t, o)
		})
	}
}
