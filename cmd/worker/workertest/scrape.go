package workertest

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Scrape asks the operations server's handler.
func Scrape(t *testing.T, h http.Handler, path, accept string) (int, http.Header, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Header(), w.Body.String()
}
