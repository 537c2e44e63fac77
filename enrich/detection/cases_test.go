package detection

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/formats"
)

// read is what a test expects of an event; what is empty is not looked at, but for who, which is
// all that a detection is correlated by: "host:a", "user:b", "ip:c", "key:d", as the default key is.
type read struct {
	format      string
	who         []string
	observables []string
	without     []string
	techniques  []string
	time        string
	severity    canon.Severity
}

// whoOf is the default key of a detection, hosts by their first label.
func whoOf(d Detection) string {
	user, machine := canon.FoldUser(d.User)
	for _, k := range [][2]string{{"key", canon.FoldKey(d.Key)}, {"host", canon.FoldHost(d.Host, false)}, {"host", machine}, {"user", user}, {"ip", canon.FoldIP(d.IP)}} {
		if k[1] != "" {
			return k[0] + ":" + k[1]
		}
	}
	return ""
}

// check decodes and compares.
func (want read) check(t *testing.T, name, body string) {
	t.Helper()
	r, err := mustNew(t, Options{}).Decode(Message{Body: []byte(body), Time: now})
	if want.format == "" {
		if err == nil || r.Format != "" {
			t.Errorf("%s: taken for %q, is unknown", name, r.Format)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	var who, ids []string
	for _, d := range r.Detections {
		who, ids = append(who, whoOf(d)), append(ids, d.ID)
		want.checkOne(t, name, d)
	}
	if r.Format != want.format || !slices.Equal(who, want.who) {
		t.Errorf("%s: %s of %v, want %s of %v", name, r.Format, who, want.format, want.who)
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != len(r.Detections) {
		t.Errorf("%s: two detections have one id: %v", name, ids)
	}
}

func (want read) checkOne(t *testing.T, name string, d Detection) {
	t.Helper()
	var observables, techniques []string
	for _, o := range d.Observables {
		observables = append(observables, o.DataType+" "+o.Data)
	}
	for _, r := range d.Techniques {
		techniques = append(techniques, r.Text)
	}
	for _, o := range want.observables {
		if !slices.Contains(observables, o) {
			t.Errorf("%s: no observable %s in %v", name, o, observables)
		}
	}
	for _, o := range want.without {
		if slices.Contains(observables, o) {
			t.Errorf("%s: observable %s, of the relay", name, o)
		}
	}
	for _, ref := range want.techniques {
		if !strings.Contains(strings.ToUpper(strings.Join(techniques, " ")), ref) {
			t.Errorf("%s: no technique %s in %v", name, ref, techniques)
		}
	}
	if want.severity != 0 && d.Severity != want.severity {
		t.Errorf("%s: severity %d, want %d", name, d.Severity, want.severity)
	}
	if got := d.Time.Format("2006-01-02T15:04:05.000Z07:00"); want.time != "" && got != want.time {
		t.Errorf("%s: time %s, want %s", name, got, want.time)
	}
}

// TestTheSmallestEventsThatWentWrong reads the shared cases, each named after its fault.
func TestTheSmallestEventsThatWentWrong(t *testing.T) {
	dir := filepath.Join(filepath.Dir(filepath.Dir(samplesDir(t))), "cases", "formats")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the shared cases are not here")
	}
	fives, sixes := strings.Repeat("5e", 32), strings.Repeat("6f", 32)
	for name, want := range map[string]read{
		"02a-elastic-cloud-alert-no-host":             {format: "elastic", who: []string{"key:elastic:synthetic-rule"}},
		"02b-ecs-alert-no-host":                       {format: "ecs", who: []string{"key:ecs:repository made public/acme"}},
		"02c-zeek-intel-no-address":                   {format: "zeek", who: []string{"key:zeek:synthetic::thing"}, time: "2026-03-02T10:00:00.500Z"},
		"02d-asff-no-resource":                        {format: "asff", who: []string{"key:asff:g"}, severity: canon.High},
		"04a-ticket-with-incident-number-as-sentinel": {}, "04b-alert_type-rule_name-as-harfanglab": {},
		"07-wazuh-agent-000-aws":                     {format: "wazuh", who: []string{"ip:198.51.100.7"}, without: []string{"hostname siem-mgr"}},
		"07-wazuh-agent-000-fortigate":               {format: "wazuh", who: []string{"host:fw-branch-3"}, without: []string{"hostname siem-mgr"}},
		"07-wazuh-agent-000-office365":               {format: "wazuh", who: []string{`user:example\anna`}, without: []string{"hostname siem-mgr"}},
		"07-wazuh-agent-000-syslog":                  {format: "wazuh", who: []string{"host:edr-host22"}, without: []string{"hostname siem-mgr"}},
		"07a-wazuh-cloud-module-keyed-to-manager":    {format: "wazuh", who: []string{`user:acme\erin`}, without: []string{"hostname wz-manager"}},
		"07b-wazuh-syslog-firewall-keyed-to-manager": {format: "wazuh", who: []string{"host:fw-1"}, without: []string{"hostname wz-manager"}, observables: []string{"ip 203.0.113.207", "ip 10.20.0.9"}},
		"07c-ecs-suricata-keyed-to-sensor":           {format: "ecs", who: []string{"ip:10.20.0.33"}, without: []string{"hostname sensor-1"}, observables: []string{"ip 203.0.113.208"}},
		"08-zircolite-two-hosts-one-case":            {format: "zircolite", who: []string{"host:lt-1", "host:lt-2"}, severity: canon.High, techniques: []string{"T1059.001"}},
		"09a-user-system-as-key":                     {format: "ecs", who: []string{"key:ecs:x/edr"}},
		"09b-fqdn":                                   {format: "native", who: []string{"host:lt-9"}},
		"09c-short":                                  {format: "native", who: []string{"host:lt-9"}},
		"10a-defender-url-without-scheme":            {format: "defender_xdr_hunting", who: []string{"host:lt-9"}, observables: []string{"url evil.example/login"}},
		"10b-crowdstrike-comma-list-of-hashes":       {format: "crowdstrike_stream", who: []string{"host:lt-1", "host:lt-2"}, observables: []string{"hash " + fives, "hash " + sixes}, techniques: []string{"T1204", "T1105"}, severity: canon.High},
		"10c-harfanglab-antivirus-file-hashes":       {format: "sigma_harfanglab", who: []string{"host:lt-1"}, observables: []string{"hash " + fives, "hash " + fives[:32], "hash " + sixes, "hash " + sixes[:40], "hash " + sixes[:32], `filename C:\Temp\a.exe`, `filename C:\Temp\b.dll`}, techniques: []string{"T1204", "T1105"}},
		"10f-splunk-webhook-raw-under-result":        {format: "splunk", who: []string{"host:10.20.0.9"}, observables: []string{"hash " + fives, "ip 203.0.113.212"}},
		"10h-native-severity-of-0-to-100":            {format: "native", who: []string{"host:h"}, severity: canon.Low},
		"10i-time-of-a-string-with-fraction":         {format: "native", who: []string{"host:h"}, time: "2025-05-01T10:00:00.123Z"},
		"11-securityonion-sigma-alert":               {format: "ecs", who: []string{"host:lt-9"}, severity: canon.High, observables: []string{"hash " + fives, `filename C:\Temp\a.exe`}, time: "2026-03-02T09:59:59.000Z"},
	} {
		body, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err != nil {
			t.Error(err)
			continue
		}
		want.check(t, name, string(body))
	}
}

// TestTheRelayIsNotTheHost holds, besides the manager, sensors, shippers and pods apart from what they
// tell of.
func TestTheRelayIsNotTheHost(t *testing.T) {
	wazuh := func(rest string) string {
		return `{"timestamp":"2026-03-02T10:00:00.000+0000","rule":{"level":10,"description":"x","id":"9","groups":["g"]},"manager":{"name":"mgr"},"id":"1.1",` + rest + `}`
	}
	ecs := func(rest string) string {
		return `{"@timestamp":"2026-03-02T10:00:00Z","event":{"kind":"alert","id":"1"` + rest + `}`
	}
	falco := func(rest string) string {
		return `{"time":"2026-03-02T10:00:00Z","priority":"Warning","rule":"r","output":"o","hostname":"falco-0",` + rest + `}`
	}
	for body, who := range map[string]string{
		wazuh(`"agent":{"id":"000","name":"mgr"},"location":"syscheck","syscheck":{"path":"/etc/passwd"}`):                                                                                "host:mgr",
		wazuh(`"agent":{"id":"000","name":"mgr"},"location":"/var/log/auth.log","predecoder":{"hostname":"mgr"}`):                                                                         "host:mgr",
		wazuh(`"agent":{"id":"000","name":"mgr"},"location":"/var/log/remote/fw.log","predecoder":{"hostname":"fw-2"}`):                                                                   "host:fw-2",
		wazuh(`"agent":{"id":"000","name":"mgr"},"location":"192.0.2.67","data":{}`):                                                                                                      "host:192.0.2.67",
		wazuh(`"agent":{"id":"000","name":"mgr"},"location":"github","data":{"github":{"actor":"octo","org":"acme"}}`):                                                                    "user:octo",
		wazuh(`"agent":{"id":"000","name":"mgr"},"location":"gcp-pubsub","data":{"gcp":{"protoPayload":{"authenticationInfo":{"principalEmail":"a@acme.example"}}}}`):                     `user:acme\a`,
		wazuh(`"agent":{"id":"000","name":"mgr"},"location":"Wazuh-AWS","data":{"integration":"aws","aws":{"source":"guardduty","aws_account_id":"111122223333"}}`):                       "key:wazuh:9/111122223333",
		wazuh(`"agent":{"id":"007","name":"collector"},"location":"office365","data":{"office365":{"UserId":"a@acme.example"}}`):                                                          `user:acme\a`,
		wazuh(`"agent":{"id":"007","name":"web-1"},"location":"/var/log/auth.log","predecoder":{"hostname":"web-1"},"data":{"srcip":"203.0.113.4"}`):                                      "host:web-1",
		ecs(`,"module":"zeek"},"host":{"name":"sensor"},"source":{"ip":"203.0.113.4"}`):                                                                                                   "ip:203.0.113.4",
		ecs(`,"dataset":"panw.panos"},"host":{"name":"shipper"},"observer":{"name":"fw","type":"firewall"},"source":{"ip":"10.1.1.1"}`):                                                   "ip:10.1.1.1",
		ecs(`,"module":"aws"},"host":{"name":"shipper"},"user":{"name":"carol"}`):                                                                                                         "user:carol",
		ecs(`,"module":"system"},"host":{"name":"web-1"},"agent":{"name":"web-1","type":"filebeat"},"source":{"ip":"203.0.113.4"}`):                                                       "host:web-1",
		ecs(`,"module":"windows"},"host":{"name":"collector"},"winlog":{"computer_name":"ws-3.acme.example"}`):                                                                            "host:ws-3",
		`{"@timestamp":"2026-03-02T10:00:00Z","kibana.alert.uuid":"1","kibana.alert.rule.name":"r","event":{"module":"suricata"},"host":{"name":"sensor"},"source":{"ip":"203.0.113.4"}}`: "ip:203.0.113.4",
		falco(`"source":"aws_cloudtrail","output_fields":{"ct.user":"carol","ct.srcip":"203.0.113.4"}`):                                                                                   "user:carol",
		falco(`"source":"okta","output_fields":{"okta.actor.name":"Carol"}`):                                                                                                              "user:carol",
		falco(`"source":"gcp_auditlog","output_fields":{"gcp.callerIP":"203.0.113.4"}`):                                                                                                   "ip:203.0.113.4",
		falco(`"source":"github","output_fields":{"github.repo":"acme/x"}`):                                                                                                               "key:falco:r/acme/x",
		falco(`"source":"syscall","output_fields":{"user.name":"root"}`):                                                                                                                  "host:falco-0",
		falco(`"output_fields":{"user.name":"root"}`):                                                                                                                                     "host:falco-0",
	} {
		d := only(t, body)
		if got := whoOf(d); got != who {
			t.Errorf("%s\nis of %s, want %s", body, got, who)
		}
		for _, o := range d.Observables {
			if slices.Contains([]string{"mgr", "sensor", "shipper", "collector", "falco-0"}, o.Data) && !strings.HasSuffix(who, o.Data) {
				t.Errorf("%s\nhas the relay as observable", body)
			}
		}
	}
}

// TestOneEventOfTwoHostsIsTwoDetections splits rows, and lists of names.
func TestOneEventOfTwoHostsIsTwoDetections(t *testing.T) {
	row := func(host, pid string) string {
		return `{"data":{"Event":{"System":{"Computer":"` + host + `","EventRecordID":` + pid + `},"EventData":{"Image":"C:\\` + pid + `.exe"}}}}`
	}
	chainsaw := func(rows ...string) string {
		return `{"group":"Sigma","kind":"aggregate","name":"n","timestamp":"2026-03-02T10:00:00Z","level":"high","documents":[` + strings.Join(rows, ",") + `]}`
	}
	for body, want := range map[string]read{
		chainsaw(row("A-1", "1"), row("b-1", "2"), row("a-1.acme.example", "3")): {format: "chainsaw", who: []string{"host:a-1", "host:b-1"}},
		chainsaw(row("A-1", "1"), row("a-1", "2")):                               {format: "chainsaw", who: []string{"host:a-1"}, observables: []string{`filename C:\1.exe`, `filename C:\2.exe`}},
		chainsaw(row("", "1"), row("A-1", "2"), row("-", "3")):                   {format: "chainsaw", who: []string{"host:a-1"}, observables: []string{`filename C:\1.exe`, `filename C:\3.exe`}},
		`{"rule_level":"high","sigmafile":"s","title":"t","matches":[{"Computer":"a","User":"x"},{"Computer":"b","User":"y"},{"Computer":"a","User":"z"}]}`: {format: "zircolite", who: []string{"host:a", "host:b"}},
		`{"log_type":"threat","id":"7","total_security_event_count":2,"level":"high","slug":"s","agents":[{"agent_hostname":"a"},{"agent_hostname":"b"}]}`:  {format: "sigma_harfanglab", who: []string{"host:a", "host:b"}},
	} {
		want.check(t, body[:24], body)
	}
	d := mustNew(t, Options{})
	body := chainsaw(row("A-1", "1"), row("b-1", "2"))
	first, err := d.Decode(Message{Body: []byte(body), Time: now})
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.Decode(Message{Body: []byte("[" + body + "," + body + "]"), Time: now})
	if err != nil || len(again.Detections) != 2 || again.Detections[0].ID != first.Detections[0].ID || again.Detections[1].ID != first.Detections[1].ID {
		t.Errorf("sent again, it is another: %v %v", again.Detections, err)
	}
	for i, want := range []string{`C:\1.exe`, `C:\2.exe`} {
		for _, o := range first.Detections[i].Observables {
			if o.DataType == "filename" && o.Data != want {
				t.Errorf("detection %d has %s of another host", i, o.Data)
			}
		}
	}
}

// TestEveryFormatHasALastKey takes host, user, address and key from every fixture: what is left still
// says what it is of, and whose format said so.
func TestEveryFormatHasALastKey(t *testing.T) {
	d, err := New(ofItsOwn)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range d.Formats() {
		f := d.formats.Named(name)
		if f.Fragment || f.OwnKey || name == genericFormat {
			continue
		}
		f.Host, f.User, f.IP, f.Key = nil, nil, nil, nil
		f.Split.Each, f.Split.By, f.Split.Of = formats.Path{}, nil, nil
		found := false
		for _, file := range sampleFiles(t, "testdata") {
			if filepath.Base(filepath.Dir(file)) != name {
				continue
			}
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Decode(Message{Body: body, Time: now})
			if err != nil {
				continue // there was nothing else in it
			}
			for _, det := range r.Detections {
				if found = true; !strings.HasPrefix(det.Key, name+":") || len(det.Key) <= len(name)+1 {
					t.Errorf("%s: key %q", file, det.Key)
				}
			}
		}
		if !found {
			t.Errorf("%s: no fixture gives a detection", name)
		}
	}
}

// TestValuesOfNobodyAreNoKeys reads each where a user or host would be, beside a rule.
func TestValuesOfNobodyAreNoKeys(t *testing.T) {
	for _, s := range []string{"SYSTEM", `NT AUTHORITY\SYSTEM`, "root", "ANONYMOUS LOGON", "LOCAL SERVICE", "NETWORK SERVICE", "localhost", "127.0.0.1", "::1", "0.0.0.0", "-", "N/A", "unknown", "null", ""} {
		e := map[string]any{
			"@timestamp": "2026-03-02T10:00:00Z", "event": map[string]any{"kind": "alert", "id": "1", "module": "edr"}, "rule": map[string]any{"name": "x"}, "user": map[string]any{"name": s},
		}
		if !slices.Contains([]string{"SYSTEM", "root", `NT AUTHORITY\SYSTEM`, "ANONYMOUS LOGON", "LOCAL SERVICE", "NETWORK SERVICE"}, s) {
			e["host"] = map[string]any{"name": s, "ip": s}
			e["source"] = map[string]any{"ip": s}
		}
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := whoOf(only(t, string(body))); got != "key:ecs:x/edr" {
			t.Errorf("%q is a key: %s", s, got)
		}
	}
}
