package hive_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/conc"
	"go.uber.org/goleak"

	"forager/hive"
)

func TestMain(m *testing.M) {
	if code := m.Run(); code != 0 {
		os.Exit(code)
	}
	if err := goleak.Find(); err != nil {
		println(err.Error())
		os.Exit(1)
	}
}

// seen is one request as a server received it.
type seen struct {
	Method, Path, Query, Body string
	Header                    http.Header
}

// journal remembers requests.
type journal struct {
	mu   sync.Mutex
	list []seen
}

func (j *journal) add(s seen) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list = append(j.list, s)
}

func (j *journal) all() []seen {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]seen{}, j.list...)
}

// prefix is the path under which the test servers are mounted, so that a
// client that forgets its base path is found out.
const prefix = "/soc"

const testKey = "k3y-of-the-test-account"

// serve starts a server and a client for it.
func serve(t *testing.T, handler http.HandlerFunc, change ...func(*hive.Options)) (*hive.Client, *journal) {
	t.Helper()
	log := &journal{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		log.add(seen{r.Method, strings.TrimPrefix(r.URL.EscapedPath(), prefix), r.URL.RawQuery, string(body), r.Header})
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if !strings.HasPrefix(r.URL.Path, prefix+"/api/v1/") {
			t.Errorf("request outside the base path: %s", r.URL)
		}
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	options := hive.Options{URL: server.URL + prefix + "/", APIKey: testKey, Proxy: "direct"}
	for _, c := range change {
		c(&options)
	}
	return newClient(t, options), log
}

func newClient(t *testing.T, o hive.Options) *hive.Client {
	t.Helper()
	c, err := hive.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// answer is a handler that always says the same.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// sameJSON compares two JSON texts by what they say.
func sameJSON(t *testing.T, what, want, got string) {
	t.Helper()
	if diff := cmp.Diff(parse(t, want), parse(t, got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func parse(t *testing.T, text string) any {
	t.Helper()
	if text == "" {
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return v
}

// group runs a function beside the test and waits for it at its end.
func group(t *testing.T, run func()) {
	t.Helper()
	var wg conc.WaitGroup
	wg.Go(run)
	t.Cleanup(wg.Wait)
}

// rawServer is serve without a journal: the handler reads the body itself.
func rawServer(t *testing.T, handler http.HandlerFunc, change ...func(*hive.Options)) (*hive.Client, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	o := hive.Options{URL: server.URL, APIKey: testKey, Proxy: "direct"}
	for _, c := range change {
		c(&o)
	}
	return newClient(t, o), server
}
