package rulefiles

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"forager/config"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/mitre"
)

// BenchmarkDecodeToPlan is what a detection costs before any call is made: without rules, and with a route that asks a table of a hundred thousand rows
// and has a threshold. The second is to stay under 50 µs.
func BenchmarkDecodeToPlan(b *testing.B) {
	table := filepath.Join(b.TempDir(), "assets.csv")
	var rows strings.Builder
	rows.WriteString("hostname,owner,tier,points\n")
	for i := range 100_000 {
		fmt.Fprintf(&rows, "ws-%05d,owner%d@corp.example,%d,%d\n", i, i%500, i%4, i%90)
	}
	if err := os.WriteFile(table, []byte(rows.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	event := []byte(`{"schema":"forager.detection/v1","id":"vpn-1","time":"2026-03-02T16:01:00Z","title":"Sign-in refused","description":"wrong password for the fifth time","severity":2,"source":"vpn","host":"ws-00042.corp.example","user":"t.weber","ip":"203.0.113.21","techniques":["T1110.003"],"observables":[{"dataType":"ip","data":"203.0.113.21"},{"dataType":"hostname","data":"vpn.corp.example"}]}`)
	plain, ruled := config.Default(), config.Default()
	ruled.Lookups = []config.Lookup{{Name: "assets", File: table, Key: "hostname", Match: "host"}}
	ruled.Routes = []config.Route{{
		Name: "refusals", When: `detection.source == "vpn" && lookup.assets[detection.host].tier != "3"`,
		Threshold: config.Threshold{Sum: 100, Of: `int(lookup.assets[detection.host].points) + detection.severity * 10`, By: "detection.user", Within: time.Hour},
		Case:      config.RouteCase{Assignee: "{{ lookup.assets[detection.host].owner }}", Tags: []string{"vpn"}},
	}}
	for name, c := range map[string]*config.Config{"plain": &plain, "lookup and threshold": &ruled} {
		b.Run(name, func(b *testing.B) {
			router, err := NewRouter(c, NewWitness())
			if err != nil {
				b.Fatal(err)
			}
			decoder, err := detection.New(detection.Options{})
			if err != nil {
				b.Fatal(err)
			}
			planner := NewPlanner(c, mitre.Embedded(), nil, router, time.Now)
			m := detection.Message{Subject: "detections.soc.vpn", Body: event, Time: time.Now()}
			b.ReportAllocs()
			for b.Loop() {
				read, err := decoder.Decode(m)
				if err != nil || len(read.Detections) != 1 {
					b.Fatal(err, read)
				}
				p, err := planner.Plan(read.Detections[0], enrich.Origin{Subject: m.Subject, Time: m.Time})
				if err != nil || (p.Threshold != nil) != (c == &ruled) || len(p.Faults) > 0 {
					b.Fatal(err, p)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/detection")
		})
	}
}
