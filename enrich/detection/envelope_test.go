package detection

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/malformed"
)

// TestEnvelopesAreTakenOff wraps one alert in every envelope: it is the same detection in all of them.
func TestEnvelopesAreTakenOff(t *testing.T) {
	alert := `{"kibana.alert.uuid":"u1","kibana.alert.rule.name":"R","kibana.alert.severity":"high","host.name":"h","@timestamp":"2026-11-20T10:00:00Z"}`
	quoted, err := json.Marshal(alert)
	if err != nil {
		t.Fatal(err)
	}
	d := mustNew(t, Options{})
	for name, body := range map[string]string{
		"none":                   alert,
		"byte order mark":        "\xef\xbb\xbf" + alert,
		"array":                  "[" + alert + "]",
		"twice in a row":         alert + "\n" + alert,
		"a string":               string(quoted),
		"elasticsearch hit":      `{"_index":"i","_id":"1","_source":` + alert + `}`,
		"elasticsearch answer":   `{"took":1,"hits":{"total":{"value":1},"hits":[{"_index":"i","_id":"1","_source":` + alert + `}]}}`,
		"elasticsearch fields":   `{"_index":"i","_id":"1","fields":{"kibana.alert.uuid":["u1"],"kibana.alert.rule.name":["R"],"kibana.alert.severity":["high"],"host.name":["h"],"@timestamp":["2026-11-20T10:00:00Z"]}}`,
		"es_archive":             `{"type":"doc","value":{"id":"1","index":"i","source":` + alert + `}}`,
		"cloudevent":             `{"specversion":"1.0","id":"1","source":"s","type":"t","data":` + alert + `}`,
		"cloudevent, string":     `{"specversion":"1.0","id":"1","source":"s","type":"t","data":` + string(quoted) + `}`,
		"cloudevent, base64":     `{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"` + base64.StdEncoding.EncodeToString([]byte(alert)) + `"}`,
		"cloudevents batch":      `[{"specversion":"1.0","id":"1","source":"s","type":"t","data":` + alert + `}]`,
		"eventbridge":            `{"detail-type":"x","source":"aws.x","detail":` + alert + `}`,
		"event hub":              `{"records":[` + alert + `]}`,
		"splunk result":          `{"preview":false,"result":` + alert + `}`,
		"message":                `{"@version":"1","message":` + string(quoted) + `}`,
		"event.original":         `{"@version":"1","event":{"original":` + string(quoted) + `}}`,
		"an envelope in another": `{"records":[{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"_index":"i","_id":"1","_source":` + alert + `}}]}`,
	} {
		r, err := d.Decode(Message{Body: []byte(body), Time: now})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(r.Detections) != 1 || r.Format != "elastic" {
			t.Errorf("%s: %+v", name, r)
			continue
		}
		if det := r.Detections[0]; det.ID != "u1" || det.Title != "R" || det.Severity != canon.High || det.Host != "h" {
			t.Errorf("%s: %+v", name, det)
		}
	}
}

func TestCloudEventsInBinaryModeGiveAnIdentity(t *testing.T) {
	d := mustNew(t, Options{})
	decode := func(id string) string {
		r, err := d.Decode(Message{
			Header: map[string][]string{"Ce-Id": {id}, "CE-Source": {"/a%20b"}, "ce-specversion": {"1.0"}, "Ce-Type": {"x"}},
			Body:   []byte(`{"signal":{"rule":{"name":"R"}},"host":{"name":"h"}}`), Time: now,
		})
		if err != nil {
			t.Fatal(err)
		}
		return r.Detections[0].ID
	}
	if first, again, other := decode("1"), decode("1"), decode("2"); first != again || first == other {
		t.Error("the identity is not that of the event")
	}
	r, err := d.Decode(Message{Header: map[string][]string{"ce-id": {"1"}, "ce-specversion": {"1.0"}}, Body: []byte(`{"a":1}`), Time: now})
	if err != nil || len(r.Dropped) != 1 || r.Dropped[0].Reason != DropNoAlert {
		t.Errorf("%+v %v", r, err)
	}
}

func TestAnEmptyPageIsDropped(t *testing.T) {
	for _, body := range []string{"[]", `{"@odata.context":"x","value":[]}`, `{"records":[]}`} {
		r, err := mustNew(t, Options{}).Decode(Message{Body: []byte(body), Time: now})
		if err != nil || len(r.Dropped) != 1 || r.Dropped[0].Reason != DropEmpty {
			t.Errorf("%s: %+v %v", body, r, err)
		}
	}
}

func TestABatchKeepsWhatItCannotRead(t *testing.T) {
	r, err := mustNew(t, Options{}).Decode(Message{Body: []byte(`[` + nativeEvent + `,{"hello":"world"}]`), Time: now})
	if err != nil || len(r.Detections) != 1 || len(r.Unreadable) != 1 || r.Unreadable[0].Reason != malformed.UnknownFormat {
		t.Errorf("%+v %v", r, err)
	}
}

func TestTheLastOfSeveralMembersOfOneNameCounts(t *testing.T) {
	many := ""
	for i := range 40 {
		many += fmt.Sprintf(`"k%d":%d,`, i, i)
	}
	for _, filler := range []string{"", many} {
		body := `{"schema":"forager.detection/v1","title":"first","host":"h1",` + filler + `"title":"second","host":"h2","title":"third"}`
		r, err := mustNew(t, Options{}).Decode(Message{Body: []byte(body), Time: now})
		if err != nil {
			t.Fatal(err)
		}
		if d := r.Detections[0]; d.Title != "third" || d.Host != "h2" {
			t.Errorf("%+v", d)
		}
	}
}

func TestImpossibleTimesAreReplaced(t *testing.T) {
	for value, replaced := range map[string]bool{
		`"1999-12-31T23:59:59Z"`: true, `"2000-01-01T00:00:00Z"`: false, `"2026-11-23T11:59:59Z"`: false, `"2026-11-23T12:00:01Z"`: true, `"soon"`: true, `null`: true, `0`: true, `1795341600`: false,
	} {
		r, err := mustNew(t, Options{}).Decode(Message{Body: []byte(`{"schema":"forager.detection/v1","title":"t","time":` + value + `}`), Time: now})
		if err != nil {
			t.Fatal(err)
		}
		if d := r.Detections[0]; d.TimeReplaced != replaced || replaced && !d.Time.Equal(now) {
			t.Errorf("%s: %v %v", value, d.Time, d.TimeReplaced)
		}
	}
}

func TestAReSentEventHasItsID(t *testing.T) {
	d := mustNew(t, Options{})
	id := func(body string) string {
		r, err := d.Decode(Message{Body: []byte(body), Time: now})
		if err != nil || len(r.Detections) != 1 {
			t.Fatalf("%+v %v", r, err)
		}
		return r.Detections[0].ID
	}
	falco := `{"uuid":"%s","output":"%s","priority":"Notice","rule":"R","time":"2026-11-20T11:00:00Z","hostname":"n","output_fields":{"a":1}}`
	if id(fmt.Sprintf(falco, "1", "x")) != id(fmt.Sprintf(falco, "2", "x")) {
		t.Error("Falco: a new uuid makes a new detection")
	}
	if id(fmt.Sprintf(falco, "1", "x")) == id(fmt.Sprintf(falco, "1", "y")) {
		t.Error("Falco: two outputs are one detection")
	}
	guardduty := `{"id":"g","type":"Recon:EC2/Portscan","severity":5,"updatedAt":"2026-11-2%[1]dT11:00:00Z","createdAt":"2026-11-20T11:00:00Z","title":"t","service":{"count":%[1]d},"resource":{"resourceType":"Instance"}}`
	if id(fmt.Sprintf(guardduty, 1)) != id(fmt.Sprintf(guardduty, 2)) {
		t.Error("GuardDuty: an update makes a new detection")
	}
	wazuh := `{"timestamp":"2026-11-20T08:00:0%d.000+0000","rule":{"level":3,"description":"d","id":"1","groups":["x"]},"agent":{"id":"1","name":"a"}}`
	if first, again, other := id(fmt.Sprintf(wazuh, 1)), id(fmt.Sprintf(wazuh, 1)), id(fmt.Sprintf(wazuh, 2)); first != again || first == other {
		t.Error("Wazuh without an id: not a hash of what happened")
	}
}

func ExampleDecoder_Decode() {
	d, err := New(Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := d.Decode(Message{Body: []byte(`{"schema":"forager.detection/v1","title":"Port scan","host":"web01",
		"observables":[{"dataType":"url","data":"hxxps://Evil[.]example[.]com/x"}]}`), Time: now})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, det := range r.Detections {
		fmt.Println(det.Format, det.Title, det.Host, det.Observables[0].Data)
	}
	// Output: native Port scan web01 https://evil.example.com/x
}
