package page

import (
	"testing"
	"time"
)

// BenchmarkParts is what it takes to make the parts of the page once, for all viewers, by how many rows are new.
func BenchmarkParts(b *testing.B) {
	for name, fresh := range map[string]int{"all rows new": 200, "half of the rows new": 100, "one row new": 1} {
		b.Run(name, func(b *testing.B) {
			s := Snapshot{At: time.Now(), Replica: "forager-0", Flow: Flow{Ready: true, Ended: []Count{{"applied", 1}}, Minutes: make([]Minute, 60), Replicas: make([]Replica, 4)}}
			source := &fixed{}
			p := newParts(source)
			b.ReportAllocs()
			size := 0
			for n := 0; b.Loop(); n++ {
				s.Recent = nil
				for i := range 200 {
					s.Recent = append(s.Recent, benchRow(uint64(n*fresh+200-i)))
				}
				source.snapshot, p.made, p.rowsAt = s, time.Time{}, time.Time{}
				size = 0
				for _, part := range p.now(b.Context()) {
					size += len(part.line)
				}
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}

func benchRow(sequence uint64) Row {
	return Row{
		Sequence: sequence, At: time.Unix(int64(sequence), 0), Format: "wazuh", Title: "sshd: brute force on db07", Host: "db07", Severity: 3, Techniques: []string{"T1110.001"}, Outcome: "applied",
		Took: 80 * time.Millisecond, Cases: []Case{{Number: 12, URL: "https://thehive.example.org/cases/~4128/details"}},
	}
}
