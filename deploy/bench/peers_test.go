//go:build bench && linux

package bench

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// TestPeers repeats what docs/explanation/alternatives.md tells of other programs: as many detections, keys, calls and faults. A row fails
// when anything is lost or doubled, or is not done in time. The rates are for the reader; what they are worth depends on the machine.
func TestPeers(t *testing.T) {
	b := &bench{programs: build(t)}
	for _, row := range []struct {
		name           string
		keys, messages int
		replicas       int
		manners        manners
	}{
		{"200 hosts", 200, 2000, 1, manners{}},
		{"5 hosts", 5, 2000, 1, manners{}},
		{"1 host", 1, 5000, 1, manners{}},
		{"two replicas, 5 hosts", 5, 2000, 2, manners{}},
		{"2 % of the answers are lost", 200, 2000, 1, manners{Ambiguous: 0.02}},
		{"30 % of the writes are refused", 200, 2000, 1, manners{RefuseWrites: 0.3}},
		{"the search shows a new case after 2 s", 200, 2000, 1, manners{Lag: 2 * time.Second}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.manners.Latency = latency
			o := try(t, b.programs, trial{keys: row.keys, messages: row.messages, replicas: row.replicas, calls: inFlight, manners: row.manners})
			if !o.whole {
				t.Errorf("%d of %d settled in %s", o.settled, row.messages, o.took)
			}
			result := "0 lost, 0 doubled"
			if t.Failed() {
				result = "see above"
			}
			b.add(line{row: row.name, measured: fmt.Sprintf("%d detections", row.messages), result: result, ratio: perSecond(o.rate()) + fmt.Sprintf(", %.2f calls each", o.each()), cores: o.cores()}, !t.Failed())
		})
	}
	if err := b.print(os.Stdout); err != nil {
		t.Error(err)
	}
}
