//go:build bench && linux

package bench

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"
)

// How the backlog is watched.
const (
	backlogOf  = 1_000_000
	workedFor  = 20 * time.Second
	warmUp     = 5 * time.Second // the heap finds its size
	mostMemory = 100 << 20
	flat       = 1.10 // the last quarter beside the first after the warm-up
)

// backlog: memory must not grow with what waits. The work is cut after a while, since all of it
// would show no more.
func (b *bench) backlog(t *testing.T) {
	s := newScene(t, b.programs, manners{Latency: latency})
	s.work(t, b.programs, 1, inFlight)
	s.hold(t)
	s.publish(t, backlogOf, 4000)
	worker := s.workers[0]
	idle, before := worker.resident(t), s.used(t)
	s.profile(t, syscall.SIGUSR1)
	began := s.release(t)
	var sizes []int
	eventually(t, workedFor, func() bool {
		if time.Since(began) > warmUp {
			sizes = append(sizes, worker.resident(t))
		}
		return false
	})
	o := outcome{settled: backlogOf - s.left(t), took: time.Since(began), used: s.used(t).minus(before)}
	s.profile(t, syscall.SIGUSR2)
	quarter := len(sizes) / 4
	first, last := slices.Max(sizes[:quarter]), slices.Max(sizes[len(sizes)-quarter:])
	most := slices.Max(sizes)
	b.atMost(line{
		row: "a million of 1 KB", measured: fmt.Sprintf("resident memory, %d worked in %.0f s", o.settled, o.took.Seconds()),
		base: fmt.Sprintf("%s idle", mib(idle)), result: mib(most) + " at most",
		ratio: fmt.Sprintf("%.2f", float64(most)/mostMemory), must: "< " + mib(mostMemory), cores: o.cores(),
	}, float64(most), mostMemory)
	b.atMost(line{
		measured: "flat: last quarter beside first", base: mib(first), result: mib(last),
		ratio: fmt.Sprintf("%.2f", float64(last)/float64(first)), must: fmt.Sprintf("≤ %.2f", flat),
	}, float64(last)/float64(first), flat)
	if n := s.stats(t).Duplicates.Total(); n > 0 {
		t.Errorf("%d entities are doubled", n)
	}
}

func mib(bytes int) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }
