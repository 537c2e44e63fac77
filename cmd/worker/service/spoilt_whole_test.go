package service

import (
	"bytes"
	"slices"
	"testing"

	"forager/hive/hivetest"
)

// TestAValueThatTheHiveFailsOnForEverFailsItsOwnerAlone: what shares its key, case and calls is complete, no gate
// closes, and of the owner's message all else is in the case, too.
func TestAValueThatTheHiveFailsOnForEverFailsItsOwnerAlone(t *testing.T) {
	t.Parallel()
	c := newCrossing(t, 1)
	c.hive.On(hivetest.BeforeEffect, "POST /api/v1/case/{id}/observable", func(call hivetest.Call) hivetest.Action {
		if !bytes.Contains(call.Body, []byte("spoiler")) {
			return hivetest.Action{}
		}
		return hivetest.Action{Status: 500, Type: "java.lang.IllegalStateException", Message: "no index"}
	})
	c.send("old", "", false)
	c.ended()
	for range 3 {
		c.send("old", "", false)
		c.send("new", "", false)
		c.send("old", "spoiler", true)
		c.send("new", "", false)
	}
	c.ended()
	if dead := c.judge("no index"); dead != 3 {
		t.Errorf("%d dead letters", dead)
	}
	cases := c.hive.Snapshot().Cases
	for _, d := range c.sent {
		if !slices.ContainsFunc(cases, d.IsIn) {
			t.Errorf("%s is not in its case", d.ID)
		}
	}
	if len(c.gates) != 0 {
		t.Errorf("gates %q", c.gates)
	}
}
