package service

import (
	"testing"
)

// TestARightThatLacksInOneCaseHoldsNobodyElseUp: TheHive refuses what a detection needs in one case. The
// detections of other cases go on, the gate stays open, and the refused ones are dead letters with TheHive's words.
func TestARightThatLacksInOneCaseHoldsNobodyElseUp(t *testing.T) {
	t.Parallel()
	for _, right := range []string{"manageComment", "manageObservable", "manageProcedure", "manageCase/update"} {
		t.Run(right, func(t *testing.T) {
			t.Parallel()
			c := newCrossing(t, 1)
			c.send("old-a", "", false)
			c.ended()
			if !c.hive.Deny("1", right) {
				t.Fatal("no case")
			}
			for range 4 {
				for _, host := range []string{"old-a", "old-b", "new-a", "new-b"} {
					c.send(host, "", host == "old-a")
				}
			}
			c.ended()
			if got := c.judge("Operation not permitted"); got == 0 {
				t.Error("nothing was refused")
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(c.gates) > 0 {
				t.Errorf("the gate closed: %q", c.gates)
			}
		})
	}
}
