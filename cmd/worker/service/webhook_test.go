package service

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"go.uber.org/zap"

	"forager/cmd/worker/workertest"
	"forager/hive"
	"forager/pipeline/audit"
)

// drawer keeps documents, or fails as it is told to.
type drawer struct {
	mu   sync.Mutex
	kept map[string]string
	err  error
}

func (d *drawer) Store(_ context.Context, key string, document []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return d.err
	}
	if d.kept == nil {
		d.kept = map[string]string{}
	}
	d.kept[key] = string(document)
	return nil
}

// heedless counts nothing.
func heedless(string) {}

// still are credentials that do not change.
func still(c credentials) func() credentials { return func() credentials { return c } }

// post sends a document to an intake and gives the status.
func post(t testing.TB, h http.Handler, authorization string, body io.Reader) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/thehive", body)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

const document = `{"_id":"","action":"delete","objectType":"Procedure","objectId":"~2","rootId":"~1","requestId":"r","_createdAt":1}`

func TestTheIntakeOpensToItsCredentialsAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token, user, password, shown string
		want                         int
	}{
		"bearer":                      {"tok", "", "", "Bearer tok", 204},
		"bearer in lower case":        {"tok", "", "", "bearer tok", 204},
		"basic":                       {"", "u", "p:w", "Basic dTpwOnc=", 204},
		"basic beside bearer":         {"tok", "u", "p:w", "Basic dTpwOnc=", 204},
		"nothing":                     {"tok", "u", "p", "", 401},
		"wrong token":                 {"tok", "", "", "Bearer toc", 401},
		"longer token":                {"tok", "", "", "Bearer tokk", 401},
		"token as basic":              {"tok", "", "", "Basic tok", 401},
		"basic pair as bearer":        {"", "u", "p:w", "Bearer dTpwOnc=", 401},
		"empty bearer":                {"tok", "", "", "Bearer ", 401},
		"no scheme":                   {"tok", "", "", "tok", 401},
		"a user without password":     {"", "u", "", "Basic dTo=", 401},
		"an intake without any key":   {"", "", "", "Bearer ", 401},
		"no key, and nothing is sent": {"", "", "", "", 401},
	} {
		var d drawer
		h := newHookHandler(still(newCredentials(c.token, c.user, c.password)), &d, heedless, zap.NewNop())
		if got := post(t, h, c.shown, strings.NewReader(document)); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		if (len(d.kept) == 1) != (c.want == 204) {
			t.Errorf("%s: kept %v", name, d.kept)
		}
	}
}

func TestTheIntakeSaysWhyItDoesNotStore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body io.Reader
		err  error
		want int
		told string
	}{
		"stored":                     {strings.NewReader(document), nil, 204, "stored"},
		"no document":                {strings.NewReader(`{"hello":"world"}`), nil, 400, "no document"},
		"no json":                    {strings.NewReader(`<xml/>`), nil, 400, "no document"},
		"nothing":                    {strings.NewReader(""), nil, 400, "no document"},
		"broken off":                 {iotest.ErrReader(io.ErrUnexpectedEOF), nil, 400, "broken off"},
		"larger than may be":         {strings.NewReader(strings.Repeat(" ", audit.MaxBytes) + document), nil, 413, "too large"},
		"larger than the server may": {strings.NewReader(document), audit.ErrTooLarge, 413, "too large"},
		"the stream does not accept": {strings.NewReader(document), errors.New("no"), 503, "not stored"},
	} {
		var told []string
		h := newHookHandler(still(newCredentials("tok", "", "")), &drawer{err: c.err}, func(what string) { told = append(told, what) }, zap.NewNop())
		if got := post(t, h, "Bearer tok", c.body); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		post(t, h, "Bearer toc", strings.NewReader(document))
		if want := []string{c.told, "wrong credentials"}; !slices.Equal(told, want) {
			t.Errorf("%s: counted %q", name, told)
		}
	}
	w := httptest.NewRecorder()
	newHookHandler(still(newCredentials("tok", "", "")), &drawer{}, heedless, zap.NewNop()).
		ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/hooks/thehive", http.NoBody))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
}

func TestEveryRealDocumentIsTakenInAsItIs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(workertest.Root(t), "..", "shared", "data", "thehive", "webhooks", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the webhook documents are not here (../shared/data/thehive/webhooks)")
	}
	var d drawer
	h := newHookHandler(still(newCredentials("tok", "", "")), &d, heedless, zap.NewNop())
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := post(t, h, "Bearer tok", strings.NewReader(string(text))); got != 204 {
			t.Errorf("%s: %d", filepath.Base(name), got)
		}
	}
	for key, text := range d.kept {
		if a, err := hive.ParseAudit([]byte(text)); err != nil || a.Key() != key {
			t.Errorf("kept under %s: %v", key, err)
		}
	}
}

func FuzzIntake(f *testing.F) {
	f.Add("Bearer tok", document)
	f.Add("Basic dTpw", `{"operation":"Update","objectType":"case","details":{"cases":["~1",{"_id":2}]}}`)
	f.Add("Bearer  tok ", `[{}]`)
	f.Fuzz(func(t *testing.T, authorization, body string) {
		var d drawer
		h := newHookHandler(still(newCredentials("tok", "u", "p")), &d, heedless, zap.NewNop())
		switch got := post(t, h, authorization, strings.NewReader(body)); got {
		case 204:
			for key, text := range d.kept {
				if text != body || len(key) != 32 {
					t.Fatalf("kept %q under %q", text, key)
				}
			}
			if len(d.kept) != 1 || !strings.Contains(authorization, "tok") && !strings.Contains(authorization, "dTpw") {
				t.Fatalf("let in by %q, kept %d", authorization, len(d.kept))
			}
		case 400, 401, 413:
			if len(d.kept) != 0 {
				t.Fatalf("answered %d and kept %v", got, d.kept)
			}
		default:
			t.Fatalf("answered %d", got)
		}
	})
}
