package lines

import (
	"strings"
	"testing"
	"unicode/utf8"
)

var seeds = []string{
	`CEF:0|V|P|1|s|n|5|src=192.0.2.1 msg=two words a\=b cs1Label=x cs1=y`, "LEEF:2.0|V|P|1|e|^|src=192.0.2.1^sev=5", `a=1 b="2 \" " c=d e`,
	`<165>1 2026-03-02T10:00:00Z h app 42 ID [x@1 a="b\]"][y] text`, "<13>Mar  2 10:00:00 fw1 kernel: x", `-: {"a":1}`, `12 <13>x", "0|a|b|c|d|e|f|g=h`,
	"%FTD-1-430005: SrcIP: 192.0.2.1, DstIP: 192.0.2.2, FileName: a, b.zip, URI: http://a.example/", `[action:"Drop"; src:"192.0.2.1"; ]`,
	`1,2026/03/02 10:00:00,0123,THREAT,virus,2816,2026/03/02 10:00:00,192.0.2.1,192.0.2.2,,,"a ""rule"", yes",u`,
	`Type: Virus\r\nName: EICAR\r\nUser: a\b`, "Virus found,Computer name: a,Source: b,Risk name: c,\"Path: d, e\"",
	`<?xml version="1.0"?><a b="c"><d>1</d><d>2</d><e/>text</a>`,
}

// FuzzRead: any line: no panic, no more text than there was, and names and values that are UTF-8.
func FuzzRead(f *testing.F) { fuzz(f, Read) }

// FuzzReadColons: as FuzzRead.
func FuzzReadColons(f *testing.F) { fuzz(f, ReadColons) }

// FuzzXML: as FuzzRead.
func FuzzXML(f *testing.F) { fuzz(f, XML) }

func fuzz(f *testing.F, read func(string) []Member) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		total := 0
		check(t, read(s), &total)
		if total > 3*len(s)+64 { // labels say twice what they name, a message what its fields say
			t.Fatalf("%q: %d bytes of %d", s, total, len(s))
		}
	})
}

func check(t *testing.T, members []Member, total *int) {
	for _, m := range members {
		*total += len(m.Text)
		if !utf8.ValidString(m.Name) || !utf8.ValidString(m.Text) {
			t.Fatalf("%q %q", m.Name, m.Text)
		}
		check(t, m.Members, total)
	}
}

// FuzzSyslog: a header is a part of its line, and what follows is the rest.
func FuzzSyslog(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, rest := CutHeader(s)
		if h == nil {
			if rest != s && !octetCount.MatchString(s) {
				t.Fatalf("%q became %q", s, rest)
			}
			return
		}
		if len(h.time)+len(h.host)+len(h.app)+len(h.process)+len(h.id)+len(rest) > len(s) || !strings.HasSuffix(strings.TrimSpace(s), rest) {
			t.Fatalf("%q: %+v %q", s, h, rest)
		}
	})
}
