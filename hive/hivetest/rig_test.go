package hivetest_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"forager/hive/hivetest"
)

// rig is a server and a raw HTTP client, which checks every answer against TheHive's API description.
type rig struct {
	t      testing.TB
	hive   *hivetest.Hive
	server *hivetest.Server
	client *http.Client
	header http.Header
	as     string // the release whose description answers are held against
}

func newRig(t testing.TB, o hivetest.Options) *rig {
	t.Helper()
	h := hivetest.New(o)
	s, err := hivetest.Listen("127.0.0.1:0", h)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	header := http.Header{"Authorization": {"Bearer " + hivetest.DefaultAPIKey}}
	as, _, _ := strings.Cut(o.Version, "-")
	return &rig{t, h, s, &http.Client{Transport: transport}, header, cmp.Or(as, "5.5.13")}
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	raw    []byte
	value  any
}

// send does one call and returns transport errors instead of failing.
func (r *rig) send(method, path, mime string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.server.URL()+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header = r.header.Clone()
	if mime != "" {
		req.Header.Set("Content-Type", mime)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: res.StatusCode, header: res.Header, raw: raw}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &a.value); err != nil {
			return a, err
		}
	}
	return a, nil
}

// do does one call with a JSON body (empty: none), fails the test if there is no answer, and checks its form.
func (r *rig) do(method, path, body string) answer {
	r.t.Helper()
	mime := ""
	if body != "" {
		mime = "application/json"
	}
	a, err := r.send(method, path, mime, []byte(body))
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	checkAnswer(r.t, r.as, method, path, a)
	return a
}

// must is do with an expected status.
func (r *rig) must(status int, method, path, body string) answer {
	r.t.Helper()
	a := r.do(method, path, body)
	if a.status != status {
		r.t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.raw, status)
	}
	return a
}

// at walks into the answer: keys and indexes, "0._id".
func (a answer) at(path string) any { return walk(a.value, path) }

func (a answer) text(path string) string {
	s, _ := a.at(path).(string)
	return s
}

func walk(v any, path string) any {
	if path == "" {
		return v
	}
	head, rest, _ := strings.Cut(path, ".")
	switch v := v.(type) {
	case map[string]any:
		return walk(v[head], rest)
	case []any:
		var i int
		if err := json.Unmarshal([]byte(head), &i); err != nil || i >= len(v) {
			return nil
		}
		return walk(v[i], rest)
	}
	return nil
}

func (r *rig) newCase(title string) string {
	r.t.Helper()
	return r.must(201, "POST", "/api/v1/case", `{"title":`+quote(title)+`,"description":"d"}`).text("_id")
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}
