package main

import (
	"fmt"
	"testing"
	"time"
)

// TestReplayDryRunWaitsForNoVanishedCase: whoever works in earnest counts a case as gone only after
// hive.settle, for each key anew; a look at a TheHive that lost its cases would take days.
func TestReplayDryRunWaitsForNoVanishedCase(t *testing.T) {
	t.Parallel()
	b := newBackyard(t)
	const hosts = 5
	for n := range hosts {
		b.publish(fmt.Sprint("d-", n), fmt.Sprint("host", n), weekAgo().Add(time.Duration(n)*time.Minute), "198.51.100.7", "T1110")
	}
	b.worker(0, "replay", "--since", "1h", "--again")
	if n := len(b.cases()); n != hosts {
		t.Fatalf("%d cases", n)
	}
	b.hive.Reset()
	b.env = append(b.env, "FORAGER_HIVE_SETTLE=5m") // the wait, if there is one, outlives the test
	out, said := b.worker(0, "replay", "--since", "1h", "--dry-run")
	if lines := b.would(out); len(lines) != hosts {
		t.Fatalf("%d lines\n%s", len(lines), said)
	}
	for _, line := range b.would(out) {
		if line.Dropped != "" || !line.Opens { // nothing said that the old ones were deleted
			t.Errorf("%+v", line)
		}
	}
}
