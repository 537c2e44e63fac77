package hivetest_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"forager/hive/hivetest"
)

// fuzzed is a server with something of everything in it.
func fuzzed(f testing.TB) *hivetest.Hive {
	f.Helper()
	h := hivetest.New(hivetest.Options{MaxBody: 1 << 16, MaxUpload: 1 << 16})
	call(f, h, "POST", casePath, `{"title":"t","description":"red fox","startDate":1000,"tags":["k"],"tasks":[{"title":"t"}]}`)
	call(f, h, "POST", casePath+"/1/observable", `{"dataType":"ip","data":"192.0.2.1"}`)
	call(f, h, "POST", casePath+"/1/procedure", `{"patternId":"T1566","occurDate":1}`)
	return h
}

// wellFormed fails unless the answer is one that TheHive could give: a known status, and an error of its own shape.
func wellFormed(t *testing.T, a answer) {
	t.Helper()
	switch a.status {
	case 200, 201, 204, 207:
	case 400, 401, 403, 404, 413, 415:
		if a.text("type") == "" || a.text("message") == "" {
			t.Errorf("%d without type and message: %s", a.status, a.raw)
		}
	default:
		t.Errorf("status %d: %s", a.status, a.raw)
	}
}

func FuzzFilter(f *testing.F) {
	h := fuzzed(f)
	for _, seed := range []string{
		`{"_any":null}`, `{}`, `{"_and":[{"_or":[]},{"_not":{"_id":"~1"}}]}`, `{"_eq":{"_field":"tags","_value":"k"}}`,
		`{"_in":{"_field":"severity","_values":[1,2]}}`, `{"_between":{"_field":"startDate","_from":1,"_to":2}}`,
		`{"_gt":{"_field":"_createdAt","_value":{"amount":1,"unit":"months","look":"behind","timezone":"Europe/Paris","modifier":"endOfDay"}}}`,
		`{"_like":{"_field":"title","_value":"*t*"}}`, `{"_match":{"_field":"description","_value":"fox"}}`, `{"_has":"customFields.x"}`,
		`{"_lt":{"_field":"customFields.x","_value":1.5}}`, `{"_and":null}`, `{"_eq":[]}`, `{"_in":{"_field":"tags","_values":[{}]}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		if !json.Valid([]byte(filter)) {
			return
		}
		body := `{"query":[{"_name":"listCase"},{"_name":"filter",` + strings.TrimPrefix(strings.TrimSpace(filter), "{")
		if strings.TrimSpace(filter) == "{}" {
			body = `{"query":[{"_name":"listCase"},{"_name":"filter"}`
		}
		all := call(t, h, "POST", queryPath, body+`]}`)
		wellFormed(t, all)
		if all.status != 200 {
			return
		}
		// A filter and its negation split the cases between them.
		none := call(t, h, "POST", queryPath, `{"query":[{"_name":"listCase"},{"_name":"filter","_not":`+filter+`}]}`)
		got, _ := all.value.([]any)
		rest, _ := none.value.([]any)
		if none.status != 200 || len(got)+len(rest) != 1 {
			t.Errorf("%s: %d match, %d do not (%d), of 1", filter, len(got), len(rest), none.status)
		}
	})
}

func FuzzMultipart(f *testing.F) {
	server := &fuzzedServer{}
	mime, good := form(f, field("_json", `{"dataType":"file","isZip":true}`), file("attachment", "a", "", "PK"))
	f.Add(mime, good)
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"attachment\"; filename=\"../a\"\r\n\r\nbody\r\n--x--\r\n"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"_json\"; filename=\"_json\"\r\n\r\n{}\r\n--x--"))
	f.Add("multipart/form-data", []byte("--"))
	f.Fuzz(func(t *testing.T, mime string, body []byte) {
		for _, path := range []string{"/api/v1/case/1/observable", "/api/v1/case/1/attachments", "/api/v1/alert"} {
			rec := httptest.NewRecorder()
			server.get(t).ServeHTTP(rec, parsed(t, "POST", path, mime, string(body)))
			a := answer{status: rec.Code, raw: rec.Body.Bytes()}
			if err := json.Unmarshal(a.raw, &a.value); err != nil {
				t.Fatalf("%s: %v in %s", path, err, a.raw)
			}
			wellFormed(t, a)
		}
	})
}

func FuzzRequests(f *testing.F) {
	server := &fuzzedServer{}
	for _, seed := range [][3]string{
		{"POST", casePath, someCase},
		{"POST", casePath + "/1/observable", `{"dataType":"ip","data":["192.0.2.1",""]}`},
		{"POST", casePath + "/1/procedures", `{"procedures":[{"patternId":"T1566","occurDate":1}]}`},
		{"PATCH", casePath + "/1", `{"status":"Other","customFields":[{"name":"x","value":null}],"endDate":null}`},
		{"PATCH", casePath + "/_bulk", `{"ids":["1"],"tags":[]}`},
		{"POST", "/api/v1/alert", `{"type":"t","source":"s","sourceRef":"1","title":"a","description":"d","observables":[{"dataType":"file","attachment":"x"}]}`},
		{"POST", "/api/v1/alert/t;s;1/case", `{}`},
		{"POST", "/api/v1/caseTemplate", `{"name":"x","tasks":[{"title":"t"}],"customFields":{}}`},
		{"PATCH", "/api/v1/user/admin@thehive.local", `{"defaultOrganisation":"admin"}`},
		{"POST", queryPath, `{"query":[{"_name":"listCase"},{"_name":"sort","_fields":[{"tags":"asc"}]},{"_name":"page","from":0,"to":9,"extraData":["total","case"]}],"excludeFields":["x"]}`},
		{"GET", casePath + "/%2e%2e/~1?x=%zz", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, method, path, body string) {
		req := parsed(t, method, path, "application/json", body)
		if req == nil || !strings.HasPrefix(path, "/api") || strings.Contains(path, "logout") {
			return
		}
		rec := httptest.NewRecorder()
		server.get(t).ServeHTTP(rec, req)
		a := answer{status: rec.Code, raw: rec.Body.Bytes()}
		if strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") {
			if err := json.Unmarshal(a.raw, &a.value); err != nil {
				t.Fatalf("%s %s: %v in %s", method, path, err, a.raw)
			}
		}
		wellFormed(t, a)
	})
}

// parsed is the request as net/http would read it from a connection; nil: it would not take it.
func parsed(t *testing.T, method, path, mime, body string) *http.Request {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")))
	if err != nil || strings.ContainsAny(method+path, " \r\n") {
		return nil
	}
	req.Header = http.Header{"Authorization": {"Bearer " + hivetest.DefaultAPIKey}, "Content-Type": {mime}}
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return req.WithContext(t.Context())
}

// fuzzedServer is a server that is made anew now and then, since what it is sent piles up.
type fuzzedServer struct {
	hive  *hivetest.Hive
	calls int
}

func (s *fuzzedServer) get(t *testing.T) *hivetest.Hive {
	if s.calls%200 == 0 {
		s.hive = fuzzed(t)
	}
	s.calls++
	return s.hive
}
