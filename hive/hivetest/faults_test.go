package hivetest_test

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/hive/hivetest"
)

func (r *rig) post(path, body string) (answer, error) {
	return r.send("POST", path, "application/json", []byte(body))
}

// Each fault shows itself to the client as it should, and has the effect that it should have.
func TestFaults(t *testing.T) {
	t.Parallel()
	broken := func(err error) bool {
		return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	}
	for name, f := range map[string]struct {
		fault  hivetest.Misbehaviour
		status int // 0: no answer
		kind   string
		cases  int
	}{
		"good":                    {hivetest.Misbehaviour{}, 201, "", 1},
		"refused":                 {hivetest.Misbehaviour{Refuse: 1}, 503, "Unavailable", 0},
		"writes refused":          {hivetest.Misbehaviour{RefuseWrites: 1}, 503, "Unavailable", 0},
		"throttled":               {hivetest.Misbehaviour{ThrottleShare: 1}, 429, "TooManyRequests", 0},
		"bad gateway":             {hivetest.Misbehaviour{BadGateway: 1}, 502, "", 0},
		"rolled back":             {hivetest.Misbehaviour{Fail: 1}, 500, "org.janusgraph.diskstorage.locking.PermanentLockingException", 0},
		"its own error":           {hivetest.Misbehaviour{Error: 1}, 500, "java.lang.NullPointerException", 0},
		"its own, after a commit": {hivetest.Misbehaviour{Error: 1, ErrorAfter: true, ErrorType: "org.janusgraph.core.JanusGraphException"}, 500, "org.janusgraph.core.JanusGraphException", 1},
		"its own refusal":         {hivetest.Misbehaviour{Error: 1, ErrorStatus: 400, ErrorType: "CreateError", ErrorMessage: "Case already exists"}, 400, "CreateError", 0},
		"reset before the effect": {hivetest.Misbehaviour{Reset: 1}, 0, "", 0},
		"expired key":             {hivetest.Misbehaviour{ExpiredKey: true}, 401, "AuthenticationError", 0},
		"answer lost":             {hivetest.Misbehaviour{Ambiguous: 1}, 0, "", 1},
		"answer lost by 504":      {hivetest.Misbehaviour{Ambiguous: 1, AmbiguousBy: 504}, 504, "", 1},
		"answer cut short":        {hivetest.Misbehaviour{Truncate: 1}, 0, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, hivetest.Options{})
			r.hive.Set(f.fault)
			a, err := r.post(casePath, someCase)
			if f.status == 0 && !broken(err) {
				t.Errorf("got %d %s, error %v; want a broken connection", a.status, a.raw, err)
			}
			if f.status != 0 && (err != nil || a.status != f.status || a.text("type") != f.kind) {
				t.Errorf("got %d %s, error %v; want %d %q", a.status, a.raw, err, f.status, f.kind)
			}
			if n := r.hive.Stats(0).Cases; n != f.cases {
				t.Errorf("%d cases, want %d", n, f.cases)
			}
			r.hive.Set(hivetest.Misbehaviour{})
			r.must(201, "POST", casePath, someCase)
		})
	}
}

func TestLostAnswersAreOnlyThoseToWrites(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	r.must(201, "POST", casePath, someCase)
	r.hive.Set(hivetest.Misbehaviour{Ambiguous: 1, RefuseWrites: 1, LateCommit: 1, LateAfter: time.Hour})
	r.must(200, "GET", casePath+"/1", "")
	r.must(200, "POST", queryPath, byTag)
}

func TestOutageRefusesConnectionsAndEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	r.must(201, "POST", casePath, someCase) // leaves an open connection behind
	r.hive.Set(hivetest.Misbehaviour{Outage: true})
	if a, err := r.post(casePath, someCase); err == nil {
		t.Errorf("an open connection answers %d during an outage", a.status)
	}
	r.client.CloseIdleConnections()
	if _, err := r.post(casePath, someCase); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want connection refused", err)
	}
	r.hive.Set(hivetest.Misbehaviour{})
	r.must(201, "POST", casePath, someCase)
	if n := r.hive.Stats(0).Cases; n != 2 {
		t.Errorf("%d cases, want 2", n)
	}
}

func TestLateCommitWaitsForTheClientToGo(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	r.hive.Set(hivetest.Misbehaviour{LateCommit: 1})
	arrived, committed := make(chan struct{}), make(chan struct{})
	r.hive.Before(func(hivetest.Call) { close(arrived) })
	r.hive.After(func(hivetest.Call) { close(committed) })
	conn, err := net.Dial("tcp", r.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	head := "POST " + casePath + " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer simulated\r\nContent-Type: application/json\r\n"
	if _, err := io.WriteString(conn, head+"Content-Length: "+strconv.Itoa(len(someCase))+"\r\n\r\n"+someCase); err != nil {
		t.Fatal(err)
	}
	<-arrived
	if n := r.hive.Stats(0).Cases; n != 0 {
		t.Errorf("%d cases while the client waits, want 0", n)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	<-committed
	if n := r.hive.Stats(0).Cases; n != 1 {
		t.Errorf("%d cases after it went, want 1", n)
	}
}

func TestHooksChooseTheInterleaving(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	entered, release := make(chan string, 2), make(chan struct{})
	remove := r.hive.On(hivetest.BeforeEffect, "POST /api/v1/case", func(c hivetest.Call) hivetest.Action {
		entered <- string(c.Body)
		<-release
		return hivetest.Action{}
	})
	wait(t, func() { _, _ = r.post(casePath, someCase) })
	if body := <-entered; body != someCase {
		t.Errorf("the hook sees %q", body)
	}
	if got := r.must(200, "POST", queryPath, byTag); string(got.raw) != "0" { // others go on
		t.Errorf("%s cases before the effect", got.raw)
	}
	committed := make(chan struct{})
	r.hive.On(hivetest.AfterEffect, "POST /api/v1/case", func(c hivetest.Call) hivetest.Action {
		if c.Status == 201 {
			close(committed)
		}
		return hivetest.Action{}
	})
	close(release)
	<-committed
	if got := r.must(200, "POST", queryPath, byTag); string(got.raw) != "1" {
		t.Errorf("%s cases after the effect", got.raw)
	}
	remove()
}

func TestHooksTurnCallsIntoErrors(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]struct {
		stage  hivetest.Stage
		action hivetest.Action
		status int
		cases  int
	}{
		"status before": {hivetest.BeforeEffect, hivetest.Action{Status: 413, Message: "no"}, 413, 0},
		"status after":  {hivetest.AfterEffect, hivetest.Action{Status: 504}, 504, 1},
		"cut before":    {hivetest.BeforeEffect, hivetest.Action{Cut: true}, 0, 0},
		"cut after":     {hivetest.AfterEffect, hivetest.Action{Cut: true}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, hivetest.Options{})
			var once atomic.Bool
			r.hive.On(f.stage, "POST /api/v1/case", func(hivetest.Call) hivetest.Action {
				if once.Swap(true) {
					return hivetest.Action{}
				}
				return f.action
			})
			a, err := r.post(casePath, someCase)
			if f.status == 0 && err == nil || f.status != 0 && a.status != f.status {
				t.Errorf("got %d %s, error %v", a.status, a.raw, err)
			}
			if n := r.hive.Stats(0).Cases; n != f.cases {
				t.Errorf("%d cases, want %d", n, f.cases)
			}
			r.must(201, "POST", casePath, someCase)
		})
	}
}

func TestMisbehaviourIsChangedOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	want := hivetest.Misbehaviour{Latency: 20 * time.Millisecond, Lag: 5, Ambiguous: 0.25, AmbiguousBy: 504, ExpiredKey: true}
	r.must(200, "POST", "/_sim/misbehave", `{"latency":"20ms","lag":5,"ambiguous":0.25,"ambiguousBy":504,"expiredKey":true}`)
	if diff := cmp.Diff(want, r.hive.Misbehaviour()); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{`{"latensy":"1s"}`, `{"latency":"soon"}`, `{"refuse":"often"}`, `[]`, `{`} {
		r.must(400, "POST", "/_sim/misbehave", bad)
	}
	r.must(401, "GET", "/api/v1/user/current", "")
	r.must(200, "POST", "/_sim/misbehave", "")
	if diff := cmp.Diff(hivetest.Misbehaviour{}, r.hive.Misbehaviour()); diff != "" {
		t.Error(diff)
	}
	r.must(404, "GET", "/_sim/nothing", "")
}

func TestSeedRepeatsTheDice(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) string {
		h := hivetest.New(hivetest.Options{Seed: seed})
		h.Set(hivetest.Misbehaviour{Refuse: 0.5})
		var out strings.Builder
		for range 64 {
			out.WriteString(strconv.Itoa(call(t, h, "GET", "/api/v1/user/current", "").status))
		}
		return out.String()
	}
	first, again, other := run(1), run(1), run(2)
	if first != again || first == other {
		t.Error("one seed must repeat, another must differ")
	}
}

func TestJournalRemembersTheNewestCalls(t *testing.T) {
	t.Parallel()
	h := hivetest.New(hivetest.Options{Journal: 2})
	call(t, h, "POST", casePath, someCase)
	call(t, h, "GET", casePath+"/1", "")
	call(t, h, "GET", "/api/v1/nothing?a=b", "")
	got := h.Calls()
	for i := range got {
		got[i].At = time.Time{}
	}
	want := []hivetest.Call{
		{Seq: 2, Route: "GET /api/v1/case/{id}", Method: "GET", Path: casePath + "/1", Organisation: "main-org", User: hivetest.DefaultUser, Body: []byte{}, Status: 200},
		{Seq: 3, Method: "GET", Path: "/api/v1/nothing", Query: "a=b", Organisation: "main-org", User: hivetest.DefaultUser, Body: []byte{}, Status: 404},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := h.Stats(0); s.Total != 3 || s.Calls["POST /api/v1/case"] != 1 || s.Calls["GET ?"] != 1 {
		t.Errorf("%d calls: %v", s.Total, s.Calls)
	}
	h.Reset()
	if s := h.Stats(0); s.Total != 0 || s.Cases != 0 || len(h.Calls()) != 0 {
		t.Errorf("after a reset: %+v", s)
	}
}

func TestAnOutageSetOverHTTPIsEndedOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	r.must(200, "POST", "/_sim/misbehave", `{"outage":true}`)
	if a, err := r.post(casePath, someCase); err == nil {
		t.Errorf("answers %d during an outage", a.status)
	}
	r.must(200, "POST", "/_sim/misbehave", `{}`)
	r.must(201, "POST", casePath, someCase)
}

// TestItsOwnErrorHasTheMessageThatItsExceptionHas: null where that has none.
func TestItsOwnErrorHasTheMessageThatItsExceptionHas(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"":      `{"type":"java.lang.NullPointerException","message":null}`,
		"no \"": `{"type":"java.lang.NullPointerException","message":"no \""}`,
	} {
		r := newRig(t, hivetest.Options{})
		r.hive.Set(hivetest.Misbehaviour{Error: 1, ErrorMessage: message})
		for _, call := range []string{"GET", "POST"} { // reads, too
			a, err := r.send(call, map[string]string{"GET": "/api/v1/user/current", "POST": casePath}[call], "application/json", []byte(someCase))
			if err != nil || strings.TrimSpace(string(a.raw)) != want {
				t.Errorf("%s: got %s, %v, want %s", call, a.raw, err, want)
			}
		}
	}
}
