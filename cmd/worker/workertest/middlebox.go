package workertest

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

// Middlebox is a proxy between the worker and TheHive that answers some calls itself, as firewalls,
// log-in portals and load balancers do.
type Middlebox struct {
	URL  string
	next string // of TheHive
	over http.RoundTripper

	mu    sync.Mutex
	dice  *rand.Rand
	rules []BoxRule
	spent []int // answers given, by rule
}

// BoxRule says which calls a middle box answers itself, and how. All conditions must hold.
type BoxRule struct {
	Share float64 // of those calls; 0: all
	Text  string  // in the body of the request
	Above int     // bytes of the body
	Call  string  // a part of "POST /api/v1/case/~4120/comment"
	Times int     // so often; 0: for ever
	After bool    // TheHive gets the call first, and its answer is lost

	Answer BoxAnswer
}

// BoxAnswer is what a middle box says.
type BoxAnswer struct {
	Status int
	Kind   string // media type
	Body   string // its first line is what a dead letter must hold
	Header [2]string
	Cut    bool // the connection ends in the middle of the body
	Reset  bool // … and before any answer
}

// Says is what people must read of the answer's first line, or of where it sends them; empty where
// there is nothing to read.
func (a BoxAnswer) Says() string {
	switch {
	case a.Reset || a.Cut || a.Body == "":
		return ""
	case a.Header[0] == "Location":
		return "login.example.com"
	default:
		return "Web Guard"
	}
}

// NewMiddlebox listens before TheHive until the test ends.
func NewMiddlebox(t testing.TB, next string, seed uint64) *Middlebox {
	t.Helper()
	over := &http.Transport{MaxIdleConnsPerHost: 32}
	b := &Middlebox{next: next, over: over, dice: rand.New(rand.NewPCG(seed, 13))}
	server := httptest.NewServer(b)
	b.URL = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		over.CloseIdleConnections()
	})
	return b
}

// Set puts rules in force; none lets everything pass.
func (b *Middlebox) Set(rules ...BoxRule) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules, b.spent = rules, make([]int, len(rules))
}

// judge finds the rule that a call breaks.
func (b *Middlebox) judge(r *http.Request, body []byte) (BoxRule, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, rule := range b.rules {
		if rule.Times > 0 && b.spent[i] == rule.Times || rule.Share > 0 && b.dice.Float64() >= rule.Share || !rule.concerns(r, body) {
			continue
		}
		b.spent[i]++
		return rule, true
	}
	return BoxRule{}, false
}

func (r BoxRule) concerns(call *http.Request, body []byte) bool {
	return strings.Contains(call.Method+" "+call.URL.Path, r.Call) && len(body) >= r.Above && bytes.Contains(body, []byte(r.Text))
}

// ServeHTTP passes a call on, or answers it.
func (b *Middlebox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the worker has gone
	}
	rule, stopped := b.judge(r, body)
	if stopped && !rule.After {
		rule.Answer.give(w)
		return
	}
	answer, err := b.pass(r, body)
	switch {
	case stopped:
		rule.Answer.give(w)
	case err != nil:
		panic(http.ErrAbortHandler)
	default:
		answer.give(w)
	}
}

// pass asks TheHive.
func (b *Middlebox) pass(r *http.Request, body []byte) (passed, error) {
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

func (a BoxAnswer) give(w http.ResponseWriter) {
	if a.Reset {
		reset(w)
		return
	}
	w.Header().Set("Content-Type", a.Kind)
	if a.Header[0] != "" {
		w.Header().Set(a.Header[0], a.Header[1])
	}
	if a.Cut {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)+100))
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
	if a.Cut {
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

// CommonStatuses is how many of them are common.
const CommonStatuses = 15

// BoxBodies are how they say it: never in TheHive's own words, {"type":…,"message":…}.
var BoxBodies = []BoxAnswer{
	{Kind: "text/html", Body: "<html><head><title>Web Guard has blocked this page</title></head>\n<body>Ask your administrator: case does not exist, already exists</body></html>"},
	{Kind: "text/plain", Body: "Web Guard: no healthy upstream\n"},
	{Kind: "text/plain; charset=utf-8", Body: "Web Guard: 404 page not found\nNotFoundError\n"},
	{Kind: "application/json", Body: `{"error":"Web Guard","message":"already exists"}`},
	{Kind: "application/json", Body: `{"message":"Web Guard: no Route matched with those values"}`},
	{Kind: "application/problem+json", Body: `{"type":"about:blank","title":"Web Guard","status":404,"detail":"not found"}`},
	{Kind: "application/problem+json", Body: `{"type":"https://errors.example.com/waf","title":"Web Guard","message":"not found"}`},
	{Kind: "application/json", Body: `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Web Guard: not found","reason":"NotFound","code":404}`},
	{Kind: "application/json", Body: `["Web Guard"]`},
	{Kind: "application/json", Body: `"Web Guard"`},
	{Kind: "application/xml", Body: "<Error><Code>NoSuchKey</Code><Message>Web Guard</Message></Error>"},
	{Kind: "application/octet-stream", Body: "Web Guard \x00\xff\xfe\x1b[31m"},
	{Kind: "text/html", Body: ""},
}

// BoxAnswerOf makes the answer of a status and a body by their numbers, whatever these are.
func BoxAnswerOf(status, body int) BoxAnswer {
	a := BoxBodies[body%len(BoxBodies)]
	a.Status = boxStatuses[status%len(boxStatuses)]
	switch a.Status {
	case http.StatusFound, http.StatusTemporaryRedirect:
		a.Header = [2]string{"Location", "https://login.example.com/sso?next=%2Fapi"}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		a.Header = [2]string{"Retry-After", "0"}
	case http.StatusUnauthorized:
		a.Header = [2]string{"WWW-Authenticate", `Basic realm="Web Guard"`}
	}
	return a
}

// BoxPause is how long a history waits between two looks at itself.
const BoxPause = 5 * time.Millisecond
