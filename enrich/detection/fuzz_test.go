package detection

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"forager/enrich/detection/canon"

	"github.com/google/go-cmp/cmp"
)

// FuzzDecode: whatever comes, no panic; what comes out is complete, bounded, clean, and the same again.
func FuzzDecode(f *testing.F) {
	for _, file := range sampleFiles(f, "testdata") {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	d := mustNew(f, Options{Why: true})
	f.Fuzz(func(t *testing.T, body []byte) {
		m := Message{Body: body, Time: now, Header: map[string][]string{"CE-Id": {"%41"}, "ce-source": {"s"}, "ce-specversion": {"1.0"}}}
		r, err := d.Decode(m)
		if err != nil {
			if _, ok := errors.AsType[*MalformedError](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		again, err := d.Decode(m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Fatalf("not the same twice:\n%s", diff)
		}
		for _, det := range r.Detections {
			checkDetection(t, det)
		}
	})
}

func checkDetection(t *testing.T, det Detection) {
	t.Helper()
	if det.ID == "" || det.Title == "" || det.Severity < Low || det.Severity > Critical || det.Format == "" || det.Time.Year() < canon.EarliestYear {
		t.Fatalf("incomplete: %+v", det)
	}
	if len(det.Observables) > 200 || len(det.Techniques) > 50 || len(det.Tags) > 50 || len(det.Files) > 20 || utf8.RuneCountInString(det.Title) > 512 || len(det.Description) > 64<<10 {
		t.Fatalf("unbounded: %+v", det)
	}
	for _, s := range textsOf(det) {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && canon.Hides(r) }) {
			t.Fatalf("%q is not clean", s)
		}
	}
	for _, o := range det.Observables {
		if o.Data == "" || len(o.Data) > 4096 || !canon.KnownType(o.DataType) {
			t.Fatalf("observable %+v", o)
		}
	}
	for _, file := range det.Files {
		if file.Name == "" || strings.ContainsAny(file.Name, `/\:`) || file.Name == ".." || (file.Object == "") == (file.Data == nil) {
			t.Fatalf("file %+v", file)
		}
	}
}

// FuzzScan: within the limits, the scanner takes what encoding/json takes, and reads the same.
func FuzzScan(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0.5e+3,"x\u00e9\ud83d\ude00\ud800",true,false,null,{}]}`, `{"a":1,"a":2}`, `[1,]`, `{"a":1,}`, `"\x"`, "01", "1.", "-", `{"":{"":[]}}`} {
		f.Add(s)
	}
	limits := Limits{Depth: 1000, Number: 1 << 20}.withDefaults()
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) || len(s) > 1<<16 {
			return
		}
		tr := newTree(&limits)
		root, err := tr.parse(s)
		if err != nil && !isReason(err, InvalidJSON) {
			return // a limit
		}
		if valid := json.Valid([]byte(s)); valid != (err == nil) {
			t.Fatalf("%q: valid %v, but %v", s, valid, err)
		}
		if err != nil {
			return
		}
		dec := json.NewDecoder(strings.NewReader(s))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if got := tr.any(root); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %#v, want %#v", s, got, want)
		}
	})
}

// any is a value as encoding/json has it.
func (t *tree) any(n int32) any {
	switch nd := t.nodes[n]; nd.kind {
	case text:
		return nd.text
	case number:
		return json.Number(nd.text)
	case boolean:
		return nd.text == "true"
	case list:
		out := []any{}
		for c := nd.first; c != 0; c = t.nodes[c].next {
			out = append(out, t.any(c))
		}
		return out
	case object:
		out := map[string]any{}
		for c := nd.first; c != 0; c = t.nodes[c].next {
			out[t.nodes[c].key] = t.any(c)
		}
		return out
	}
	return nil
}

// FuzzPairs: Splunk's pairs never panic, and give no more text than there was.
func FuzzPairs(f *testing.F) {
	for _, s := range []string{`a="b", c=d`, `a="\"x\"`, `=,=`, `1, k="v" k="w"`, `a=`} {
		f.Add(s)
	}
	limits := Limits{}.withDefaults()
	f.Fuzz(func(t *testing.T, s string) {
		tr := newTree(&limits)
		root, err := tr.parsePairs(s)
		if err != nil {
			return
		}
		total := 0
		for c := tr.nodes[root].first; c != 0; c = tr.nodes[c].next {
			total += len(tr.nodes[c].key) + len(tr.nodes[c].text)
		}
		if total > len(s) {
			t.Fatalf("%d bytes of %d", total, len(s))
		}
	})
}

// FuzzValue: every reader of values, from any text: no panic, and what is canonical stays so.
func FuzzValue(f *testing.F) {
	for i, s := range []string{"1.2.3.4:80", "[::1]:443", "hxxps://a[.]b.com:443/x?y#z", `\\\\Device\\x`, "A@b.ORG", "SHA1=x,MD5=y", "1.2.3.4:1->[::2]:3", "HKEY_USERS\\a", "as12", "*.x.com", "http://u@h", "1.0.9.6/"} {
		f.Add(byte(i), s)
	}
	f.Fuzz(func(t *testing.T, kind byte, s string) {
		if !utf8.ValidString(s) || len(s) > 1<<14 {
			return
		}
		dataType := canon.RuleTypes[int(kind)%len(canon.RuleTypes)]
		if v, ok := canon.Canonical(dataType, s); ok {
			again, ok := canon.Canonical(v.DataType, v.Data)
			if !ok || again.Data != v.Data || again.DataType != v.DataType {
				t.Fatalf("%s %q: %s %q, then %s %q %v", dataType, s, v.DataType, v.Data, again.DataType, again.Data, ok)
			}
		}
		for range canon.HashList(s) {
		}
		canon.Tuple(s)
		attackTags([]string{s})
	})
}

// FuzzTime: any text gives a time or none.
func FuzzTime(f *testing.F) {
	for _, s := range []string{"2026-11-20 10:00:00.5 +09:00", "1795343000.25", "Fri Nov 20 14:05:00 2026 UTC", "/Date(1)/", "2024/11/12 08:39:13", "-1e400", "2026-1", "/Date("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, ok := moment(s); ok && canon.Plausible(got, now) && got.Year() > now.Year()+1 {
			t.Fatalf("%q is %v", s, got)
		}
	})
}

// FuzzText: what is cleaned is clean, what is escaped renders as itself, what names a file is a name.
func FuzzText(f *testing.F) {
	for _, a := range attacks {
		f.Add(a, 20)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		if len(s) > 1<<12 {
			return
		}
		if c := canon.Clean(s, most); !utf8.ValidString(c) || utf8.RuneCountInString(c) > max(most, 0) {
			t.Fatalf("Clean(%q, %d) = %q", s, most, c)
		}
		if name := canon.FileName(s); name == "" || len(name) > canon.MaxFileName || strings.ContainsAny(name, `/\`) || !utf8.ValidString(name) {
			t.Fatalf("fileName(%q) = %q", s, name)
		}
	})
}
