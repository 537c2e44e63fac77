package detection

import (
	"errors"
	"strings"
	"testing"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/malformed"
)

const nativeEvent = `{"schema":"forager.detection/v1","id":"n-1","time":"2026-11-22T10:00:00.5Z","title":"Port scan","severity":"high",
"source":"lab","rule":{"id":"r1","name":"Scan"},"host":"web01","user":"alice","key":"web01:scan","tags":["a","b","a"],
"observables":[{"dataType":"ip","data":"203.0.113.7","tags":["src"],"message":"scanner","ioc":true},{"dataType":"ip","data":"no address"}],
"techniques":["T1046","attack.t1059.001"],"files":[{"name":"../../etc/passwd","base64":"aGVsbG8=","sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}]}`

func TestNativeEventIsReadWhole(t *testing.T) {
	r, err := mustNew(t, Options{}).Decode(Message{Body: []byte(nativeEvent), Time: now})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Detections) != 1 || r.Format != "native" {
		t.Fatalf("got %+v", r)
	}
	d := r.Detections[0]
	if d.ID != "n-1" || d.Severity != canon.High || d.Key != "web01:scan" || len(d.Techniques) != 2 || len(d.Observables) != 2 || len(d.Tags) != 2 {
		t.Errorf("got %+v", d)
	}
	if d.Observables[0].DataType != "ip" || !d.Observables[0].IOC || d.Observables[1].DataType != "other" || d.Observables[1].Tags[0] != "ip" {
		t.Errorf("observables %+v", d.Observables)
	}
	if len(d.Files) != 1 || d.Files[0].Name != "passwd" || string(d.Files[0].Data) != "hello" {
		t.Errorf("files %+v", d.Files)
	}
}

func TestBrokenMessagesAreMalformedWithAReason(t *testing.T) {
	d := mustNew(t, Options{})
	for _, c := range []struct{ name, body, reason string }{
		{"nothing", " \n", malformed.Empty},
		{"no JSON", "hello", malformed.InvalidJSON},
		{"half a document", `{"a":1`, malformed.InvalidJSON},
		{"a tail", `{"a":1} x`, malformed.InvalidJSON},
		{"no UTF-8", "\xff\xfe{\"a\":1", malformed.InvalidUTF8},
		{"nested deeply", strings.Repeat("[", 65) + strings.Repeat("]", 65), malformed.TooDeep},
		{"a long number", "[" + strings.Repeat("9", 101) + "]", malformed.InvalidJSON},
		{"many members", "{" + manyMembers(10_001) + "}", malformed.TooManyKeys},
		{"a long array", "[" + strings.Repeat("1,", 10_000) + "1]", malformed.TooManyKeys},
		{"of nobody", `{"hello":"world"}`, malformed.UnknownFormat},
		{"a number", "1", malformed.UnknownFormat},
		{"a later native form", `{"schema":"forager.detection/v2","title":"x"}`, malformed.UnknownFormat},
		{"a native event of nothing", `{"schema":"forager.detection/v1"}`, malformed.NothingToRead},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := d.Decode(Message{Body: []byte(c.body), Time: now})
			m, ok := errors.AsType[*malformed.Error](err)
			if !ok || m.Reason != c.reason {
				t.Errorf("got %v, want reason %q", err, c.reason)
			}
		})
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"k` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + strings.Repeat("y", i/26%9) + strings.Repeat("z", i/234) + `":1`)
	}
	return b.String()
}
