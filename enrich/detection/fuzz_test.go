package detection

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/malformed"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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
			if _, ok := errors.AsType[*malformed.Error](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		again, err := d.Decode(m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, again, cmpopts.IgnoreFields(Detection{}, "Original")); diff != "" {
			t.Fatalf("not the same twice:\n%s", diff)
		}
		for _, det := range r.Detections {
			checkDetection(t, det)
		}
	})
}

func checkDetection(t *testing.T, det Detection) {
	t.Helper()
	if det.ID == "" || det.Title == "" || det.Severity < canon.Low || det.Severity > canon.Critical || det.Format == "" || det.Time.Year() < canon.EarliestYear {
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
