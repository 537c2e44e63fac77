package simulation

import (
	"flag"
	"testing"
)

var again = flag.Int("simulation.again", 0, "so many seeds does TestTheSameSeedEndsAlike live through twice")

// TestTheSameSeedEndsAlike: whatever order Go gives to what happens at one moment, TheHive holds the same in the end.
func TestTheSameSeedEndsAlike(t *testing.T) {
	if *again == 0 {
		t.Skip("with -simulation.again")
	}
	n := 0
	ends := map[uint64][]string{}
	liveAll(t, self(t), func() (schedule, bool) {
		n++
		return newSchedule(max(*from, 1)+uint64((n-1)/2), *shifts), n <= 2**again
	}, func(r run) { ends[r.Seed] = append(ends[r.Seed], r.State) })
	alike := 0
	for seed, of := range ends {
		if of[0] == of[1] {
			alike++
			continue
		}
		t.Logf("seed %d ends as %s and as %s", seed, of[0], of[1])
	}
	t.Logf("of %d seeds that were lived through twice, %d ended alike", len(ends), alike)
}
