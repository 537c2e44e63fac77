package hivetest_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/hive/hivetest"
)

func TestLagHidesACaseFromQueriesButNotFromItsID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hivetest.New(hivetest.Options{})
		h.Set(hivetest.Misbehaviour{Lag: time.Second})
		id := call(t, h, "POST", casePath, someCase).text("_id")
		if a := call(t, h, "GET", casePath+"/"+id, ""); a.status != 200 {
			t.Errorf("by id: %d", a.status)
		}
		steps := []struct {
			after time.Duration
			want  string
		}{{0, "0"}, {999 * time.Millisecond, "0"}, {time.Millisecond, "1"}}
		for _, s := range steps {
			pass(s.after)
			if got := count(t, h, byTag); got != s.want {
				t.Errorf("%v later: %s by tag, want %s", s.after, got, s.want)
			}
		}
	})
}

func TestLagSearchesByTheOldVersionAndAnswersTheNewOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hivetest.New(hivetest.Options{})
		id := call(t, h, "POST", casePath, someCase).text("_id")
		h.Set(hivetest.Misbehaviour{Lag: time.Second})
		call(t, h, "PATCH", casePath+"/"+id, `{"addTags":["new"],"removeTags":["k"]}`)
		byNew := strings.Replace(byTag, `"k"`, `"new"`, 1)
		if got := count(t, h, byTag) + count(t, h, byNew); got != "10" {
			t.Errorf("at once: old and new tag find %s, want 1 and 0", got)
		}
		found := call(t, h, "POST", queryPath, strings.Replace(byTag, `,{"_name":"count"}`, "", 1))
		if got := found.at("0.tags.0"); got != "new" {
			t.Errorf("the old tag answers %v, want the present version", got)
		}
		pass(time.Second)
		if got := count(t, h, byTag) + count(t, h, byNew); got != "01" {
			t.Errorf("later: old and new tag find %s, want 0 and 1", got)
		}
	})
}

func TestLagOfChildrenIsAnOption(t *testing.T) {
	t.Parallel()
	children := `{"query":[{"_name":"getCase","idOrName":"1"},{"_name":"comments"},{"_name":"count"}]}`
	for _, lagging := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := hivetest.New(hivetest.Options{})
			h.Set(hivetest.Misbehaviour{Lag: time.Second, LagChildren: lagging})
			call(t, h, "POST", casePath, someCase)
			call(t, h, "POST", casePath+"/1/comment", `{"message":"m"}`)
			want := map[bool]string{false: "1", true: "0"}[lagging]
			if got := count(t, h, children); got != want {
				t.Errorf("lagging %v: %s comments, want %s", lagging, got, want)
			}
			pass(time.Second)
			if got := count(t, h, children); got != "1" {
				t.Errorf("lagging %v: %s comments later, want 1", lagging, got)
			}
		})
	}
}

func TestLatencyIsExactAndHoldsNoLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hivetest.New(hivetest.Options{})
		h.Set(hivetest.Misbehaviour{Latency: 20 * time.Millisecond})
		begun, done := time.Now(), make(chan struct{})
		const calls = 64
		for range calls {
			wait(t, func() {
				call(t, h, "POST", casePath, someCase)
				done <- struct{}{}
			})
		}
		for range calls {
			<-done
		}
		if took := time.Since(begun); took != 20*time.Millisecond {
			t.Errorf("%d calls at once took %v, want 20ms", calls, took)
		}
	})
}

func TestThrottleRefusesWhatIsBeyondTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hivetest.New(hivetest.Options{})
		h.Set(hivetest.Misbehaviour{Throttle: 10, RetryAfter: 1500 * time.Millisecond})
		passed, refused := 0, 0
		for range 100 {
			a := call(t, h, "GET", "/api/v1/user/current", "")
			switch {
			case a.status == 200:
				passed++
			case a.status == 429 && a.header.Get("Retry-After") == "2":
				refused++
			}
			pass(10 * time.Millisecond)
		}
		if passed != 10 || refused != 90 {
			t.Errorf("in a second %d passed and %d were refused, want 10 and 90", passed, refused)
		}
	})
}

func TestSlowBodyArrivesWholeButLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hivetest.New(hivetest.Options{})
		h.Set(hivetest.Misbehaviour{SlowBody: time.Second})
		begun := time.Now()
		a := call(t, h, "GET", "/api/v1/user/current", "")
		if took := time.Since(begun); a.text("login") != hivetest.DefaultUser || took < 900*time.Millisecond || took > time.Second {
			t.Errorf("%d %s after %v", a.status, a.raw, took)
		}
	})
}

func TestLateCommitComesWhenTheClientHasGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hivetest.New(hivetest.Options{})
		h.Set(hivetest.Misbehaviour{LateCommit: 1, LateAfter: 5 * time.Second})
		done := make(chan struct{})
		wait(t, func() {
			call(t, h, "POST", casePath, someCase)
			close(done)
		})
		pass(4 * time.Second)
		if n := h.Stats(0).Cases; n != 0 {
			t.Errorf("%d cases before the commit", n)
		}
		<-done
		if n := h.Stats(0).Cases; n != 1 {
			t.Errorf("%d cases after the commit, want 1", n)
		}
	})
}

func TestRelativeDatesFollowTheClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h := hivetest.New(hivetest.Options{Clock: func() time.Time { return now }})
	start := time.Date(2026, 2, 27, 23, 30, 0, 0, time.UTC).UnixMilli()
	req := `{"title":"t","description":"d","startDate":` + jsonOf(start) + `}`
	if a := call(t, h, "POST", casePath, req); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	for filter, want := range map[string]string{
		`"_gte":{"_field":"startDate","_value":{"amount":36,"unit":"hours","look":"behind"}}`:                               "0",
		`"_gte":{"_field":"startDate","_value":{"amount":37,"unit":"hours","look":"behind"}}`:                               "1",
		`"_gte":{"_field":"startDate","_value":{"amount":1,"unit":"days","look":"behind","modifier":"startOfDay"}}`:         "0",
		`"_gte":{"_field":"startDate","_value":{"amount":2,"unit":"days","look":"behind","modifier":"startOfDay"}}`:         "1",
		`"_lte":{"_field":"startDate","_value":{"amount":2,"unit":"days","look":"behind"}}`:                                 "0",
		`"_lte":{"_field":"startDate","_value":{"amount":2,"unit":"days","look":"behind","modifier":"endOfDay"}}`:           "1",
		`"_lt":{"_field":"startDate","_value":{"amount":1,"unit":"months","look":"behind"}}`:                                "0",
		`"_between":{"_field":"startDate","_from":{"amount":1,"unit":"weeks","look":"behind"},"_to":` + jsonOf(start) + `}`: "0",
	} {
		if got := count(t, h, `{"query":[{"_name":"listCase"},{"_name":"filter",`+filter+`},{"_name":"count"}]}`); got != want {
			t.Errorf("%s: %s, want %s", filter, got, want)
		}
	}
}

func TestTheClientsGoneDoesNotStopAWrite(t *testing.T) {
	t.Parallel()
	h := hivetest.New(hivetest.Options{})
	req := httptest.NewRequestWithContext(canceled(t), "POST", casePath, strings.NewReader(someCase))
	req.Header.Set("Authorization", "Bearer "+hivetest.DefaultAPIKey)
	req.Header.Set("Content-Type", "application/json")
	h.ServeHTTP(httptest.NewRecorder(), req)
	if n := h.Stats(0).Cases; n != 1 {
		t.Errorf("%d cases, want 1", n)
	}
}

func TestUnorderedListsAreOrderedOnlyByASort(t *testing.T) {
	t.Parallel()
	h := hivetest.New(hivetest.Options{})
	for range 20 {
		call(t, h, "POST", casePath, someCase)
	}
	numbers := func(sort string) string {
		a := call(t, h, "POST", queryPath, `{"query":[{"_name":"listCase"},`+sort+`{"_name":"page","from":0,"to":20}]}`)
		var out strings.Builder
		for i := range 20 {
			out.WriteString(jsonOf(a.at(strconv.Itoa(i) + ".number")))
		}
		return out.String()
	}
	good := numbers("")
	h.Set(hivetest.Misbehaviour{Unordered: true})
	if sorted := numbers(`{"_name":"sort","_fields":[{"number":"asc"}]},`); sorted != good {
		t.Errorf("sorted: %s", sorted)
	}
	if mixed := numbers(""); mixed == good || len(mixed) != len(good) {
		t.Errorf("unsorted: %s", mixed)
	}
}
