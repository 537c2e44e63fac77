package simulation

import (
	"fmt"
	"time"
)

// forms are the formats that detections come in.
const forms = 3

// address is an indicator that one detection alone has: by it the judge finds the detection in TheHive.
func address(n int) string { return fmt.Sprintf("45.%d.%d.%d", n/62500%250, n/250%250, 1+n%250) }

// shared is an indicator that many detections have; of one the simulated analyzers think badly.
func shared(which int) string {
	return []string{"cdn0.example.net", "cdn1.example.net", "malicious.example.net"}[which%3]
}

// severity is from 1 (low) to 4 (critical).
func (e event) severity() int { return 1 + e.Which%4 }

func (e event) technique() string { return techniques[e.Which%len(techniques)] }

// body is a detection as its product writes it.
func (e event) body(at time.Time, ip string) []byte {
	host, rule := fmt.Sprintf("host%d", e.Who), fmt.Sprintf("rule%d", e.What)
	switch e.Form {
	case 1:
		return toJSON(map[string]any{
			"timestamp": at.Format("2006-01-02T15:04:05.000-0700"), "id": e.ID, "location": "/var/log/auth.log",
			"rule": map[string]any{
				"level": []int{3, 7, 12, 15}[e.severity()-1], "description": "Wazuh " + rule, "id": fmt.Sprint(5700 + e.What),
				"groups": []string{"syslog"}, "mitre": map[string]any{"id": []string{e.technique()}},
			},
			"agent": map[string]any{"id": "014", "name": host}, "manager": map[string]any{"name": "wazuh-1"},
			"data": map[string]any{"srcip": ip}, "full_log": "something of " + e.ID,
		})
	case 2:
		return toJSON(map[string]any{
			"uuid": e.ID, "hostname": host, "output": "something of " + e.ID, "rule": "Falco " + rule, "source": "syscall",
			"priority": []string{"Informational", "Warning", "Error", "Critical"}[e.severity()-1],
			"tags":     []string{e.technique()}, "time": at.UTC().Format(time.RFC3339Nano),
			"output_fields": map[string]any{"fd.cip": ip, "evt.type": "connect", "proc.name": "sh"},
		})
	default:
		return toJSON(map[string]any{
			"schema": "forager.detection/v1", "id": e.ID, "time": at.UTC().Format(time.RFC3339Nano), "title": "Native " + rule,
			"severity": []string{"low", "medium", "high", "critical"}[e.severity()-1], "host": host,
			"rule": map[string]any{"id": rule, "name": "Native " + rule}, "techniques": []string{e.technique()},
			"observables": []map[string]any{{"dataType": "ip", "data": ip}, {"dataType": "domain", "data": shared(e.Which)}},
		})
	}
}

func garbled(n int) []byte {
	return fmt.Appendf(nil, `{"schema": "forager.detection/v1", "id": %d, `, n)
}

// chatter is what Falco says of itself.
func chatter(at time.Time) []byte {
	return toJSON(map[string]any{
		"hostname": "host0", "output": "dropped events", "priority": "Debug", "rule": "Falco internal: syscall event drop", "source": "internal",
		"time": at.UTC().Format(time.RFC3339Nano), "output_fields": map[string]any{"n": 1},
	})
}
