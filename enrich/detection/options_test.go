package detection

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/conc"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/formats"
	"forager/enrich/detection/malformed"
)

const acme = `
format: acme
order: 5
recognise:
  - [{path: acme_version, type: number}, {path: what}]
id: [ref]
time: [at]
severity: {path: how, words: {bad: high}}
title: [what]
host: [box]
observables:
  - {type: ip, path: [from], tags: [src]}
techniques: [ttp]
`

func file(s string) fs.FS { return fstest.MapFS{"acme.yaml": {Data: []byte(s)}} }

func TestAnOperatorsDirectoryAddsAFormat(t *testing.T) {
	d := mustNew(t, Options{Formats: []fs.FS{file(acme)}, Why: true})
	if !slices.Contains(d.Formats(), "acme") {
		t.Fatalf("formats are %v", d.Formats())
	}
	r, err := d.Decode(Message{Body: []byte(`{"acme_version":2,"ref":"A1","at":"2026-11-20T01:02:03Z","how":"bad","what":"It","box":"b1","from":"198.51.100.3","ttp":"T1059"}`), Time: now})
	if err != nil {
		t.Fatal(err)
	}
	want := Detection{
		Format: "acme", ID: "A1", Time: time.Date(2026, 11, 20, 1, 2, 3, 0, time.UTC), Severity: canon.High, Title: "It", Source: "acme", Host: "b1",
		Observables: []Observable{{DataType: "ip", Data: "198.51.100.3", Tags: []string{"src"}}},
		Techniques:  []Reference{{Text: "T1059", Path: "ttp"}},
	}
	got := r.Detections[0]
	if !slices.Contains(got.Why, Origin{Field: "host", Path: "box", Value: "b1"}) {
		t.Errorf("why: %v", got.Why)
	}
	got.Why, got.Original = nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestALaterDirectoryReplacesAFormat(t *testing.T) {
	later := file(strings.Replace(acme, "title: [what]", `title: [{text: "Replaced"}]`, 1))
	d := mustNew(t, Options{Formats: []fs.FS{file(acme), later}})
	r, err := d.Decode(Message{Body: []byte(`{"acme_version":2,"what":"It"}`), Time: now})
	if err != nil || r.Detections[0].Title != "Replaced" {
		t.Errorf("%v %v", r, err)
	}
}

func TestABrokenFormatFileIsRefusedNamingThePlace(t *testing.T) {
	for _, c := range []struct{ name, old, with, want string }{
		{"an unknown key", "time: [at]", "tiem: [at]", "acme.yaml:7:1: tiem"},
		{"a bad selector", "time: [at]", "time: [\"a[b].c\"]", "acme.yaml:7:8"},
		{"an unknown type", "type: ip", "type: ipp", "acme.yaml:12:5: observables[0]"},
		{"a wrong word", "{bad: high}", "{bad: hihg}", "acme.yaml:8:"},
		{"a pattern", "type: number", `matches: "("`, "acme.yaml:5:"},
		{"no title", "title: [what]", "", "title"},
		{"another name", "format: acme", "format: other", "name of the file"},
		{"a list for a text", "order: 5", "order: [5]", "acme.yaml:3:"},
		{"not YAML", "host: [box]", "host: [box", "acme.yaml:"},
		{"an unknown reader", "tags: [src]", "reader: x", "observables[0]"},
		{"a condition without path", "{path: what}", "{is: x}", "recognise[0]"},
		{"an unknown include", "techniques: [ttp]", "with: [{format: nobody}]", "with[0]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(Options{Formats: []fs.FS{file(strings.Replace(acme, c.old, c.with, 1))}})
			if _, ok := errors.AsType[*formats.Error](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestAPinBeatsRecognitionAndDisagreementShows(t *testing.T) {
	d := mustNew(t, Options{Formats: []fs.FS{file(acme)}, Pins: []Pin{{Subject: "siem.acme.>", Format: "acme"}, {Subject: "siem.*", Format: "native"}}})
	r, err := d.Decode(Message{Subject: "siem.acme.eu", Body: []byte(nativeEvent), Time: now})
	if err == nil && (r.Pinned != "acme" || r.Recognised != "native") || err != nil && !malformed.Is(err, malformed.NothingToRead) {
		t.Errorf("%+v %v", r, err)
	}
	r, err = d.Decode(Message{Subject: "other", Body: []byte(nativeEvent), Time: now})
	if err != nil || r.Pinned != "" || r.Recognised != "native" {
		t.Errorf("%+v %v", r, err)
	}
}

func TestAllThatIsWrongIsRefusedAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		want    []string
	}{
		"pins": {
			Options{Pins: []Pin{{Subject: "a", Format: "nobody"}, {Subject: "b", Format: "native"}, {Subject: "a.>.b", Format: "native"}}},
			[]string{`pin 1: no format "nobody": there are alertmanager, `, "pin 3: "},
		},
		"files": {
			Options{Formats: []fs.FS{fstest.MapFS{"a.yaml": {Data: []byte("format: [")}, "b.yaml": {Data: []byte("format: c")}}, file(acme)}},
			[]string{"format a.yaml:1:9: ", `format b.yaml: format: "c" is not the name of the file, "b"`},
		},
		"contents": {
			Options{Formats: []fs.FS{fstest.MapFS{
				"a.yaml": {Data: []byte("format: a\ndefaultSeverity: loud\n")}, "b.yaml": {Data: []byte("format: b\ndefaultSeverity: loud\n")},
			}}},
			[]string{"format a.yaml:2:", "format b.yaml:2:"},
		},
	} {
		_, err := New(c.options)
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(c.want) {
			t.Errorf("%s: %q, want %q", name, lines, c.want)
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s: %q, want %q", name, lines[i], want)
			}
		}
	}
}

func TestSubjectsMatchAsInNATS(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.b.c", false}, {"a.*", "a.b", true}, {"a.*", "a", false}, {"a.*.c", "a.b.c", true}, {"a.>", "a.b.c", true}, {"a.>", "a", false}, {">", "a.b", true}, {"a", "", false},
	} {
		if got := MatchSubject(c.pattern, c.subject); got != c.want {
			t.Errorf("%q %q: %v", c.pattern, c.subject, got)
		}
	}
}

func native(observables string) Message {
	return Message{Time: now, Body: []byte(`{"schema":"forager.detection/v1","id":"x","title":"t","host":"h","observables":[` + observables + `]}`)}
}

func TestNoiseIsLeftOutAndPrivateKeptQuietly(t *testing.T) {
	r, err := mustNew(t, Options{}).Decode(native(`{"dataType":"ip","data":"127.0.0.1"},{"dataType":"ip","data":"0.0.0.0"},{"dataType":"ip","data":"169.254.1.1"},{"dataType":"ip","data":"fe80::1"},
		{"dataType":"ip","data":"10.1.1.1"},{"dataType":"ip","data":"8.8.4.4"},{"dataType":"ip","data":"8.8.4.4","tags":["dst"]},{"dataType":"hash","data":"-"},{"dataType":"custom","data":"v"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Observable{
		{DataType: "ip", Data: "10.1.1.1", IgnoreSimilarity: true},
		{DataType: "ip", Data: "8.8.4.4", Tags: []string{"dst"}},
		{DataType: "other", Data: "v", Tags: []string{"custom"}},
	}
	if diff := cmp.Diff(want, r.Detections[0].Observables); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAllowListsOfEveryKind(t *testing.T) {
	list := func(kind, values string, action Action, types ...string) List {
		return List{Name: kind, JSON: []byte(`{"name":"n","type":"` + kind + `","list":[` + values + `]}`), Action: action, DataTypes: types}
	}
	d := mustNew(t, Options{DataTypes: []string{"custom"}, Lists: []List{
		list("cidr", `"8.8.8.0/24","2001:db8::/32","9.9.9.9"`, ActionDrop),
		list("hostname", `".google.com"`, ActionIgnoreSimilarity),
		list("string", `"Mozilla"`, ActionDrop, "user-agent"),
		list("substring", `"windowsupdate"`, ActionDrop, "url"),
		list("regex", `"/^c:.windows.explorer/i"`, ActionIgnoreSimilarity, "filename"),
	}})
	r, err := d.Decode(native(`{"dataType":"ip","data":"8.8.8.8"},{"dataType":"ip","data":"2001:db8::5"},{"dataType":"ip","data":"9.9.9.9"},{"dataType":"ip","data":"9.9.9.10"},
		{"dataType":"fqdn","data":"mail.google.com"},{"dataType":"url","data":"https://x.google.com/a"},{"dataType":"fqdn","data":"a.notgoogle.com"},{"dataType":"user-agent","data":"mozilla"},
		{"dataType":"url","data":"http://windowsupdate.example.com/"},{"dataType":"filename","data":"C:\\Windows\\explorer.exe"},{"dataType":"custom","data":"v"}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range r.Detections[0].Observables {
		got = append(got, fmt.Sprint(o.DataType, " ", o.Data, " ", o.IgnoreSimilarity))
	}
	want := []string{"ip 9.9.9.10 false", "fqdn mail.google.com true", "url https://x.google.com/a true", "fqdn a.notgoogle.com false", `filename C:\Windows\explorer.exe true`, "custom v false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, bad := range []List{list("cidr", `"x"`, ActionDrop), list("regex", `"("`, ActionDrop), list("nope", `"x"`, ActionDrop), list("string", ``, ActionDrop), list("string", `"x"`, "keep"), {Name: "x", JSON: []byte("{"), Action: ActionDrop}} {
		if _, err := New(Options{Lists: []List{bad}}); err == nil {
			t.Errorf("list %s of %s was taken", bad.Name, bad.JSON)
		}
	}
}

func TestWhatExceedsALimitIsCounted(t *testing.T) {
	var many []string
	for i := range 260 {
		many = append(many, fmt.Sprintf(`{"dataType":"ip","data":"198.51.%d.%d"}`, i/200, i%200))
	}
	r, err := mustNew(t, Options{}).Decode(native(strings.Join(append(many, many...), ",")))
	if err != nil {
		t.Fatal(err)
	}
	d := r.Detections[0]
	if len(d.Observables) != 200 || d.LeftOut["observables"] != 60 {
		t.Errorf("%d observables, left out %v", len(d.Observables), d.LeftOut)
	}
	one := `{"schema":"forager.detection/v1","id":"%d","title":"t","host":"h"}`
	var batch []string
	for i := range 501 {
		batch = append(batch, fmt.Sprintf(one, i))
	}
	if _, err := mustNew(t, Options{}).Decode(Message{Body: []byte("[" + strings.Join(batch, ",") + "]"), Time: now}); !malformed.Is(err, malformed.TooMany) {
		t.Errorf("got %v", err)
	}
}

func TestADecoderServesManyGoroutines(t *testing.T) {
	d := mustNew(t, Options{})
	var wg conc.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				r, err := d.Decode(Message{Body: []byte(nativeEvent), Time: now})
				if err != nil || len(r.Detections) != 1 || len(r.Detections[0].Observables) != 2 {
					t.Errorf("%+v %v", r, err)
				}
			}
		})
	}
	wg.Wait()
}
