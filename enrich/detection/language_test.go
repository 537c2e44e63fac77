package detection

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// acmeReads decodes one event by a format of the rules given, with its reasons.
func acmeReads(t *testing.T, rules, event string) []Detection {
	t.Helper()
	d := mustNew(t, Options{Why: true, Formats: []fs.FS{fstest.MapFS{"acme.yaml": {Data: []byte(
		"format: acme\norder: 5\nrecognise: [[{path: acme}]]\ntitle: [what, {text: t}]\n" + rules)}}}})
	r, err := d.Decode(Message{Body: []byte(event), Time: now})
	if err != nil {
		t.Fatalf("%s\n%s: %v", rules, event, err)
	}
	return r.Detections
}

func dataOf(d Detection) []string {
	var out []string
	for _, o := range d.Observables {
		out = append(out, o.Data)
	}
	slices.Sort(out)
	return out
}

// TestAStarIsEveryMember holds it in every place of a path, nested, flat and mixed, and in conditions.
func TestAStarIsEveryMember(t *testing.T) {
	a, b := strings.Repeat("a1", 16), strings.Repeat("b2", 16)
	for _, c := range []struct{ path, event string }{
		{"*.hashes.md5", `{"acme":1,"p":{"hashes":{"md5":"` + a + `"}},"q":{"hashes":{"md5":"` + b + `"}}}`},
		{"*.hashes.md5", `{"acme":1,"p.hashes.md5":"` + a + `","q":{"hashes.md5":"` + b + `"}}`},
		{"x.*.md5", `{"acme":1,"x":[{"y":{"md5":"` + a + `"}},{"z":{"md5":"` + b + `"}}]}`},
		{"x.*.md5", `{"acme":1,"x":{"y":{"md5":"` + a + `"}},"x.z.md5":"` + b + `"}`},
		{"x.*", `{"acme":1,"x":{"y":"` + a + `","z":["` + b + `"]}}`},
		{"*.*.md5", `{"acme":1,"x":{"y":{"md5":"` + a + `"},"z":{"md5":"` + b + `"}}}`},
		{"*[k=v].md5", `{"acme":1,"x":{"k":"v","md5":"` + a + `"},"y":[{"k":"v","md5":"` + b + `"},{"k":"w","md5":"` + strings.Repeat("c3", 16) + `"}]}`},
	} {
		d := acmeReads(t, fmt.Sprintf("observables: [{type: hash, path: ['%s'], when: [{path: '%s'}]}]\n", c.path, c.path), c.event)
		if got := dataOf(d[0]); !slices.Equal(got, []string{a, b}) {
			t.Errorf("%s of %s: %v", c.path, c.event, got)
		}
	}
	_, err := New(Options{Formats: []fs.FS{file("format: acme\nrecognise: [[{path: '*.a'}]]\ntitle: [b]\n")}})
	if err == nil || !strings.Contains(err.Error(), "begin with a name") {
		t.Errorf("a format for whatever there is: %v", err)
	}
}

// TestRootsNest reads what lies below one root below another, in objects and in strings.
func TestRootsNest(t *testing.T) {
	for _, event := range []string{
		`{"acme":1,"result":{"_raw":"a=1 box=lt-1"}}`, `{"acme":1,"result":{"_raw":"{\"box\":\"lt-1\"}"}}`, `{"acme":1,"_raw":"box=\"lt-1\""}`,
		`{"acme":1,"result":"{\"_raw\":{\"box\":\"lt-1\"}}"}`, `{"acme":1,"_raw":{"result":[{"box":"lt-1"}]}}`,
	} {
		if d := acmeReads(t, "roots: [result, _raw]\nhost: [box]\n", event); d[0].Host != "lt-1" {
			t.Errorf("%s: host %q", event, d[0].Host)
		}
	}
	deep := strings.Repeat(`{"result":`, 40) + "1" + strings.Repeat("}", 40)
	acmeReads(t, "roots: [result]\nhost: [box]\n", `{"acme":1,"result":`+deep+`}`) // it ends
}

// TestListsInTextsAreLists reads them wherever a path is named, and leaves alone what is one value.
func TestListsInTextsAreLists(t *testing.T) {
	a, b := strings.Repeat("a1", 16), strings.Repeat("b2", 20)
	for _, c := range []struct {
		kind, text string
		want       []string
	}{
		{"hash", a + "," + b, []string{a, b}}, {"hash", "MD5=" + a + ";SHA1=" + b + ";IMPHASH=" + strings.Repeat("c3", 16), []string{a, b}},
		{"ip", "203.0.113.1, 203.0.113.2", []string{"203.0.113.1", "203.0.113.2"}}, {"ip", "203.0.113.1;2001:db8::1", []string{"2001:db8::1", "203.0.113.1"}},
		{"host", "LT-1,LT-2.acme.example", []string{"lt-1", "lt-2.acme.example"}}, {"host", "LT-1|203.0.113.2", []string{"203.0.113.2", "lt-1"}}, {"host", "Anna's Mac Book", nil}, {"host", "Mac, Book of Anna", nil},
		{"mail", "a@acme.example, Bob <b@acme.example>", []string{"a@acme.example", "b@acme.example"}},
		{"url", "https://a.example/x,y https://b.example/z", []string{"https://a.example/x,y", "https://b.example/z"}}, {"url", "https://a.example/?u=http://b.example/", []string{"https://a.example/?u=http://b.example/"}},
		{"cve", "CVE-2026-1, CVE-2026-2", []string{"CVE-2026-1", "CVE-2026-2"}}, {"filename", `C:\a, b.exe`, []string{`C:\a, b.exe`}}, {"mail-subject", "one, two", []string{"one, two"}},
	} {
		d := acmeReads(t, "observables: [{type: "+c.kind+", path: [v]}]\n", fmt.Sprintf(`{"acme":1,"v":%q}`, c.text))
		if got := dataOf(d[0]); !slices.Equal(got, c.want) {
			t.Errorf("%s %q: %v, want %v", c.kind, c.text, got, c.want)
		}
	}
	d := acmeReads(t, "host: [h]\nuser: [u]\nip: [i]\n", `{"acme":1,"h":"lt-1, lt-2","u":"erin;bob","i":"127.0.0.1,203.0.113.1"}`)[0]
	if d.Host != "lt-1" || d.User != "erin" || d.IP != "203.0.113.1" {
		t.Errorf("of lists the first that is somebody: %q %q %q", d.Host, d.User, d.IP)
	}
	for _, name := range []string{"Doe, Jane", "CN=Erin,OU=Users,DC=acme"} {
		if d := acmeReads(t, "user: [u]\n", fmt.Sprintf(`{"acme":1,"u":%q}`, name))[0]; d.User != name {
			t.Errorf("%q is %q", name, d.User)
		}
	}
}

// TestWhyListsWhatVanishes names each value that a format names and that nothing was made of.
func TestWhyListsWhatVanishes(t *testing.T) {
	d := acmeReads(t, strings.Join([]string{
		"roots: [raw]", "time: [at]", "severity: [bad]", "ip: [from]", "own: [me]",
		"observables:", "  - {type: ip, path: [from, me, to]}", "  - {type: hash, path: [sum]}", "  - {type: filename, join: [dir, name], sep: /}",
		"  - {reader: typed, each: iocs, kind: k, value: v, types: {ip: ip}}", "techniques: [ttp]", "",
	}, "\n"), `{"acme":1,"raw":"no pairs","at":"soon 1","bad":"purple","from":"999.1.1.1","me":"10.0.0.1","to":"127.0.0.2","sum":"short","dir":"/tmp","ttp":"T1059","iocs":[{"k":"ip","v":"nowhere"}]}`)[0]
	var why []string
	for _, w := range d.Why {
		if strings.HasPrefix(w.Field, "not ") {
			why = append(why, w.Path+"="+w.Value)
		}
	}
	for _, want := range []string{"raw=no pairs", "at=soon 1", "bad=purple", "from=999.1.1.1", "me=10.0.0.1", "to=127.0.0.2", "sum=short", "dir=/tmp", "iocs.v=nowhere"} {
		if !slices.Contains(why, want) {
			t.Errorf("%s vanished in silence: %v", want, why)
		}
	}
}

// TestKeysAreOfTheirFormat keeps one product's numbers apart from another's, and the native form's as sent.
func TestKeysAreOfTheirFormat(t *testing.T) {
	if d := acmeReads(t, "key: [ticket]\nhost: [h]\n", `{"acme":1,"ticket":4711,"h":"x"}`)[0]; d.Key != "acme:4711" {
		t.Errorf("key %q", d.Key)
	}
	if d := acmeReads(t, "lastKey: [{join: [rule, tenant], sep: /}]\n", `{"acme":1,"rule":"r","tenant":7}`)[0]; d.Key != "acme:r/7" {
		t.Errorf("last key %q", d.Key)
	}
	if d := acmeReads(t, "rule: {id: [rule]}\n", `{"acme":1,"rule":"r"}`)[0]; d.Key != "acme:r" {
		t.Errorf("of a format that names none, the rule: %q", d.Key)
	}
	if d := acmeReads(t, "lastKey: [rule]\nhost: [h]\n", `{"acme":1,"rule":"r","h":"x"}`)[0]; d.Key != "" {
		t.Errorf("a host is enough, and %q is a key", d.Key)
	}
	if d := only(t, ownForm(t, "key", "4711")); d.Key != "4711" {
		t.Errorf("the sender's own key is %q", d.Key)
	}
	rows := `[{"schema":"forager.detection/v1","id":"1","title":"x","host":"localhost"},{"schema":"forager.detection/v1","id":"1","title":"x","host":"h"}]`
	if d := only(t, rows); d.Key != "" {
		t.Errorf("a later row names somebody, and %q is a key", d.Key)
	}
}

// TestAListOfHostsSplits makes a detection of each, with ids that stay.
func TestAListOfHostsSplits(t *testing.T) {
	rules := "id: [ref]\nhost: [h]\nsplit: {of: [h, more]}\nobservables: [{type: ip, path: [from]}]\n"
	ds := acmeReads(t, rules, `{"acme":1,"ref":"7","h":"LT-1,LT-2","more":["lt-2.acme.example","LT-1","localhost","-",{"x":1}],"from":"203.0.113.1"}`)
	var got []string
	for _, d := range ds {
		got = append(got, d.ID+" "+d.Host+" "+strings.Join(dataOf(d), ","))
	}
	if want := []string{"7 LT-1 203.0.113.1", "7/lt-2 LT-2 203.0.113.1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	_, err := New(Options{Formats: []fs.FS{file("format: acme\nrecognise: [[{path: a}]]\ntitle: [b]\nsplit: {each: c}\n")}})
	if err == nil || !strings.Contains(err.Error(), "split") {
		t.Errorf("rows without what to split them by: %v", err)
	}
}
