package hivetest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"forager/hive/hivetest"
)

// call asks the handler without a network, so that a test can run in virtual time.
func call(t testing.TB, h *hivetest.Hive, method, path, body string) answer {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+hivetest.DefaultAPIKey)
	req.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	a := answer{status: rec.Code, header: rec.Header(), raw: rec.Body.Bytes()}
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(a.raw, &a.value); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, a.raw)
		}
	}
	return a
}

const (
	someCase  = `{"title":"t","description":"d","tags":["k"]}`
	byTag     = `{"query":[{"_name":"listCase"},{"_name":"filter","_eq":{"_field":"tags","_value":"k"}},{"_name":"count"}]}`
	queryPath = "/api/v1/query"
	casePath  = "/api/v1/case"
)

func count(t testing.TB, h *hivetest.Hive, query string) string {
	t.Helper()
	a := call(t, h, http.MethodPost, queryPath, query)
	if a.status != http.StatusOK {
		t.Fatalf("query: %d %s", a.status, a.raw)
	}
	return string(a.raw)
}
