package hivetest_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/hive/hivetest"
)

// keep keeps a server's state in a file, until the test ends.
func keep(t *testing.T, h *hivetest.Hive, file string) *hivetest.Keeper {
	t.Helper()
	was, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	k, err := h.Keep(file, was, func(err error) { t.Errorf("keep: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// TestStateComesBack: after every session a server that takes the state answers every question as the first one did, and has the same
// state to write.
func TestStateComesBack(t *testing.T) {
	files, err := filepath.Glob("testdata/sessions/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sessions: %v", err)
	}
	for _, session := range files {
		t.Run(filepath.Base(session), func(t *testing.T) {
			t.Parallel()
			o := hivetest.Options{Version: "5.5.13-1", Quirks: hivetest.Quirks{UnknownField: "refused"}}
			first := playSession(t, session, o)
			one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
			if err := keep(t, first.hive, one).Close(); err != nil {
				t.Fatal(err)
			}
			written := content(t, one)
			if err := os.WriteFile(two, written, 0o600); err != nil {
				t.Fatal(err)
			}
			second := newRig(t, o)
			if err := keep(t, second.hive, two).Close(); err != nil {
				t.Fatal(err)
			}
			if again := content(t, two); !bytes.Equal(written, again) {
				t.Errorf("written anew it is another state: %s", cmp.Diff(string(written), string(again)))
			}
			if diff := cmp.Diff(first.hive.Snapshot(), second.hive.Snapshot()); diff != "" {
				t.Error(diff)
			}
			for _, list := range []string{"Case", "Alert", "Observable", "Task", "Procedure", "User", "Organisation", "CustomField", "CaseTemplate", "Profile", "Share", "Attachment", "Job"} {
				body := `{"query":[{"_name":"list` + list + `"}]}`
				a, b := first.do("POST", "/api/v1/query", body), second.do("POST", "/api/v1/query", body)
				if diff := cmp.Diff(string(a.raw), string(b.raw)); diff != "" {
					t.Errorf("list%s: %s", list, diff)
				}
			}
		})
	}
}

func playSession(t *testing.T, file string, o hivetest.Options) *rig {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := session{rig: newRig(t, o), vars: map[string]string{"version": "5.5.13"}}
	s.play(strings.ReplaceAll(string(raw), "\n ", " "))
	s.header.Del("X-Organisation")
	s.header.Set("Authorization", "Bearer "+hivetest.DefaultAPIKey)
	return s.rig
}

func content(t *testing.T, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestStateGoesOn: what is there counts as if the server had never ended: numbers go on, doubles are refused, files are read, keys let in.
func TestStateGoesOn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state")
	r := newRig(t, hivetest.Options{})
	k := keep(t, r.hive, file)
	r.newCase("c")
	r.must(201, "POST", "/api/v1/case/1/observable", `{"dataType":"ip","data":"192.0.2.1"}`)
	r.must(201, "POST", "/api/v1/alert", `{"type":"t","source":"s","sourceRef":"r","title":"a","description":"d"}`)
	kept := r.upload(201, "/api/v1/case/1/attachments", file1("a.bin", "\x00\xff content")).text("attachments.0._id")
	r.must(204, "POST", "/api/v1/user/"+hivetest.DefaultUser+"/password/set", `{"password":"changed"}`)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a file with passwords: %v %v", info.Mode(), err)
	}

	n := newRig(t, hivetest.Options{})
	keep(t, n.hive, file)
	n.must(207, "POST", "/api/v1/case/1/observable", `{"dataType":"ip","data":"192.0.2.1"}`)
	n.must(400, "POST", "/api/v1/alert", `{"type":"t","source":"s","sourceRef":"r","title":"a","description":"d"}`)
	if got, err := n.send("GET", "/api/v1/case/1/attachment/"+kept+"/download", "", nil); err != nil || string(got.raw) != "\x00\xff content" {
		t.Errorf("%q %v", got.raw, err)
	}
	n.must(200, "POST", "/api/v1/login", `{"user":"`+hivetest.DefaultUser+`","password":"changed"}`)
	if a := n.must(201, "POST", "/api/v1/case", `{"title":"d","description":"d"}`); a.at("number") != 2.0 {
		t.Errorf("%s", a.raw)
	}
	found := n.must(200, "POST", "/api/v1/query", `{"query":[{"_name":"getCase","idOrName":"1"},{"_name":"observables"},{"_name":"filter","_eq":{"_field":"data","_value":"192.0.2.1"}}]}`)
	if found.text("0.data") != "192.0.2.1" {
		t.Errorf("%s", found.raw)
	}
}

func file1(name, data string) part {
	return file("attachments", name, "application/octet-stream", data)
}

// TestStateIsWrittenSoon: a change is in the file at once, the next ones within a second and all together, without anything being closed.
func TestStateIsWrittenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state")
		h := hivetest.New(hivetest.Options{})
		keep(t, h, file)
		post := func(title string) { serveOne(t, h, "POST", "/api/v1/case", `{"title":"`+title+`","description":"d"}`) }
		post("first")
		synctest.Wait()
		if !bytes.Contains(content(t, file), []byte(`"first"`)) {
			t.Fatal("the first change is not in the file")
		}
		post("second")
		post("third")
		synctest.Wait()
		if bytes.Contains(content(t, file), []byte(`"second"`)) {
			t.Error("written twice within a second")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if raw := content(t, file); !bytes.Contains(raw, []byte(`"second"`)) || !bytes.Contains(raw, []byte(`"third"`)) {
			t.Error("after a second the changes are not in the file")
		}
		serveOne(t, h, "POST", "/_sim/reset", "")
		time.Sleep(time.Second)
		synctest.Wait()
		if bytes.Contains(content(t, file), []byte(`"first"`)) {
			t.Error("a reset leaves what was there")
		}
	})
}

// TestBrokenStateIsRefused: and left as it is.
func TestBrokenStateIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state")
	r := newRig(t, hivetest.Options{})
	k := keep(t, r.hive, file)
	r.newCase("c")
	r.upload(201, "/api/v1/case/1/attachments", file1("a", "content"))
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	whole := string(content(t, file))
	for name, broken := range map[string]string{
		"empty": "", "cut short": whole[:len(whole)/2], "no JSON": "\x7fELF", "another object": `{"version":"5.5.13"}`,
		"of another form":            strings.Replace(whole, `"form":1`, `"form":2`, 1),
		"an unknown kind":            strings.Replace(whole, `"kind":"Case"`, `"kind":"Cage"`, 1),
		"an unknown field":           strings.Replace(whole, `"flag":`, `"flock":`, 1),
		"an unknown form of a value": strings.Replace(whole, `"texts":`, `"tests":`, 1),
		"a file of other content":    strings.Replace(whole, `"Y29udGVudA=="`, `"Y29udGVuZA=="`, 1),
		"a number twice":             strings.Replace(whole, `"next":`, `"next":0,"number":0,"nixt":`, 1),
	} {
		if broken == whole {
			t.Fatalf("%s: nothing was broken", name)
		}
		if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		h := hivetest.New(hivetest.Options{})
		if _, err := h.Keep(file, []byte(broken), nil); err == nil || !strings.Contains(err.Error(), "no state of a simulated TheHive") {
			t.Errorf("%s: %v", name, err)
		}
		if string(content(t, file)) != broken {
			t.Errorf("%s: the file was changed", name)
		}
		if len(h.Snapshot().Cases) != 0 {
			t.Errorf("%s: a part was taken", name)
		}
	}
	if _, err := hivetest.New(hivetest.Options{}).Keep(filepath.Join(t.TempDir(), "none", "state"), nil, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// serveOne does one call without a network.
func serveOne(t *testing.T, h *hivetest.Hive, method, path, body string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+hivetest.DefaultAPIKey)
	req.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	if rec.Code >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
	}
}
