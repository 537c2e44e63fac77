package hive_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"forager/hive"
)

// sender is what stands between the client and TheHive, or is TheHive itself: it answers everything alike.
type sender struct {
	status     int
	kind, body string // kind is the Content-Type
}

func (s sender) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	header := http.Header{}
	if s.kind != "" {
		header.Set("Content-Type", s.kind)
	}
	return &http.Response{StatusCode: s.status, Header: header, Body: io.NopCloser(strings.NewReader(s.body)), Request: r}, nil
}

// answered is what a call makes of an answer: of a read once, of a write once.
func answered(t *testing.T, s sender, call func(context.Context, *hive.Client) error) *hive.Error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := newClient(t, hive.Options{URL: "http://hive.test", APIKey: testKey, Transport: s, Observe: func(hive.Call) { cancel() }}) // no second try
	err := call(ctx, c)
	e, ok := errors.AsType[*hive.Error](err)
	if err != nil && !ok {
		t.Errorf("%+v: untyped error %v", s, err)
	}
	return e
}

// statuses are those that a middle box may answer with, and that TheHive may.
var statuses = []int{
	200, 201, 202, 203, 204, 206, 207, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414,
	415, 416, 417, 418, 421, 422, 423, 425, 426, 428, 429, 431, 444, 451, 460, 463, 494, 495, 499, 500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 521, 522, 524, 529, 530, 598, 599,
}

// foreignBodies are answers of anybody but TheHive, by their content type.
var foreignBodies = []sender{
	{kind: "text/html", body: "<html><head><title>403 Forbidden</title></head><body>nginx</body></html>"},
	{kind: "text/plain; charset=utf-8", body: "404 page not found\n"},
	{kind: "", body: ""},
	{kind: "application/json", body: ""},
	{kind: "application/json", body: "{}"},
	{kind: "application/json", body: "null"},
	{kind: "application/json", body: `"NotFoundError"`},
	{kind: "application/json", body: `[{"type":"NotFoundError","message":"Case not found"}]`},
	{kind: "application/json", body: `{"message":"no Route matched with those values"}`},                                                   // Kong
	{kind: "application/json", body: `{"Message":"User is not authorized","Type":"AuthorizationError"}`},                                   // AWS writes it large
	{kind: "application/json", body: `{"error":{"type":"NotFoundError","message":"no"}}`},                                                  // Elasticsearch and others
	{kind: "application/json", body: `{"type":"error","message":"blocked"}`},                                                               // no class
	{kind: "application/json", body: `{"type":"NotFoundError"}`},                                                                           // no message
	{kind: "application/json", body: `{"type":"NotFoundError","message":7}`},                                                               // none
	{kind: "application/json", body: `{"type":7,"message":"x"}`},                                                                           // no type
	{kind: "application/json", body: `{"type":"NotFoundError","message":"Case not fo`},                                                     // cut
	{kind: "application/problem+json", body: `{"type":"about:blank","title":"Not Found","status":404}`},                                    // RFC 9457
	{kind: "application/problem+json", body: `{"type":"NotFoundError","message":"no"}`},                                                    // not TheHive's content type
	{kind: "application/json", body: `{"type":"https://tools.ietf.org/html/rfc7231#section-6.5.4","title":"Not Found","message":"x"}`},     // ASP.NET
	{kind: "text/html", body: `{"type":"NotFoundError","message":"Case not found"}`},                                                       // says it is no JSON
	{kind: "application/json", body: `{"timestamp":1,"status":404,"error":"Not Found","message":"No message available","path":"/api/v1"}`}, // Spring
	{kind: "text/html", body: "\xff\xfe\x00<html>"},
}

// TestOnlyTheHivesOwnBodyIsAVerdict: every status, in every foreign body: it never speaks of a case,
// an item or an account, and what may have happened to a write is not guessed away.
func TestOnlyTheHivesOwnBodyIsAVerdict(t *testing.T) {
	t.Parallel()
	verdicts := []hive.Verdict{hive.Foreign, hive.Unanswered, hive.Throttled, hive.Failed}
	for _, status := range statuses {
		for _, s := range foreignBodies {
			s.status = status
			for name, e := range map[string]*hive.Error{"create": answered(t, s, create), "read": answered(t, s, readCase), "update": answered(t, s, updateCase)} {
				if e == nil {
					if name != "update" || status != 204 || s.body != "" {
						t.Errorf("%d %s %q passes for a success of %s", status, s.kind, s.body, name)
					}
					continue
				}
				if e.Own() || e.Exists() || e.RolledBack() || !slices.Contains(verdicts, e.Verdict()) {
					t.Errorf("%d %s %q: own %t, exists %t, %v", status, s.kind, s.body, e.Own(), e.Exists(), e.Verdict())
				}
				if e.Refused() || !e.Ambiguous() {
					t.Errorf("%d %s %q: refused %t, ambiguous %t", status, s.kind, s.body, e.Refused(), e.Ambiguous())
				}
				if s.kind == "text/html" && strings.HasPrefix(s.body, "<html>") && status/100 != 3 && !strings.Contains(e.Error(), "403 Forbidden") {
					t.Errorf("%d: the answer's beginning is not in %q", status, e.Error())
				}
			}
		}
	}
}

func readCase(ctx context.Context, c *hive.Client) error { return second(c.Case(ctx, "1")) }

func updateCase(ctx context.Context, c *hive.Client) error {
	return c.UpdateCase(ctx, "1", hive.CaseUpdate{Flag: new(true)})
}

// TestVerdictsOfTheHive: what TheHive itself says, by status and type (facts: its error handler, its router, Play's).
func TestVerdictsOfTheHive(t *testing.T) {
	t.Parallel()
	const lock = "org.janusgraph.diskstorage.locking.PermanentLockingException"
	for _, c := range []struct {
		status        int
		kind, message string
		want          hive.Verdict
		write         string
	}{
		{400, "BadRequest", "no", hive.Unacceptable, "refused"},
		{400, "AttributeCheckingError", "[Attribute title is missing]", hive.Unacceptable, "refused"},
		{400, "CreateError", "Observable already exists", hive.Unacceptable, "refused"},
		{400, "IllegalArgument", "x", hive.Unacceptable, "refused"},
		{401, "AuthenticationError", "Authentication failure", hive.Unauthenticated, "refused"},
		{401, "AuthorizationError", "no member", hive.Unauthenticated, "refused"},
		{402, "MultiFactorCodeRequired", "code", hive.Unauthenticated, "refused"},
		{403, "AuthorizationError", "Your are not authorized", hive.Denied, "refused"},
		{403, "Forbidden", "x", hive.Denied, "refused"},
		{404, "NotFoundError", "Case ~1 not found", hive.NotFound, "refused"},
		{404, "NotFoundError", "/api/v1/case/~1/page", hive.Failed, "refused"},
		{409, "CreateError", "already exists", hive.Unacceptable, "refused"},
		{413, "Unknown", "Request Entity Too Large", hive.Unacceptable, "refused"},
		{415, "Unknown", "Expecting json", hive.Unacceptable, "refused"},
		{417, "Unknown", "x", hive.Unacceptable, "refused"},
		{422, "BadRequest", "x", hive.Unacceptable, "refused"},
		{429, "TooManyRequests", "x", hive.Throttled, "refused"},
		{500, lock, "Local lock contention", hive.Failed, "rolled back"},
		{500, "org.thp.scalligraph.models.DatabaseException", "Violation of database schema", hive.Failed, "rolled back"},
		{500, "InternalError", "x", hive.Failed, "ambiguous"},
		{500, "org.janusgraph.core.JanusGraphException", "Could not commit transaction due to exception during persistence", hive.Failed, "ambiguous"},
		{502, lock, "x", hive.Failed, "ambiguous"},
		{503, "Unavailable", "x", hive.Failed, "refused"},
	} {
		s := sender{c.status, "application/json; charset=UTF-8", `{"type":"` + c.kind + `","message":"` + c.message + `"}`}
		e := answered(t, s, create)
		if !e.Own() || e.Verdict() != c.want || verdict(e) != c.write || e.Type != c.kind || e.Message != c.message {
			t.Errorf("%d %s: own %t, %v, %s, want %v, %s", c.status, c.kind, e.Own(), e.Verdict(), verdict(e), c.want, c.write)
		}
	}
	null := answered(t, sender{500, "application/json", `{"type":"java.lang.NullPointerException","message":null}`}, create)
	if !null.Own() || null.Verdict() != hive.Failed || !null.Ambiguous() {
		t.Errorf("a class without a message: %+v", null)
	}
}

// FuzzAnswers feeds the client any answer: exactly one of the three holds for a write, and nothing
// passes for TheHive's own that is not called JSON and does not have a class and a message.
func FuzzAnswers(f *testing.F) {
	for _, s := range foreignBodies {
		f.Add(uint16(404), s.kind, s.body, "")
	}
	f.Add(uint16(403), "application/json", `{"type":"AuthorizationError","message":"no"}`, "5")
	f.Add(uint16(101), "", "", "")
	f.Fuzz(func(t *testing.T, status uint16, kind, body, _ string) {
		s := sender{100 + int(status)%500, kind, body}
		if e := answered(t, s, create); e != nil {
			judged := 0
			for _, is := range []bool{e.Refused(), e.RolledBack(), e.Ambiguous()} {
				if is {
					judged++
				}
			}
			if judged != 1 {
				t.Errorf("%+v: refused %t, rolled back %t, ambiguous %t", s, e.Refused(), e.RolledBack(), e.Ambiguous())
			}
			if e.Own() && (!strings.Contains(kind, "json") || !strings.Contains(body, "type") || !strings.Contains(body, "message")) {
				t.Errorf("%+v passes for TheHive's own", s)
			}
			if e.Own() == e.Foreign() && e.Verdict() == hive.Foreign {
				t.Errorf("%+v is own and foreign", s)
			}
		}
	})
}
