package detection

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"forager/enrich/detection/malformed"
	"forager/enrich/detection/tree"
)

// textTree is the tree of a line as encoding/json would have it, nil where it is none.
func textTree(t *testing.T, line string) any {
	t.Helper()
	limits := Limits{}.withDefaults()
	u := unwrapper{Decoder: &Decoder{limits: limits}, scratch: &scratch{Tree: tree.New(limits.tree())}}
	n, _, err := u.line(line, envelope{})
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		return nil
	}
	return u.Any(n)
}

type members = map[string]any

func TestLinesBecomeTrees(t *testing.T) {
	cef := func(ext, label members) members {
		out := members{"version": "0", "deviceVendor": "V", "deviceProduct": "P", "deviceVersion": "1", "signature": "s", "name": "n", "severity": "5", "ext": ext}
		if label != nil {
			out["label"] = label
		}
		return members{"cef": out}
	}
	leef := func(version string, ext members) members {
		return members{"leef": members{"version": version, "vendor": "V", "product": "P", "productVersion": "1", "eventId": "e", "ext": ext}}
	}
	for line, want := range map[string]any{
		"":                                       nil,
		"hello world":                            nil,
		"a=b":                                    nil, // one pair is prose
		"see x=1 and y=2":                        nil,
		`<?xml version="1.0" encoding="x"?><a/>`: nil,
		`CEF:0|V|P|1|s|n|5|`:                     cef(members{}, nil),
		`CEF: 0|V|P|1|s|n|5`:                     cef(members{}, nil),
		`CEF:0|V|P|1|s|n|5|src=192.0.2.1 msg=two words  dst=192.0.2.2 `:              cef(members{"src": "192.0.2.1", "msg": "two words", "dst": "192.0.2.2"}, nil),
		`CEF:0|V|P|1|s|n|5|request=http://x/?a\=b&c\=d filePath=C:\\a\\b msg=x\ny\|`: cef(members{"request": "http://x/?a=b&c=d", "filePath": `C:\a\b`, "msg": "x\ny|"}, nil),
		`CEF:0|V|P|1|s|n|5|request=http://x/?a=b&c=d act=block`:                      cef(members{"request": "http://x/?a=b&c=d", "act": "block"}, nil),
		`CEF:0|V|P|1|s|n|5|cs1Label=Rule Name cs1=No x cn1=4 cn1Label=Count cs2= cs2Label=Empty`: cef(
			members{"cs1Label": "Rule Name", "cs1": "No x", "cn1": "4", "cn1Label": "Count", "cs2": "", "cs2Label": "Empty"}, members{"Rule Name": "No x", "Count": "4", "Empty": ""}),
		`0|V|P|1|s|n|5|act=x`:                                                      cef(members{"act": "x"}, nil),
		`CEF:0|a\|b|c\\d|1|s|n = m|5|x=y`:                                          members{"cef": members{"version": "0", "deviceVendor": "a|b", "deviceProduct": `c\d`, "deviceVersion": "1", "signature": "s", "name": "n = m", "severity": "5", "ext": members{"x": "y"}}},
		"LEEF:1.0|V|P|1|e|src=192.0.2.1\tmsg=a = b c\tsev=5":                       leef("1.0", members{"src": "192.0.2.1", "msg": "a = b c", "sev": "5"}),
		"LEEF:1.0|V|P|1|e|src=192.0.2.1 msg=tabs lost sev=5":                       leef("1.0", members{"src": "192.0.2.1", "msg": "tabs lost", "sev": "5"}),
		"LEEF:2.0|V|P|1|e|^|src=192.0.2.1^sev=5":                                   leef("2.0", members{"src": "192.0.2.1", "sev": "5"}),
		"LEEF:2.0|V|P|1|e|0x5E|src=192.0.2.1^sev=5":                                leef("2.0", members{"src": "192.0.2.1", "sev": "5"}),
		"LEEF:2.0|V|P|1|e|x7C|src=192.0.2.1|sev=5":                                 leef("2.0", members{"src": "192.0.2.1", "sev": "5"}),
		"LEEF:2.0|V|P|1|e||src=192.0.2.1\tsev=5":                                   leef("2.0", members{"src": "192.0.2.1", "sev": "5"}),
		"LEEF:2.0|V|P|1|e|src=192.0.2.1\tsev=5":                                    leef("2.0", members{"src": "192.0.2.1", "sev": "5"}),
		`date=2026-03-02 type="utm" msg="say \"hi\" \\ a=b" n='it''s' e="" last=x`: members{"date": "2026-03-02", "type": "utm", "msg": `say "hi" \ a=b`, "n": "it", "e": "", "last": "x"},
		`a=1,b=2; c="3", d=four words here e=5`:                                    members{"a": "1", "b": "2", "c": "3", "d": "four words here", "e": "5"},
		`a=1 b=2 a=3`:                                                              members{"a": "3", "b": "2"},
		`<13>Mar  2 10:00:00 fw1 kernel: [12.5] IN=eth0`:                           members{"syslog": members{"facility": "1", "severity": "5", "time": "Mar  2 10:00:00", "host": "fw1", "app": "kernel", "message": "[12.5] IN=eth0"}},
		`Mar 12 2026 10:00:00 fw1 : %ASA-4-106023: Deny x`:                         members{"cisco": members{"product": "ASA", "level": "4", "id": "106023", "message": "Deny x"}, "syslog": members{"time": "Mar 12 2026 10:00:00", "host": "fw1"}},
		`<189>date=2026-03-02 time=10:00:00 type="utm"`:                            members{"date": "2026-03-02", "time": "10:00:00", "type": "utm", "syslog": members{"facility": "23", "severity": "5"}},
		`<165>1 2026-03-02T10:00:00.000003-07:00 - app 42 ID [x@1 a="b\]" c="\"d\\"][y] text`: members{"syslog": members{
			"facility": "20", "severity": "5", "time": "2026-03-02T10:00:00.000003-07:00", "app": "app", "process": "42", "id": "ID", "message": "text",
			"structured": members{"x@1": members{"a": "b]", "c": `"d\`}, "y": members{}}}},
		`<34>1 - - - - - - CEF:0|V|P|1|s|n|5|a=b`:    members{"cef": cef(members{"a": "b"}, nil)["cef"], "syslog": members{"facility": "4", "severity": "2"}},
		`Sep 19 08:26:10 host CEF:0|V|P|1|s|n|5|a=b`: members{"cef": cef(members{"a": "b"}, nil)["cef"], "syslog": members{"time": "Sep 19 08:26:10", "host": "host"}},
		`<999>x`:     nil,
		`-: {"a":1}`: members{"a": json.Number("1")},
	} {
		if got := textTree(t, line); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n%s", line, cmp.Diff(want, got))
		}
	}
}

// TestLinesAreABatch: each line is an event, with either end; one that nobody knows is told, and
// JSON in rows stays as it is.
func TestLinesAreABatch(t *testing.T) {
	d := mustNew(t, Options{})
	line := "CEF:0|V|P|1|s|n|5|dhost=h src=203.0.113."
	for _, end := range []string{"\n", "\r\n", "\r"} {
		r, err := d.Decode(Message{Body: []byte(line + "1" + end + line + "2" + end + end + "<13>Mar  2 10:00:00 h x: " + wazuhAlert + end), Time: now})
		if err != nil || len(r.Detections) != 3 || len(r.Unreadable) > 0 {
			t.Errorf("%q: %d %v %v", end, len(r.Detections), r.Unreadable, err)
		}
		r, err = d.Decode(Message{Body: []byte(line + "1" + end + "hello world" + end), Time: now})
		if err != nil || len(r.Detections) != 1 || len(r.Unreadable) != 1 {
			t.Errorf("%q: %d %v %v", end, len(r.Detections), r.Unreadable, err)
		}
	}
	for _, body := range []string{"hello world", "{\"a\":1}\n{", "<", "CEF:0|V|P", `{"a":1} CEF:0|V|P|1|s|n|5|`} {
		if r, err := d.Decode(Message{Body: []byte(body), Time: now}); !malformed.Is(err, malformed.InvalidJSON) && !malformed.Is(err, malformed.UnknownFormat) {
			t.Errorf("%q: %+v %v", body, r, err)
		}
	}
	if _, err := d.Decode(Message{Body: []byte(wazuhAlert + "\n{"), Time: now}); !malformed.Is(err, malformed.InvalidJSON) {
		t.Errorf("broken rows: %v", err)
	}
}

// TestTextIsTheSameInsideEnvelopes wraps a line as the forwarders of logs do.
func TestTextIsTheSameInsideEnvelopes(t *testing.T) {
	d := mustNew(t, Options{})
	line := `CEF:0|V|P|1|s|n|5|externalId=x1 rt=1772445600000 dhost=h src=203.0.113.1`
	want, err := d.Decode(Message{Body: []byte(line), Time: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gelf full_message", "journald", "otlp string", "sns", "sqs", "cloudwatch", "kinesis in lambda", "firehose", "pub/sub push", "mqtt bridge", "cloudevent, base64"} {
		got, err := d.Decode(Message{Body: []byte(senders[name](line)), Time: now})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want.Detections, got.Detections, cmpopts.IgnoreFields(Detection{}, "Original")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// names and values of the properties.
var lineName, lineText = rapid.StringMatching(`[A-Za-z][A-Za-z0-9_]{0,8}`), rapid.StringMatching(`[a-zA-Z0-9=|\\"'{}\[\]:;,./ é<>-]{0,20}`)

// TestPrintedLinesReadAsTheyWere: parse(print(x)) = x for each of the forms.
func TestPrintedLinesReadAsTheyWere(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		pairs := map[string]any{"zz": "1", "zzz": "2"} // two at least
		for range rapid.IntRange(0, 6).Draw(r, "n") {
			pairs[lineName.Draw(r, "name")] = strings.TrimSpace(lineText.Draw(r, "value"))
		}
		var cef, kv []string
		for k, v := range pairs {
			s := v.(string)
			cef = append(cef, k+"="+strings.NewReplacer(`\`, `\\`, `=`, `\=`).Replace(s))
			kv = append(kv, k+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)+`"`)
		}
		got, _ := textTree(t, `CEF:0|V|P|1|s|n|5|`+strings.Join(cef, " ")).(members)
		if diff := cmp.Diff(pairs, got["cef"].(members)["ext"]); diff != "" {
			r.Fatal(diff)
		}
		if diff := cmp.Diff(any(pairs), textTree(t, strings.Join(kv, " "))); diff != "" {
			r.Fatal(diff)
		}
		var params []string
		for k, v := range pairs {
			params = append(params, ` `+k+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`).Replace(v.(string))+`"`)
		}
		got, _ = textTree(t, `<13>1 - - - - - [x@1`+strings.Join(params, "")+`] text`).(members)
		if diff := cmp.Diff(any(pairs), got["syslog"].(members)["structured"].(members)["x@1"]); diff != "" {
			r.Fatal(diff)
		}
	})
}

// FuzzLine: any line: no panic, no more text than there was, and names and values that are UTF-8.
func FuzzLine(f *testing.F) {
	fuzzLines(f, func(u *unwrapper, s string) (int32, error) { n, _, err := u.line(s, envelope{}); return n, err })
}

// FuzzUnpack: what looks packed is unpacked within its bounds, or refused by name.
func FuzzUnpack(f *testing.F) {
	for _, s := range []string{base64Of(wazuhAlert), base64Of(gzipOf(wazuhAlert)), "H4sIAAAAAAAA", "eyJh", base64Of(gzipOf(strings.Repeat(" ", 1<<20)))} {
		f.Add(s)
	}
	limits := Limits{Unpacked: 1 << 20}.withDefaults()
	f.Fuzz(func(t *testing.T, s string) {
		u := unwrapper{Decoder: &Decoder{limits: limits}, scratch: &scratch{Tree: tree.New(limits.tree())}}
		plain, _, err := u.unpack(s)
		if err != nil && !malformed.Is(err, malformed.TooLarge) || len(plain) > 3*limits.Unpacked || !utf8.ValidString(plain) {
			t.Fatalf("%d bytes, %v", len(plain), err)
		}
	})
}

var seedLines = []string{
	`CEF:0|V|P|1|s|n|5|src=192.0.2.1 msg=two words a\=b cs1Label=x cs1=y`, "LEEF:2.0|V|P|1|e|^|src=192.0.2.1^sev=5", `a=1 b="2 \" " c=d e`,
	`<165>1 2026-03-02T10:00:00Z h app 42 ID [x@1 a="b\]"][y] text`, "<13>Mar  2 10:00:00 fw1 kernel: x", `-: {"a":1}`, `12 <13>x`, "0|a|b|c|d|e|f|g=h",
}

func fuzzLines(f *testing.F, parse func(*unwrapper, string) (int32, error)) {
	for _, s := range seedLines {
		f.Add(s)
	}
	limits := Limits{}.withDefaults()
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		u := unwrapper{Decoder: &Decoder{limits: limits}, scratch: &scratch{Tree: tree.New(limits.tree())}}
		n, err := parse(&u, s)
		if err != nil || n == 0 {
			return
		}
		total := 0
		for _, nd := range u.Nodes {
			total += len(nd.Text)
			if !utf8.ValidString(nd.Key) || !utf8.ValidString(nd.Text) {
				t.Fatalf("%q: %q %q", s, nd.Key, nd.Text)
			}
		}
		if total > 2*len(s)+64 { // labels say twice what they name
			t.Fatalf("%q: %d bytes of %d", s, total, len(s))
		}
	})
}
