package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// middlebox is a proxy between the worker and TheHive that answers some calls itself, as firewalls,
// log-in portals and load balancers do.
type middlebox struct {
	url  string
	next string // of TheHive
	over http.RoundTripper

	mu    sync.Mutex
	dice  *rand.Rand
	rules []boxRule
	spent []int // answers given, by rule
}

// boxRule says which calls a middle box answers itself, and how. All conditions must hold.
type boxRule struct {
	share float64 // of those calls; 0: all
	text  string  // in the body of the request
	above int     // bytes of the body
	call  string  // a part of "POST /api/v1/case/~4120/comment"
	times int     // so often; 0: for ever
	after bool    // TheHive gets the call first, and its answer is lost

	answer boxAnswer
}

// boxAnswer is what a middle box says.
type boxAnswer struct {
	status int
	kind   string // media type
	body   string // its first line is what a dead letter must hold
	header [2]string
	cut    bool // the connection ends in the middle of the body
	reset  bool // … and before any answer
}

// says is what people must read of the answer's first line, or of where it sends them; empty where
// there is nothing to read.
func (a boxAnswer) says() string {
	switch {
	case a.reset || a.cut || a.body == "":
		return ""
	case a.header[0] == "Location":
		return "login.example.com"
	default:
		return "Web Guard"
	}
}

// newMiddlebox listens before TheHive until the test ends.
func newMiddlebox(t testing.TB, next string, seed uint64) *middlebox {
	t.Helper()
	over := &http.Transport{MaxIdleConnsPerHost: 32}
	b := &middlebox{next: next, over: over, dice: rand.New(rand.NewPCG(seed, 13))}
	server := httptest.NewServer(b)
	b.url = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		over.CloseIdleConnections()
	})
	return b
}

// set puts rules in force; none lets everything pass.
func (b *middlebox) set(rules ...boxRule) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules, b.spent = rules, make([]int, len(rules))
}

// judge finds the rule that a call breaks.
func (b *middlebox) judge(r *http.Request, body []byte) (boxRule, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, rule := range b.rules {
		if rule.times > 0 && b.spent[i] == rule.times || rule.share > 0 && b.dice.Float64() >= rule.share || !rule.concerns(r, body) {
			continue
		}
		b.spent[i]++
		return rule, true
	}
	return boxRule{}, false
}

func (r boxRule) concerns(call *http.Request, body []byte) bool {
	return strings.Contains(call.Method+" "+call.URL.Path, r.call) && len(body) >= r.above && bytes.Contains(body, []byte(r.text))
}

// ServeHTTP passes a call on, or answers it.
func (b *middlebox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the worker has gone
	}
	rule, stopped := b.judge(r, body)
	if stopped && !rule.after {
		rule.answer.give(w)
		return
	}
	answer, err := b.pass(r, body)
	switch {
	case stopped:
		rule.answer.give(w)
	case err != nil:
		panic(http.ErrAbortHandler)
	default:
		answer.give(w)
	}
}

// pass asks TheHive.
func (b *middlebox) pass(r *http.Request, body []byte) (passed, error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, b.next+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return passed{}, err
	}
	out.Header = r.Header.Clone()
	out.Header.Del("Expect")
	answer, err := b.over.RoundTrip(out)
	if err != nil {
		return passed{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return passed{answer.StatusCode, answer.Header, text}, err
}

// passed is an answer of TheHive.
type passed struct {
	status int
	header http.Header
	body   []byte
}

func (p passed) give(w http.ResponseWriter) {
	for name, values := range p.header {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(p.status)
	_, _ = w.Write(p.body)
}

func (a boxAnswer) give(w http.ResponseWriter) {
	if a.reset {
		reset(w)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	if a.header[0] != "" {
		w.Header().Set(a.header[0], a.header[1])
	}
	if a.cut {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)+100))
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
	if a.cut {
		panic(http.ErrAbortHandler)
	}
}

// reset ends a connection with a TCP reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// boxStatuses are what middle boxes answer with, the commonest first; 200 is a page in the place of
// TheHive's answer.
var boxStatuses = []int{
	200, 302, 400, 401, 403, 404, 409, 413, 417, 422, 429, 500, 502, 503, 504,
	203, 207, 307, 405, 406, 407, 408, 410, 411, 412, 414, 415, 418, 421, 425, 426, 428, 431, 451, 501, 505, 507, 511, 520, 524, 599,
}

// commonStatuses is how many of them are common.
const commonStatuses = 15

// boxBodies are how they say it: never in TheHive's own words, {"type":…,"message":…}.
var boxBodies = []boxAnswer{
	{kind: "text/html", body: "<html><head><title>Web Guard has blocked this page</title></head>\n<body>Ask your administrator: case does not exist, already exists</body></html>"},
	{kind: "text/plain", body: "Web Guard: no healthy upstream\n"},
	{kind: "text/plain; charset=utf-8", body: "Web Guard: 404 page not found\nNotFoundError\n"},
	{kind: "application/json", body: `{"error":"Web Guard","message":"already exists"}`},
	{kind: "application/json", body: `{"message":"Web Guard: no Route matched with those values"}`},
	{kind: "application/problem+json", body: `{"type":"about:blank","title":"Web Guard","status":404,"detail":"not found"}`},
	{kind: "application/problem+json", body: `{"type":"https://errors.example.com/waf","title":"Web Guard","message":"not found"}`},
	{kind: "application/json", body: `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Web Guard: not found","reason":"NotFound","code":404}`},
	{kind: "application/json", body: `["Web Guard"]`},
	{kind: "application/json", body: `"Web Guard"`},
	{kind: "application/xml", body: "<Error><Code>NoSuchKey</Code><Message>Web Guard</Message></Error>"},
	{kind: "application/octet-stream", body: "Web Guard \x00\xff\xfe\x1b[31m"},
	{kind: "text/html", body: ""},
}

// boxAnswerOf makes the answer of a status and a body by their numbers, whatever these are.
func boxAnswerOf(status, body int) boxAnswer {
	a := boxBodies[body%len(boxBodies)]
	a.status = boxStatuses[status%len(boxStatuses)]
	switch a.status {
	case http.StatusFound, http.StatusTemporaryRedirect:
		a.header = [2]string{"Location", "https://login.example.com/sso?next=%2Fapi"}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		a.header = [2]string{"Retry-After", "0"}
	case http.StatusUnauthorized:
		a.header = [2]string{"WWW-Authenticate", `Basic realm="Web Guard"`}
	}
	return a
}

// boxPause is how long a history waits between two looks at itself.
const boxPause = 5 * time.Millisecond
