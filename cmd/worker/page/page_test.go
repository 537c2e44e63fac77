package page

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	g "maragu.dev/gomponents"

	"forager/cmd/worker/explanation"
)

// hostile is a text that acts wherever it is not escaped.
const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(1)><a href="javascript:alert(1)">x</a>` + "\r\n\ndata: event: x\x00</textarea>--><svg onload=alert(1)>"

func hostileRow() Row {
	return Row{
		Sequence: 7, At: time.Unix(0, 0), Format: hostile, Title: hostile, Host: hostile, Severity: 3, Techniques: []string{hostile}, Outcome: hostile,
		Reason: hostile, Detail: hostile, Took: time.Second, Cases: []Case{{1, "javascript:alert(1)"}, {2, "//evil.example/x"}, {3, "https://hive.example/cases/~3" + hostile}, {4, hostile}},
	}
}

func hostileSnapshot() Snapshot {
	return Snapshot{
		At: time.Unix(0, 0), Replica: hostile, Version: hostile,
		Concerns: []Concern{{Stuck: true, What: hostile, Words: hostile, Since: time.Unix(-60, 0), Do: hostile, See: "letters"}, {What: hostile}},
		Flow: Flow{
			Ended: []Count{{hostile, 1}}, Minutes: []Minute{{Settled: 3, Dead: 1, Again: 1, Lag: 3, Known: true}},
			Replicas: []Replica{{Name: hostile, State: hostile, Says: hostile}},
		},
		Recent:   []Row{hostileRow()},
		Letters:  Letters{Known: true, Waiting: 3, Groups: []Group{{Reason: hostile, Step: hostile, Count: 3}}},
		Promises: []Promise{{Name: hostile, Says: hostile, N: 1, Do: hostile}},
	}
}

func hostileMatrix() Matrix {
	return Matrix{Domain: hostile, Release: hostile, Choices: []Choice{{hostile, hostile}}, Counted: time.Unix(1, 0), Tactics: []Tactic{{hostile, hostile, []Technique{{hostile, hostile, 3, []Technique{{hostile, hostile, 1, nil}}}}}}}
}

func hostileOpened() Opened {
	dropped := hostile
	return Opened{Row: hostileRow(), Subject: hostile, Lines: []explanation.Line{{
		Format: hostile, Title: hostile, Host: hostile, User: hostile, Link: "javascript:alert(1)", Tags: []string{hostile}, Dropped: &dropped, Opening: hostile, Comment: hostile,
		Techniques: []explanation.Technique{{Found: hostile, ID: hostile}}, Observables: []explanation.Observable{{DataType: hostile, Data: hostile}}, Why: []explanation.Origin{{Field: hostile, Path: hostile, Value: hostile}},
		Lookups: []explanation.Lookup{{Table: hostile, Key: hostile, Row: map[string]string{hostile: hostile}}},
		Related: &explanation.Related{By: []explanation.Value{{DataType: hostile, Data: hostile}}, LeftOut: []explanation.LeftOut{{Value: explanation.Value{DataType: hostile, Data: hostile}, Why: hostile}}},
	}}}
}

// acts says what of a document is not ours: elements that load or run, handlers, styles, addresses.
func acts(t *testing.T, document string) (found []string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if slices.Contains([]string{"img", "iframe", "object", "embed", "style", "base", "textarea"}, n.Data) {
			found = append(found, "<"+n.Data+">")
		}
		for _, a := range n.Attr {
			address := a.Key == "href" || a.Key == "src" || a.Key == "action"
			own := slices.ContainsFunc([]string{"page/", "../", "./", "#", "https://hive.example/"}, func(p string) bool { return strings.HasPrefix(a.Val, p) })
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "srcdoc" || address && !own {
				found = append(found, n.Data+" "+a.Key+"="+a.Val)
			}
		}
		if n.Data == "script" && (n.FirstChild != nil || len(n.Attr) == 0) {
			found = append(found, "a script of somebody else")
		}
	}
	return found
}

func render(t *testing.T, node g.Node) string {
	t.Helper()
	var b strings.Builder
	if err := node.Render(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestNothingOfAnEventActs: wherever a hostile text stands, it is text.
func TestNothingOfAnEventActs(t *testing.T) {
	o := Options{Notice: hostile}
	for name, document := range map[string]string{
		"page":    render(t, document(o, hostileSnapshot(), hostileMatrix(), filter{text: ""})),
		"filter":  render(t, document(o, hostileSnapshot(), hostileMatrix(), filter{text: hostile, outcome: hostile})),
		"message": render(t, messagePage(o, 7, message(hostileOpened()))),
		"trouble": render(t, messagePage(o, 7, trouble("It", hostile))),
	} {
		if found := acts(t, document); len(found) > 0 {
			t.Errorf("%s: %q", name, found)
		}
		if !strings.Contains(document, "&lt;script&gt;") {
			t.Errorf("%s: the text is not there", name)
		}
	}
	if found := acts(t, "<p onclick=x><img src=y>"); len(found) != 3 {
		t.Errorf("the test sees but %q", found)
	}
}

// fixed is a source whose answers a test writes.
type fixed struct {
	snapshot Snapshot
	opened   Opened
	err      error
	asked    int
}

func (f *fixed) Snapshot(context.Context) Snapshot                     { f.asked++; return f.snapshot }
func (f *fixed) Matrix(context.Context, string, string) Matrix         { return hostileMatrix() }
func (f *fixed) Layer(context.Context, string, string) ([]byte, error) { return []byte("{}\n"), f.err }
func (f *fixed) Open(context.Context, uint64) (Opened, error)          { return f.opened, f.err }

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// TestWhoMayLook: names that a stranger can point here, other sites and wrong credentials are refused.
func TestWhoMayLook(t *testing.T) {
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	secret := Credentials{User: "soc", Password: "right", Token: "t0k3n"}
	for _, c := range []struct {
		host   string
		keys   Credentials
		with   func(*http.Request)
		method string
		want   int
	}{
		{host: "127.0.0.1:8080", want: 200},
		{host: "[::1]:8080", want: 200},
		{host: "[::1]", want: 200},
		{host: "10.1.2.3", want: 200},
		{host: "localhost:8080", want: 200},
		{host: "forager", want: 200},
		{host: "forager.soc.svc:8080", want: 200},
		{host: "forager.soc.svc.cluster.local", want: 200},
		{host: "Forager.Example.org.:443", want: 200},
		{host: "evil.example", want: 421},
		{host: "127.0.0.1.evil.example:8080", want: 421},
		{host: "forager.example.org.evil.example", want: 421},
		{host: "", want: 421},
		{host: "localhost", with: header("Sec-Fetch-Site", "cross-site"), want: 403},
		{host: "localhost", with: header("Sec-Fetch-Site", "same-origin"), want: 200},
		{host: "localhost", method: "POST", want: 405},
		{host: "localhost", method: "DELETE", want: 405},
		{host: "localhost", keys: secret, want: 401},
		{host: "localhost", keys: secret, with: basic("soc", "right"), want: 200},
		{host: "localhost", keys: secret, with: basic("soc", "wrong"), want: 401},
		{host: "localhost", keys: secret, with: basic("other", "right"), want: 401},
		{host: "localhost", keys: secret, with: basic("anybody", "t0k3n"), want: 200},
		{host: "localhost", keys: secret, with: header("Authorization", "Bearer t0k3n"), want: 200},
		{host: "localhost", keys: secret, with: header("Authorization", "Bearer t0k3"), want: 401},
		{host: "localhost", keys: Credentials{User: "soc", Password: "right"}, with: header("Authorization", "Bearer "), want: 401},
		{host: "localhost", keys: Credentials{Token: "t0k3n"}, with: basic("", ""), want: 401},
	} {
		handler := Handler(&fixed{}, Options{Hosts: []string{"forager.example.org"}, Credentials: func() Credentials { return c.keys }})
		for _, path := range []string{"/", "/page/style.css"} {
			method := c.method
			if method == "" {
				method = http.MethodGet
			}
			r := httptest.NewRequest(method, path, nil)
			r.Host = c.host
			if c.with != nil {
				c.with(r)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("%s %s of %q: %d, want %d", method, path, c.host, w.Code, c.want)
			}
			policy := w.Header().Get("Content-Security-Policy")
			if !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s: policy %q", path, policy)
			}
		}
	}
}

// TestEveryAnswerIsGuarded: whatever is asked for, and refused or not, nobody may frame it, keep it, or take it for
// something else.
func TestEveryAnswerIsGuarded(t *testing.T) {
	want := map[string]string{
		"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
	ended, stop := context.WithCancel(t.Context())
	stop() // a stream ends after its first events
	secret := Credentials{Token: "t0k3n"}
	o := Options{Credentials: func() Credentials { return secret }}
	handlers := map[string]http.Handler{
		"page": Handler(&fixed{}, o), "gone": Handler(&fixed{err: ErrGone}, o), "broken": Handler(&fixed{err: io.ErrUnexpectedEOF}, o),
		"beside": Guarded(o, func(w http.ResponseWriter, _ *http.Request) { Send(w, http.StatusOK, g.Text("x")) }),
	}
	codes := map[int]bool{}
	for name, handler := range handlers {
		for _, path := range []string{"/", "/page/events", "/page/message/7", "/page/message/x", "/page/layer.json", "/page/style.css", "/page/page.js", "/page/icon.svg", "/page/none", "/none"} {
			for _, how := range []func(*http.Request){
				header("Authorization", "Bearer t0k3n"), header("Authorization", "Bearer wrong"),
				func(r *http.Request) { r.Host = "evil.example" }, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
				func(r *http.Request) { r.Method = http.MethodPost; r.Header.Set("Authorization", "Bearer t0k3n") },
			} {
				r := httptest.NewRequest(http.MethodGet, path, nil).WithContext(ended)
				r.Host = "localhost"
				how(r)
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				codes[w.Code] = true
				for key, value := range want {
					if got := w.Header().Get(key); got != value {
						t.Errorf("%s %s, %d: %s is %q, want %q", name, path, w.Code, key, got, value)
					}
				}
			}
		}
	}
	for _, code := range []int{200, 401, 403, 404, 405, 421, 502} {
		if !codes[code] {
			t.Errorf("no answer was %d", code)
		}
	}
}

func get(handler http.Handler, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "localhost"
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// TestRowsAreChosenWithoutAScript, by text and outcome.
func TestRowsAreChosenWithoutAScript(t *testing.T) {
	s := &fixed{snapshot: Snapshot{Recent: []Row{
		{Sequence: 1, Title: "Brute force", Host: "web01", Outcome: "applied", Techniques: []string{"T1110"}, Cases: []Case{{Number: 12}}},
		{Sequence: 2, Title: "Phishing", Host: "mail02", Outcome: "applied"},
		{Sequence: 3, Reason: "invalid json", Outcome: "dead letter"},
	}}}
	for query, want := range map[string][]string{
		"":                                 {"m-1", "m-2", "m-3"},
		"?q=WEB01":                         {"m-1"},
		"?q=t1110":                         {"m-1"},
		"?q=%2312":                         {"m-1"},
		"?q=invalid":                       {"m-3"},
		"?outcome=applied":                 {"m-1", "m-2"},
		"?outcome=dead+letter&q=phishing":  {},
		"?q=" + strings.Repeat("x", 10000): {},
	} {
		text := get(Handler(s, Options{}), "/"+query).Body.String()
		for _, id := range []string{"m-1", "m-2", "m-3"} {
			if got := strings.Contains(text, `id="`+id+`"`); got != slices.Contains(want, id) {
				t.Errorf("%.40s: %s shown: %t", query, id, got)
			}
		}
	}
}

// TestAMessageIsOpened: as a page, as a part of one; and what is gone is said.
func TestAMessageIsOpened(t *testing.T) {
	opened := Opened{Row: Row{Sequence: 7, Outcome: "applied"}, Subject: "detections.x", Lines: []explanation.Line{{
		Title: "Brute force", Opening: "**why**", Comment: "again",
		Lookups: []explanation.Lookup{{Table: "assets", Key: "web01", Row: map[string]string{"owner": "payments", "tier": "1"}}, {Table: "people", Key: "b.keller"}},
		Related: &explanation.Related{By: []explanation.Value{{DataType: "hash", Data: "d41d8cd9"}}, LeftOut: []explanation.LeftOut{{Value: explanation.Value{DataType: "ip", Data: "203.0.113.7"}, Why: "six others come first"}}},
		Why:     []explanation.Origin{{Field: "host", Path: "/agent/name", Value: "web01"}},
	}}}
	whole, part := get(Handler(&fixed{opened: opened}, Options{}), "/page/message/7"), get(Handler(&fixed{opened: opened}, Options{}), "/page/message/7?part")
	for _, want := range []string{"Brute force", "/agent/name", "**why**", "again", "owner: payments; tier: 1", "b.keller", "there is none", "d41d8cd9", "those that have it, too", "203.0.113.7", "not looked for: six others come first"} {
		if !strings.Contains(whole.Body.String(), want) || !strings.Contains(part.Body.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	if !strings.HasPrefix(whole.Body.String(), "<!doctype html>") || strings.Contains(part.Body.String(), "<html") {
		t.Error("the page is no page, or the part is one")
	}
	if gone := get(Handler(&fixed{err: ErrGone}, Options{}), "/page/message/7"); gone.Code != 404 || !strings.Contains(gone.Body.String(), "any more") {
		t.Errorf("%d %s", gone.Code, gone.Body)
	}
	if failed := get(Handler(&fixed{err: io.ErrUnexpectedEOF}, Options{}), "/page/message/7"); failed.Code != 502 {
		t.Errorf("%d", failed.Code)
	}
	if wrong := get(Handler(&fixed{}, Options{}), "/page/message/x"); wrong.Code != 404 {
		t.Errorf("%d", wrong.Code)
	}
}

// TestWithoutCredentialsThePageIsShownToItsOwnHostAlone: a port-forward ends there, a proxy asks for others.
func TestWithoutCredentialsThePageIsShownToItsOwnHostAlone(t *testing.T) {
	token := Credentials{Token: "t0k3n"}
	for _, c := range []struct {
		from string
		keys Credentials
		with func(*http.Request)
		want int
	}{
		{from: "127.0.0.1:40000", want: 200},
		{from: "[::1]:40000", want: 200},
		{from: "[::ffff:127.0.0.1]:40000", want: 200},
		{from: "10.1.2.3:40000", want: 403},
		{from: "[fe80::1%eth0]:40000", want: 403},
		{from: "", want: 403},
		{from: "127.0.0.1:40000", with: header("X-Forwarded-For", "10.1.2.3"), want: 403},
		{from: "127.0.0.1:40000", with: header("Forwarded", "for=10.1.2.3"), want: 403},
		{from: "127.0.0.1:40000", keys: token, want: 401},
		{from: "10.1.2.3:40000", keys: token, want: 401},
		{from: "10.1.2.3:40000", keys: token, with: header("Authorization", "Bearer t0k3n"), want: 200},
	} {
		handler := Handler(&fixed{}, Options{Near: true, Credentials: func() Credentials { return c.keys }})
		for _, path := range []string{"/", "/page/events", "/page/message/7"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host, r.RemoteAddr = "localhost", c.from
			ctx, stop := context.WithCancel(r.Context())
			stop() // ends the events after the first
			if c.with != nil {
				c.with(r)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r.WithContext(ctx))
			if got := w.Code; got != c.want && (c.want != 200 || got == 401 || got == 403) {
				t.Errorf("%s from %q: %d, want %d", path, c.from, got, c.want)
			}
		}
	}
}
