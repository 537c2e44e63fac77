package service

import (
	"testing"
	"time"

	"forager/cmd/worker/workertest"
	"forager/enrich"
	"forager/hive/hivetest"
	"forager/pipeline"
)

// parked lets detections of an old case and of new hosts meet a busy server, and gives how each was settled.
func (c *crossing) parked(text string) (naks []pipeline.Settlement) {
	c.t.Helper()
	hosts := []string{"old-a", "new-a", "new-b", "new-c", "new-d"}
	for _, host := range hosts {
		c.send(host, text, false)
	}
	c.wait("all to go back", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.naks) == len(hosts)
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.naks {
		naks = append(naks, s)
	}
	return naks
}

// judgeParked holds each delay between what was asked, bounded, and a quarter more; no two are the same.
func judgeParked(t *testing.T, naks []pipeline.Settlement, asked time.Duration) {
	t.Helper()
	delays := map[time.Duration]bool{}
	for _, s := range naks {
		if s.Delay < asked || s.Delay > asked+asked/4 {
			t.Errorf("message %d stays away for %s, want %s and at most a quarter more", s.Sequence, s.Delay, asked)
		}
		delays[s.Delay] = true
	}
	if len(delays) != len(naks) {
		t.Errorf("%d delays for %d messages: who was asked together returns together", len(delays), len(naks))
	}
}

// TestRetryAfterReachesTheMessage: TheHive's own 429 says how long to stay away, to a read or to a write. The
// message does, two minutes at most whatever was asked, and not all at the same time; it is no try.
func TestRetryAfterReachesTheMessage(t *testing.T) {
	t.Parallel()
	for asked, want := range map[time.Duration]time.Duration{
		30 * time.Second:        30 * time.Second,
		2 * time.Hour:           2 * time.Minute,
		999999999 * time.Second: 2 * time.Minute,
	} {
		t.Run(asked.String(), func(t *testing.T) {
			t.Parallel()
			c := newCrossing(t, 1)
			c.send("old-a", "", false)
			c.ended()
			c.hive.Set(hivetest.Misbehaviour{ThrottleShare: 1, RetryAfter: asked})
			naks := c.parked("")
			judgeParked(t, naks, want)
			for _, s := range naks {
				if s.Class != enrich.Throttled || s.Tries != 0 {
					t.Errorf("%s after %d tries: %v", s.Class, s.Tries, s.Err)
				}
			}
		})
	}
}

// TestRetryAfterOfAProxyReachesTheMessage: the same of a proxy that is busy for one text.
func TestRetryAfterOfAProxyReachesTheMessage(t *testing.T) {
	t.Parallel()
	c := newCrossing(t, 1)
	c.send("old-a", "", false)
	c.ended()
	answer := workertest.BoxBodies[0]
	answer.Status, answer.Header = 429, [2]string{"Retry-After", "7200"}
	c.box.Set(workertest.BoxRule{Text: "etc/passwd", Answer: answer})
	judgeParked(t, c.parked("cat /etc/passwd"), 2*time.Minute)
}
