package detection

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"forager/enrich/detection/malformed"
)

// wazuhAlert is what the envelopes of the table are tried around.
const wazuhAlert = `{"timestamp":"2026-03-02T10:00:00.000+0000","rule":{"level":12,"description":"Password guessing","id":"100900","groups":["sshd"],"mitre":{"id":["T1110"]}},"agent":{"id":"017","name":"app-17","ip":"10.20.0.17"},"manager":{"name":"wz-manager"},"id":"1772445600.1","data":{"srcip":"203.0.113.201","srcuser":"carol"},"location":"journald"}`

// quoted is a JSON string of a text.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func gzipOf(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

// senders are the envelopes of the table, each around a JSON text.
var senders = map[string]func(string) string{
	"fluent bit":             func(s string) string { return `[[1772445600.25,` + s + `]]` },
	"fluent bit, seconds":    func(s string) string { return `[1772445600,` + s + `]` },
	"fluent bit 2":           func(s string) string { return `[[[1772445600.25,{}],` + s + `]]` },
	"fluent bit 2, metadata": func(s string) string { return `[[1772445600.25,{"otlp":{"x":"y"}}],` + s + `]` },
	"fluentd":                func(s string) string { return `["wazuh.alerts",1772445600,` + s + `]` },
	"fluentd forward":        func(s string) string { return `["wazuh.alerts",[[1772445600,` + s + `]],{"size":1}]` },
	"fluentd record":         func(s string) string { return `{"tag":"x","time":1772445600,"record":` + s + `}` },
	"gelf full_message": func(s string) string {
		return `{"version":"1.1","host":"h","short_message":"x","level":5,"full_message":` + quoted(s) + `}`
	},
	"gelf short_message": func(s string) string {
		return `{"version":"1.1","host":"h","short_message":` + quoted(s) + `,"_facility":"x"}`
	},
	"gelf fields": func(s string) string {
		return `{"version":"1.1","host":"h","short_message":"x","_a":1,"_message":` + quoted(s) + `}`
	},
	"graylog event": func(s string) string {
		return `{"event_definition_id":"d","event_definition_title":"t","event":{"id":"1","message":"x","fields":{}},"backlog":[{"index":"g","message":` + quoted(s) + `,"fields":{}}]}`
	},
	"journald": func(s string) string {
		return `{"__REALTIME_TIMESTAMP":"1","_HOSTNAME":"h","PRIORITY":"6","MESSAGE":` + quoted(s) + `}`
	},
	"filebeat json": func(s string) string {
		return `{"@timestamp":"2026-03-02T10:00:00Z","agent":{"type":"filebeat"},"json":` + s + `}`
	},
	"otlp string": func(s string) string {
		return `{"resourceLogs":[{"resource":{"attributes":[]},"scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1","body":{"stringValue":` + quoted(s) + `}}]}]}]}`
	},
	"otlp map": func(s string) string {
		return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":` + anyValue(s) + `}]}]}]}`
	},
	"sns in lambda": func(s string) string {
		return `{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","Sns":{"Type":"Notification","MessageId":"m","TopicArn":"t","Message":` + quoted(s) + `}}]}`
	},
	"sns": func(s string) string {
		return `{"Type":"Notification","MessageId":"m","TopicArn":"t","Message":` + quoted(s) + `}`
	},
	"sqs in lambda": func(s string) string {
		return `{"Records":[{"messageId":"m","receiptHandle":"r","body":` + quoted(s) + `,"eventSource":"aws:sqs"}]}`
	},
	"sqs": func(s string) string {
		return `{"MessageId":"m","ReceiptHandle":"r","Body":` + quoted(s) + `,"MessageAttributes":{"a":{"StringValue":"b"}}}`
	},
	"sqs, received":        func(s string) string { return `{"Messages":[{"MessageId":"m","Body":` + quoted(s) + `}]}` },
	"cloudwatch":           func(s string) string { return `{"awslogs":{"data":"` + base64Of(gzipOf(cloudwatch(s))) + `"}}` },
	"cloudwatch, expanded": cloudwatch,
	"kinesis in lambda": func(s string) string {
		return `{"Records":[{"kinesis":{"partitionKey":"p","data":"` + base64Of(s) + `"},"eventSource":"aws:kinesis"}]}`
	},
	"kinesis with cloudwatch": func(s string) string {
		return `{"Records":[{"kinesis":{"data":"` + base64Of(gzipOf(cloudwatch(s))) + `"}}]}`
	},
	"journald bytes": func(s string) string {
		return `{"__REALTIME_TIMESTAMP":"1772445600000000","_HOSTNAME":"h","MESSAGE":` + strings.Join(strings.Fields(fmt.Sprintf("%d", []byte(s))), ",") + `}`
	},
	"kafka in lambda": func(s string) string {
		return `{"eventSource":"aws:kafka","eventSourceArn":"a","records":{"alerts-0":[{"topic":"alerts","partition":0,"offset":15,"timestamp":1772445600000,"value":"` + base64Of(s) + `","headers":[]}]}}`
	},
	"self-managed kafka in lambda": func(s string) string {
		return `{"eventSource":"SelfManagedKafka","bootstrapServers":"b:9092","records":{"alerts-0":[{"topic":"alerts","key":"a2V5","value":"` + base64Of(s) + `"}]}}`
	},
	"firehose": func(s string) string {
		return `{"requestId":"r","timestamp":1772445600000,"records":[{"data":"` + base64Of(s+"\n") + `"}]}`
	},
	"firehose in lambda": func(s string) string {
		return `{"invocationId":"i","deliveryStreamArn":"a","records":[{"recordId":"1","data":"` + base64Of(s) + `"}]}`
	},
	"pub/sub push": func(s string) string {
		return `{"message":{"data":"` + base64Of(s) + `","messageId":"1"},"subscription":"projects/p/subscriptions/s"}`
	},
	"pub/sub pull": func(s string) string {
		return `{"receivedMessages":[{"ackId":"a","message":{"data":"` + base64Of(s) + `","messageId":"1"}}]}`
	},
	"event grid": func(s string) string {
		return `[{"id":"1","eventType":"t","subject":"s","eventTime":"2026-03-02T10:00:00Z","topic":"t","dataVersion":"1","data":` + s + `}]`
	},
	"event hub": func(s string) string { return `{"records":[` + s + `]}` },
	"logic app": func(s string) string { return `{"headers":{"a":"b"},"body":` + s + `}` },
	"api gateway": func(s string) string {
		return `{"httpMethod":"POST","isBase64Encoded":true,"body":"` + base64Of(s) + `"}`
	},
	"shuffle": func(s string) string {
		return `{"severity":3,"pretext":"WAZUH Alert","title":"t","text":"x","rule_id":"1","timestamp":"2026-03-02T10:00:00Z","id":"1","all_fields":` + s + `}`
	},
	"telegraf": func(s string) string {
		return `{"metrics":[{"fields":{"value":` + quoted(s) + `},"name":"tail","tags":{"path":"/a"},"timestamp":1772445600}]}`
	},
	"telegraf, one": func(s string) string {
		return `{"fields":{"value":` + quoted(s) + `},"name":"tail","tags":{"path":"/a"},"timestamp":1772445600}`
	},
	"telegraf, syslog": func(s string) string {
		return `{"metrics":[{"fields":{"message":` + quoted(s) + `,"severity_code":5,"version":1,"timestamp":1772445600000000000},"name":"syslog","tags":{"appname":"a","hostname":"h","severity":"notice"},"timestamp":1772445600}]}`
	},
	"mqtt bridge": func(s string) string { return `{"topic":"a/b","qos":1,"payload":` + quoted(s) + `}` },
	"elastic message": func(s string) string {
		return `{"@timestamp":"2026-03-02T10:00:00Z","event":{"kind":"event","dataset":"x"},"message":` + quoted(s) + `,"host":{"name":"shipper"}}`
	},
	"elastic original": func(s string) string {
		return `{"@timestamp":"2026-03-02T10:00:00Z","event":{"kind":"event","dataset":"x","original":` + quoted(s) + `},"host":{"name":"shipper"}}`
	},
	"cloudevent": func(s string) string {
		return `{"specversion":"1.0","id":"1","source":"s","type":"t","data":` + s + `}`
	},
	"cloudevent, base64": func(s string) string {
		return `{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"` + base64Of(s) + `"}`
	},
	"eventbridge":       func(s string) string { return `{"detail-type":"x","source":"aws.x","detail":` + s + `}` },
	"elasticsearch hit": func(s string) string { return `{"_index":"i","_id":"1","_source":` + s + `}` },
	"elasticsearch answer": func(s string) string {
		return `{"took":1,"hits":{"total":1,"hits":[{"_index":"i","_id":"1","_source":` + s + `}]}}`
	},
	"splunk hec":           func(s string) string { return `{"time":1772445600,"host":"h","event":` + s + `}` },
	"a string in an array": func(s string) string { return `[` + quoted(s) + `]` },
}

// lastSenders are what can only be outermost, since they are no JSON.
var lastSenders = map[string]func(string) string{
	"none":        func(s string) string { return s },
	"syslog 5424": func(s string) string { return "<134>1 2026-03-02T10:00:00Z wz wazuh - - - " + s },
	"syslog 5424, data": func(s string) string {
		return `<134>1 2026-03-02T10:00:00.12+01:00 wz wazuh 7 id [a@1 b="]\"c"][d@2 e="f"] ` + "\ufeff" + s
	},
	"syslog 3164":         func(s string) string { return "<134>Mar  2 10:00:00 wz ossec: " + s },
	"syslog, no priority": func(s string) string { return "Mar  2 10:00:00 wz ossec[12]: " + s + "\r\n" },
	"rsyslog, iso":        func(s string) string { return "<13>2026-03-02T10:00:00+00:00 wz ossec " + s },
	"octets counted":      func(s string) string { return "77 <13>Mar  2 10:00:00 wz ossec: " + s },
	"prefix":              func(s string) string { return "ossec: " + s },
	"lines":               func(s string) string { return "\r\n" + s + "\r\n" },
	"gzip":                gzipOf,
}

func cloudwatch(s string) string {
	return `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[{"id":"1","timestamp":1772445600000,"message":` + quoted(s) + `}]}`
}

// anyValue writes JSON as OpenTelemetry's AnyValue.
func anyValue(s string) string {
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		panic(err)
	}
	var write func(any) string
	write = func(v any) string {
		switch v := v.(type) {
		case map[string]any:
			var parts []string
			for _, k := range slices.Sorted(maps.Keys(v)) {
				parts = append(parts, `{"key":`+quoted(k)+`,"value":`+write(v[k])+`}`)
			}
			return `{"kvlistValue":{"values":[` + strings.Join(parts, ",") + `]}}`
		case []any:
			var parts []string
			for _, one := range v {
				parts = append(parts, write(one))
			}
			return `{"arrayValue":{"values":[` + strings.Join(parts, ",") + `]}}`
		case float64:
			return fmt.Sprintf(`{"doubleValue":%v}`, v)
		case bool:
			return fmt.Sprintf(`{"boolValue":%v}`, v)
		case nil:
			return `{}`
		default:
			return `{"stringValue":` + quoted(fmt.Sprint(v)) + `}`
		}
	}
	return write(v)
}

// bare is the detection of the alert without an envelope.
func bare(t *testing.T, d *Decoder) Detection {
	t.Helper()
	r, err := d.Decode(Message{Body: []byte(wazuhAlert), Time: now})
	if err != nil || len(r.Detections) != 1 {
		t.Fatalf("%+v %v", r, err)
	}
	return r.Detections[0]
}

func sameAsBare(t *testing.T, d *Decoder, want Detection, name, body string) {
	t.Helper()
	r, err := d.Decode(Message{Body: []byte(body), Time: now})
	if err != nil || len(r.Detections) != 1 || len(r.Unreadable) > 0 || len(r.Dropped) > 0 {
		t.Errorf("%s: %d detections, dropped %v, unreadable %v, %v", name, len(r.Detections), r.Dropped, r.Unreadable, err)
		return
	}
	if diff := cmp.Diff(want, r.Detections[0], cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Detection{}, "Why", "Original")); diff != "" {
		t.Errorf("%s (-bare +wrapped)\n%s", name, diff)
	}
}

// TestEverySendersEnvelopeIsTakenOff: any envelope, and any in any other, gives the bare alert's detection.
func TestEverySendersEnvelopeIsTakenOff(t *testing.T) {
	d := mustNew(t, Options{})
	want := bare(t, d)
	for name, wrap := range senders {
		sameAsBare(t, d, want, name, wrap(wazuhAlert))
		for outer, around := range senders {
			if strings.HasPrefix(outer, "fluent bit 2") && !strings.HasPrefix(wrap(wazuhAlert), "{") {
				continue // its records are objects
			}
			if outer == "otlp map" && name == outer {
				continue // nested deeper than JSON may be
			}
			sameAsBare(t, d, want, outer+" around "+name, around(wrap(wazuhAlert)))
		}
		for outer, around := range lastSenders {
			if outer == "prefix" && !strings.HasPrefix(wrap(wazuhAlert), "{") || strings.Contains(outer, "syslog") && !strings.HasPrefix(wrap(wazuhAlert), "{") || outer == "octets counted" {
				continue
			}
			sameAsBare(t, d, want, outer+" around "+name, around(wrap(wazuhAlert)))
		}
	}
	for outer, around := range lastSenders {
		sameAsBare(t, d, want, outer, around(wazuhAlert))
	}
}

// TestEachStepIsNamed shows the envelopes in the order in which they were taken off.
func TestEachStepIsNamed(t *testing.T) {
	d := mustNew(t, Options{Why: true})
	for body, want := range map[string][]string{
		wazuhAlert:                            nil,
		senders["fluentd record"](wazuhAlert): {"fluentd"},
		senders["sqs in lambda"](senders["sns"](wazuhAlert)): {"Records", "sqs", "sns"},
		senders["cloudwatch"](wazuhAlert):                    {"cloudwatch subscription", "base64", "gzip", "cloudwatch subscription"},
		lastSenders["syslog 5424"](wazuhAlert):               {"syslog"},
		senders["elastic message"](wazuhAlert):               {"ecs"},
	} {
		r, err := d.Decode(Message{Body: []byte(body), Time: now})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range r.Detections[0].Why {
			if o.Field == "envelope" {
				got = append(got, o.Path)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.60s: %s", body, diff)
		}
	}
}

// TestEnvelopesNestToSix: six are taken off, a seventh is an error with a name, and no drop.
func TestEnvelopesNestToSix(t *testing.T) {
	d := mustNew(t, Options{})
	want := bare(t, d)
	for _, name := range []string{"fluentd record", "sns", "pub/sub push", "cloudevent", "gelf full_message"} {
		body := wazuhAlert
		for range 6 {
			body = senders[name](body)
		}
		sameAsBare(t, d, want, "six of "+name, body)
		r, err := d.Decode(Message{Body: []byte(senders[name](body)), Time: now})
		if !malformed.Is(err, malformed.TooDeep) {
			t.Errorf("seven of %s: %+v %v", name, r, err)
		}
	}
}

// TestBombsAreRefusedByName: what decodes to too much is an error of its own, at the top, in an
// envelope, and beside a good alert, which is kept.
func TestBombsAreRefusedByName(t *testing.T) {
	d := mustNew(t, Options{})
	bomb := gzipOf(strings.Repeat(" ", 16<<20) + wazuhAlert)
	for name, body := range map[string]string{
		"bare":       bomb,
		"cloudwatch": `{"awslogs":{"data":"` + base64Of(bomb) + `"}}`,
		"sns":        senders["sns"](base64Of(bomb)),
		"kinesis":    `{"Records":[{"kinesis":{"data":"` + base64Of(bomb) + `"}}]}`,
	} {
		if r, err := d.Decode(Message{Body: []byte(body), Time: now}); !malformed.Is(err, malformed.TooLarge) {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	r, err := d.Decode(Message{Body: []byte(`[` + wazuhAlert + `,{"awslogs":{"data":"` + base64Of(bomb) + `"}}]`), Time: now})
	if err != nil || len(r.Detections) != 1 || len(r.Unreadable) != 1 || r.Unreadable[0].Reason != malformed.TooLarge {
		t.Errorf("beside an alert: %+v %v", r, err)
	}
	small := mustNew(t, Options{Limits: Limits{Unpacked: 1 << 10}})
	one := gzipOf(wazuhAlert)
	many := strings.TrimSuffix(strings.Repeat(`{"data":"`+base64Of(one)+`"},`, 20), ",")
	if r, err := small.Decode(Message{Body: []byte(`{"requestId":"r","records":[` + many + `]}`), Time: now}); err == nil && len(r.Unreadable) == 0 {
		t.Errorf("many small ones: %+v %v", r, err)
	}
}

// TestAScalarBesideAnObjectIsNoFailedDetection: times, tags and offsets are no dead letters, and what is
// no detection says so by name.
func TestAScalarBesideAnObjectIsNoFailedDetection(t *testing.T) {
	d := mustNew(t, Options{})
	for _, body := range []string{
		`[1,` + wazuhAlert + `]`, `["tag",` + wazuhAlert + `]`, `[null,true,` + wazuhAlert + `,"x",2.5]`,
		`[[1,` + wazuhAlert + `],[2,` + wazuhAlert + `]]`,
	} {
		r, err := d.Decode(Message{Body: []byte(body), Time: now})
		if err != nil || len(r.Unreadable) > 0 || len(r.Detections) != 1 {
			t.Errorf("%.40s: %+v %v", body, r, err)
		}
	}
	for body, reason := range map[string]string{
		`{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"}}}]}`:                                                         DropNotDetection,
		senders["sqs in lambda"](`{"Records":[{"eventSource":"aws:s3","eventName":"x","s3":{}}]}`):                                                                                         DropNotDetection,
		`{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"x","Bucket":"b","RequestId":"r","HostId":"h"}`:                                                                              DropNotDetection,
		`{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logEvents":[{"id":"","message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}`: DropHeartbeat,
	} {
		r, err := d.Decode(Message{Body: []byte(body), Time: now})
		if err != nil || len(r.Dropped) != 1 || r.Dropped[0].Reason != reason {
			t.Errorf("%.40s: %+v %v", body, r, err)
		}
	}
}
