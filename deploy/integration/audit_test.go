//go:build integration

package integration

import (
	"testing"
	"time"

	"forager/cmd/worker/prove"
	"forager/config"
)

// audit is the second judge, who knows nothing of the storm: "worker prove" finds every message by stream, journal and TheHive alone.
func (s *site) audit(t *testing.T, messages uint64) {
	t.Helper()
	urls := ""
	for _, node := range s.nodes {
		urls += ",nats://" + node.address(t, "4222/tcp")
	}
	c, err := config.Load(config.Source{
		Env: []string{
			"FORAGER_NATS_URL=" + urls[1:], "FORAGER_HIVE_URL=" + s.hive.url, "FORAGER_HIVE_API_KEY=simulated", "FORAGER_JOURNAL_STREAM=" + journalName,
		},
		Connects: []string{config.ToNATS, config.ToHive},
	})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r, err := prove.Prove(t.Context(), c, prove.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range r.Faults {
		if i == mostDifferences {
			break
		}
		t.Errorf("prove: %+v", f)
	}
	if uint64(r.Messages) != messages || r.InCases != r.Messages || len(r.Faults) > 0 {
		t.Errorf("prove: %d messages of %d, %d in cases, %d waiting, %d unaccounted, %d faults", r.Messages, messages, r.InCases, r.Waiting, r.Unaccounted, len(r.Faults))
	}
	t.Logf("prove: %d messages in %d cases, %d faults, in %s; not known: %q", r.Messages, r.Cases, len(r.Faults), since(began), r.Unknown)
}
