package detection

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestAFormatSaysWhatHappenedAndTheWayBack(t *testing.T) {
	d := mustNew(t, Options{Formats: []fs.FS{fstest.MapFS{"acme.yaml": &fstest.MapFile{Data: []byte(`
format: acme
recognise: [[{path: acme_id}]]
title: [what]
happened:
  process: [exe]
  commandLine: [cmd]
  parent: [pexe]
  file: [file]
  from: [{join: [src, spt], sep: ":"}, src]
  to: [dst]
  action: [did]
link: [url, {path: acme_id, prefix: "https://acme.example/alerts/", suffix: /show}]
`)}}}})
	read := func(more string) Detection {
		t.Helper()
		r, err := d.Decode(Message{Body: []byte(`{"acme_id":"7","what":"x"` + more + `}`), Time: now})
		if err != nil || len(r.Detections) != 1 {
			t.Fatalf("%+v %v", r, err)
		}
		return r.Detections[0]
	}
	got := read(`,"exe":"C:\\\\a\\\\b.exe","cmd":"b.exe  \\\\srv\\x\u0000","pexe":"c.exe","file":"/tmp/x","src":"192.0.2.1","spt":22,"dst":"db07","did":"blocked"`)
	want := Happened{Process: `C:\a\b.exe`, CommandLine: "b.exe  \\\\srv\\x\ufffd", Parent: "c.exe", File: "/tmp/x", From: "192.0.2.1:22", To: "db07", Action: "blocked"}
	if diff := cmp.Diff(want, got.Happened); diff != "" {
		t.Error(diff)
	}
	if got.Link != "https://acme.example/alerts/7/show" {
		t.Errorf("link %q", got.Link)
	}
	if got := read(`,"url":"https://console.example:8443/a?b=c#d"`).Link; got != "https://console.example:8443/a?b=c#d" {
		t.Errorf("link %q", got)
	}
	for _, hostile := range []string{
		"javascript:alert(1)", "https://user:secret@console.example/", "//console.example", "https:///x", "https://a.example/ b", "https://a.example/\u202e",
		"file:///etc/passwd", "https://a.example/`x", "https://a.example/" + strings.Repeat("x", maxLink), "data:text/html,x", `https://a.example/<b>`,
	} {
		if got := read(`,"url":` + mustJSON(t, hostile)).Link; got != "https://acme.example/alerts/7/show" {
			t.Errorf("%q is a link: %q", hostile, got)
		}
	}
}

func TestMentionsOfOneDetectionCompleteWhatHappened(t *testing.T) {
	a := Detection{Happened: Happened{Process: "a"}}
	a.merge(Detection{Happened: Happened{Process: "b", Action: "blocked"}, Link: "https://a.example/"}, Limits{}.withDefaults())
	if diff := cmp.Diff(Happened{Process: "a", Action: "blocked"}, a.Happened); diff != "" || a.Link != "https://a.example/" {
		t.Error(diff, a.Link)
	}
}

func mustJSON(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
