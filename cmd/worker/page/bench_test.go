package page

import (
	"testing"
	"time"
)

// BenchmarkParts is what it takes to make the parts of the page once, for all viewers, while every row is new.
func BenchmarkParts(b *testing.B) {
	s := Snapshot{At: time.Now(), Replica: "forager-0", Flow: Flow{Ready: true, Ended: []Count{{"applied", 1}}, Minutes: make([]Minute, 60), Replicas: make([]Replica, 4)}}
	for i := range 200 {
		s.Recent = append(s.Recent, Row{
			Sequence: uint64(i), At: time.Now(), Format: "wazuh", Title: "sshd: brute force on db07", Host: "db07", Severity: 3, Techniques: []string{"T1110.001"}, Outcome: "applied",
			Took: 80 * time.Millisecond, Cases: []Case{{Number: 12, URL: "https://thehive.example.org/cases/~4128/details"}},
		})
	}
	p := newParts(&fixed{snapshot: s})
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		p.made = time.Time{}
		size = 0
		for _, part := range p.now(b.Context()) {
			size += len(part.line)
		}
	}
	b.ReportMetric(float64(size), "bytes")
}
