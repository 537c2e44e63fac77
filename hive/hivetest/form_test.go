package hivetest_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/hive/hivetest"
)

// part is one part of a multipart body, written as a client would, header by header.
type part struct{ disposition, mime, body string }

func field(name, body string) part { return part{`form-data; name="` + name + `"`, "", body} }

func file(name, filename, mime, body string) part {
	return part{`form-data; name="` + name + `"; filename="` + filename + `"`, mime, body}
}

func form(t testing.TB, parts ...part) (mime string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		head := textproto.MIMEHeader{"Content-Disposition": {p.disposition}}
		if p.mime != "" {
			head.Set("Content-Type", p.mime)
		}
		pw, err := w.CreatePart(head)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pw.Write([]byte(p.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

func (r *rig) upload(status int, path string, parts ...part) answer {
	r.t.Helper()
	mime, body := form(r.t, parts...)
	a, err := r.send("POST", path, mime, body)
	if err != nil {
		r.t.Fatalf("%s: %v", path, err)
	}
	if a.status != status {
		r.t.Fatalf("%s: %d %s, want %d", path, a.status, a.raw, status)
	}
	checkAnswer(r.t, r.as, "POST", path, a)
	return a
}

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestFileObservable(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	r.newCase("c")
	meta := `{"dataType":"file","message":"m","tags":["t"]}`
	// The official client sends _json as a plain field here.
	a := r.upload(201, "/api/v1/case/1/observable", field("_json", meta), file("attachment", "a.txt", "text/plain", "hello"))
	want := map[string]any{"name": "a.txt", "size": 5.0, "contentType": "text/plain", "id": sha("hello")}
	for k, v := range want {
		if got := a.at("0.attachment." + k); got != v {
			t.Errorf("%s: %v, want %v", k, got, v)
		}
	}
	if a.at("0.attachment.hashes.0") != sha("hello") || a.at("0.data") != nil {
		t.Errorf("%s", a.raw)
	}
	id, fileID := a.text("0._id"), a.text("0.attachment._id")
	for _, ref := range []string{fileID, sha("hello")} {
		got := r.must(200, "GET", "/api/v1/observable/"+id+"/attachment/"+ref+"/download", "")
		if string(got.raw) != "hello" || !strings.Contains(got.header.Get("Content-Disposition"), "a.txt") {
			t.Errorf("download: %s %s", got.header, got.raw)
		}
	}
	r.must(404, "GET", "/api/v1/observable/"+id+"/attachment/~1/download", "")

	// The same content again is the same observable, by whatever name; several files in one call stand by themselves.
	b := r.upload(207, "/api/v1/case/1/observable", field("_json", meta),
		file("attachment", "b.txt", "text/plain", "hello"), file("attachment", "c.txt", "text/plain", ""))
	if b.at("failure.0.object.data") != "file:b.txt" || b.at("success.0.attachment.name") != "c.txt" {
		t.Errorf("%s", b.raw)
	}
	// Without _json it is a file; _json may come as a file part, after the file.
	r.upload(201, "/api/v1/case/1/observable", file("attachment", "d.txt", "", "d"))
	e := r.upload(201, "/api/v1/case/1/observable", file("attachment", "e.txt", "", "e"), part{`form-data; name="_json"; filename="_json"`, "", meta})
	if e.at("0.message") != "m" {
		t.Errorf("%s", e.raw)
	}
	// A path in a name is cut off, here as in any sane server.
	f := r.upload(201, "/api/v1/case/1/observable", file("attachment", "../../etc/passwd", "", "f"))
	if f.at("0.attachment.name") != "passwd" {
		t.Errorf("%s", f.raw)
	}
	// A reference to a file that is there already.
	r.newCase("c2")
	ref := `{"dataType":"file","attachment":{"name":"again","contentType":"text/plain","id":"` + sha("hello") + `"}}`
	if got := r.must(201, "POST", "/api/v1/case/2/observable", ref); got.at("0.attachment.size") != 5.0 {
		t.Errorf("%s", got.raw)
	}
	r.must(404, "POST", "/api/v1/case/2/observable", strings.Replace(ref, sha("hello"), "none", 1))
	if d := r.hive.Stats(0).Duplicates; d.Total() != 0 {
		t.Errorf("duplicates: %+v", d)
	}
}

func TestZippedFileObservable(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	r.newCase("c")
	a := r.upload(201, "/api/v1/case/1/observable", file("attachment", "evil.exe", "", strings.Repeat("bad ", 100)))
	// The server's own encrypted zip goes back in, and unfolds to what it was.
	zipped := r.must(200, "GET", "/api/v1/observable/"+a.text("0._id")+"/attachment/"+a.text("0.attachment.id")+"/download?asZip=True", "")
	r.newCase("c2")
	send := func(status int, meta string, body string) answer {
		return r.upload(status, "/api/v1/case/2/observable", field("_json", meta), file("attachment", "x.zip", "application/zip", body))
	}
	send(400, `{"dataType":"file","isZip":true,"zipPassword":"wrong"}`, string(zipped.raw))
	b := send(201, `{"dataType":"file","isZip":true,"zipPassword":"malware"}`, string(zipped.raw))
	if b.at("0.attachment.name") != "evil.exe" || b.at("0.attachment.id") != sha(strings.Repeat("bad ", 100)) {
		t.Errorf("%s", b.raw)
	}
	// A plain zip: its top-level files, each an observable; folders are passed over.
	var plain bytes.Buffer
	w := zip.NewWriter(&plain)
	for _, name := range []string{"one", "two", "dir/three"} {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c := send(201, `{"dataType":"file","isZip":true}`, plain.String())
	if c.at("0.attachment.name") != "one" || c.at("1.attachment.name") != "two" || c.at("2") != nil {
		t.Errorf("%s", c.raw)
	}
	// Without isZip the zip itself is the file.
	if d := send(201, `{"dataType":"file"}`, plain.String()); d.at("0.attachment.name") != "x.zip" {
		t.Errorf("%s", d.raw)
	}
	send(400, `{"dataType":"file","isZip":true}`, "no zip at all")
}

func TestAttachments(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	r.newCase("c")
	a := r.upload(201, "/api/v1/case/1/attachments", field("canRename", "True"),
		file("attachments", "a.txt", "text/plain", "one"), file("attachments", "a.txt", "text/plain", "two"))
	if a.at("attachments.0.name") != "a.txt" || a.at("attachments.1.name") != "a (1).txt" {
		t.Errorf("%s", a.raw)
	}
	got := r.must(200, "GET", "/api/v1/case/1/attachment/"+a.text("attachments.1._id")+"/download", "")
	if string(got.raw) != "two" {
		t.Errorf("download: %s", got.raw)
	}
	list := `{"query":[{"_name":"getCase","idOrName":"1"},{"_name":"attachments"}]}`
	if l := r.must(200, "POST", queryPath, list); l.at("1.name") != "a (1).txt" || l.at("2") != nil {
		t.Errorf("%s", l.raw)
	}
	r.must(204, "DELETE", "/api/v1/case/1/attachment/"+a.text("attachments.0._id"), "")
	r.must(404, "DELETE", "/api/v1/case/1/attachment/"+a.text("attachments.0._id"), "")
	r.upload(400, "/api/v1/case/1/attachments", field("canRename", "True"))
	want := []hivetest.File{{Name: "a (1).txt", SHA256: sha("two"), Size: 3}}
	if diff := cmp.Diff(want, r.hive.Snapshot().Cases[0].Files); diff != "" {
		t.Error(diff)
	}
}

func TestMultipartOfTheOfficialClient(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	r.newCase("c")
	task := r.must(201, "POST", "/api/v1/case/1/task", `{"title":"t"}`).text("_id")
	// Alert with files: parts named by a key of the client's, then _json with a file name and no type.
	alert := `{"type":"t","source":"s","sourceRef":"1","title":"a","description":"d","observables":[
		{"dataType":"file","attachment":"key-1"},{"dataType":"ip","data":"192.0.2.1"}]}`
	a := r.upload(201, "/api/v1/alert", file("key-1", "mail.eml", "", "content"), part{`form-data; name="_json"; filename="_json"`, "", alert})
	o := r.must(200, "POST", queryPath, `{"query":[{"_name":"getAlert","idOrName":"`+a.text("_id")+`"},{"_name":"observables"}]}`)
	if o.at("0.attachment.id") != sha("content") || o.at("1.data") != "192.0.2.1" {
		t.Errorf("%s", o.raw)
	}
	r.upload(400, "/api/v1/alert", part{`form-data; name="_json"; filename="_json"`, "", strings.Replace(alert, `"1"`, `"2"`, 1)})
	// Log of a task: the JSON repeats local paths, the parts count.
	l := r.upload(201, "/api/v1/task/"+task+"/log", file("attachments", "x.log", "", "x"), file("attachments", "y.log", "", "y"),
		part{`form-data; name="_json"; filename="_json"`, "", `{"message":"m","attachments":["/home/me/x.log","/home/me/y.log"]}`})
	if l.at("attachments.1.name") != "y.log" {
		t.Errorf("%s", l.raw)
	}
	log := l.text("_id")
	r.upload(204, "/api/v1/log/"+log+"/attachments", file("attachments", "z.log", "", "z"))
	r.must(204, "DELETE", "/api/v1/log/"+log+"/attachments/"+l.text("attachments.0._id"), "")
	left := r.must(200, "POST", queryPath, `{"query":[{"_name":"getLog","idOrName":"`+log+`"}]}`)
	if left.at("0.attachments.0.name") != "y.log" || left.at("0.attachments.1.name") != "z.log" {
		t.Errorf("%s", left.raw)
	}
	if got := r.must(200, "GET", "/api/v1/task/"+task, ""); got.at("status") != "InProgress" {
		t.Errorf("a log begins a waiting task: %s", got.raw)
	}
	// Posts without body or type.
	r.newCase("c2")
	r.must(201, "POST", "/api/v1/case/_merge/1,2", "")
	r.must(204, "POST", "/api/v1/alert/"+a.text("_id")+"/follow", "")
	r.must(200, "POST", "/api/v1/alert/"+a.text("_id")+"/merge/3", "")
	r.must(204, "DELETE", "/api/v1/case/3", `{"some":"body"}`)
}

func TestPatternImport(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	r.header.Set("X-Organisation", "admin")
	bundle := `{"type":"bundle","objects":[
	 {"type":"identity","name":"x"},
	 {"type":"attack-pattern","name":"New One","kill_chain_phases":[{"kill_chain_name":"mitre-attack","phase_name":"impact"}],
	  "external_references":[{"source_name":"mitre-attack","external_id":"T7777"}]},
	 {"type":"attack-pattern","name":"Phishing 2","revoked":true,"kill_chain_phases":[{"kill_chain_name":"mitre-attack","phase_name":"execution"}],
	  "external_references":[{"source_name":"mitre-attack","external_id":"T1566"}]}]}`
	meta := field("_json", `{"catalog":"Enterprise Attack"}`)
	a := r.upload(201, "/api/v1/pattern/import/attack", meta, file("file", "b.json", "application/json", bundle))
	if !strings.Contains(string(a.raw), `"T7777"`) {
		t.Errorf("%s", a.raw)
	}
	if p := r.must(200, "GET", "/api/v1/pattern/T7777", ""); p.at("tactics.0") != "impact" {
		t.Errorf("%s", p.raw)
	}
	if p := r.must(200, "GET", "/api/v1/pattern/T1566", ""); p.at("name") != "Phishing 2" || p.at("revoked") != true {
		t.Errorf("%s", p.raw)
	}
	r.upload(207, "/api/v1/pattern/import/attack", meta, file("file", "b.json", "", `{"objects":[{"type":"attack-pattern","name":"x"}]}`))
	r.upload(400, "/api/v1/pattern/import/attack", meta, file("file", "b.json", "", `{"objects":`))
	r.upload(400, "/api/v1/pattern/import/attack", file("file", "b.json", "", bundle))
	r.upload(400, "/api/v1/pattern/import/attack", meta)
}

func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{MaxBody: 1000, MaxUpload: 2000})
	r.newCase("c")
	mime, good := form(t, field("_json", `{"dataType":"file"}`), file("attachment", "a", "", "a"))
	big, bigBody := form(t, file("attachment", "a", "", strings.Repeat("x", 2000)))
	const path = "/api/v1/case/1/observable"
	for name, f := range map[string]struct {
		path, mime string
		body       []byte
		status     int
	}{
		"whole":             {path, mime, good, 201},
		"cut":               {path, mime, good[:len(good)-20], 400},
		"empty":             {path, mime, nil, 400},
		"no boundary":       {path, "multipart/form-data", good, 400},
		"another boundary":  {path, "multipart/form-data; boundary=x", good, 400},
		"nameless part":     {path, "multipart/form-data; boundary=x", []byte("--x\r\n\r\nbody\r\n--x--\r\n"), 400},
		"bad _json":         {path, "multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"_json\"\r\n\r\n{\r\n--x--\r\n"), 400},
		"too large a file":  {path, big, bigBody, 413},
		"too large a case":  {casePath, "application/json", []byte(`{"title":"` + strings.Repeat("x", 1000) + `"}`), 413},
		"form for a case":   {casePath, mime, good, 400},
		"no type":           {casePath, "", []byte(someCase), 400},
		"JSON for a form":   {"/api/v1/case/1/attachments", "application/json", []byte(`{}`), 400},
		"invalid UTF-8":     {casePath, "application/json", []byte("{\"title\":\"\xff\",\"description\":\"d\"}"), 201},
		"deep nesting":      {casePath, "application/json", bytes.Repeat([]byte("["), 900), 400},
		"nothing":           {casePath, "application/json", nil, 400},
		"null":              {casePath, "application/json", []byte("null"), 400},
		"charset parameter": {casePath, "application/json; charset=utf-8", []byte(someCase), 201},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := r.send("POST", f.path, f.mime, f.body)
			if err != nil || a.status != f.status || f.status >= 400 && (a.text("type") == "" || a.text("message") == "") {
				t.Errorf("%d %s, error %v; want %d", a.status, a.raw, err, f.status)
			}
		})
	}
}

// TestArchivesBringACaseBack: with the password that it was exported with.
func TestArchivesBringACaseBack(t *testing.T) {
	t.Parallel()
	for _, version := range described {
		r := newRig(t, hivetest.Options{Version: version})
		r.must(201, "POST", "/api/v1/case", `{"title":"c","description":"d","severity":3,"tags":["k"],"tasks":[{"title":"t"}],"pages":[{"title":"p","content":"c","category":"k"}]}`)
		r.must(201, "POST", "/api/v1/case/1/observable", `{"dataType":"ip","data":["192.0.2.1","192.0.2.2"]}`)
		r.must(201, "POST", "/api/v1/case/1/procedure", `{"patternId":"T1566","occurDate":7}`)
		packed, err := r.send("GET", "/api/v1/case/1/export?password=secret", "", nil)
		if err != nil || packed.status != 200 || !strings.Contains(packed.header.Get("Content-Disposition"), "attachment") {
			t.Fatal(packed.status, err)
		}
		a := r.upload(200, "/api/v1/case/import", field("_json", `{"password":"secret"}`), file("file", "case.thar", "", string(packed.raw)))
		if a.text("case.title") != "c" || a.at("case.number") != 2.0 || a.text("observables.1.data") != "192.0.2.2" || a.text("procedures.0.patternId") != "T1566" {
			t.Errorf("%s: %s", version, a.raw)
		}
		one, two := r.hive.Snapshot().Cases[0], r.hive.Snapshot().Cases[1]
		if len(two.Tasks) != 1 || len(two.Pages) != 1 || one.Severity != two.Severity || one.StartDate != two.StartDate {
			t.Errorf("%s: %+v became %+v", version, one, two)
		}
		r.upload(400, "/api/v1/case/import", field("_json", `{"password":"other"}`), file("file", "case.thar", "", string(packed.raw)))
		r.upload(400, "/api/v1/case/import", field("_json", `{"password":"secret"}`), file("file", "case.thar", "", "no archive"))
		r.upload(400, "/api/v1/case/import", field("_json", `{}`), file("file", "case.thar", "", string(packed.raw)))
	}
}

// TestMISPAndCortexByOption: a server with them takes what one without refuses.
func TestMISPAndCortexByOption(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{MISP: []string{"circl"}, Cortex: []string{"local"}})
	r.newCase("c")
	r.must(204, "POST", "/api/v1/connector/misp/export/1/circl", "")
	r.must(404, "POST", "/api/v1/connector/misp/export/1/other", "")
	r.upload(201, "/api/v1/connector/misp/case/import", field("_json", `{}`), file("file", "e.json", "application/json", `{"Event":{"info":"i","uuid":"u"}}`))
	if a := r.upload(400, "/api/v1/connector/misp/case/import", field("_json", `{}`), file("file", "e.json", "", "[]")); a.text("message") != "Could not convert json to MISP event" {
		t.Errorf("%s", a.raw)
	}
	o := r.must(201, "POST", "/api/v1/case/1/observable", `{"dataType":"ip","data":"192.0.2.1"}`).text("0._id")
	if a := r.must(201, "POST", "/api/v1/connector/cortex/job", `{"analyzerId":"a","cortexId":"local","artifactId":"`+o+`"}`); a.text("status") != "Waiting" {
		t.Errorf("%s", a.raw)
	}
	kept := r.upload(201, "/api/v1/attachment", file("attachments", "a.txt", "", "text")).text("attachments.0._id")
	if got, err := r.send("GET", "/api/v1/attachment/"+kept+"/download", "", nil); err != nil || string(got.raw) != "text" {
		t.Errorf("%s %v", got.raw, err)
	}
	r.must(204, "DELETE", "/api/v1/attachment/"+kept, "")
	r.must(404, "GET", "/api/v1/attachment/"+kept, "")
}
