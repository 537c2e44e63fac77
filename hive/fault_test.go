package hive_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/pool"

	"forager/hive"
	"forager/hive/hivetest"
)

// TestVerdictsAreTrueUnderEveryFault drives writes through every fault that
// the simulator knows and compares what the client said with what happened:
// success is there once, refused and rolled back are not there, and ambiguous
// is there at most once.
func TestVerdictsAreTrueUnderEveryFault(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]hivetest.Misbehaviour{
		"none":          {},
		"refuse":        {Refuse: 0.6},
		"refuse writes": {RefuseWrites: 0.9},
		"throttle":      {ThrottleShare: 0.5, RetryAfter: time.Second},
		"bad gateway":   {BadGateway: 0.4},
		"fail":          {Fail: 0.4},
		"reset":         {Reset: 0.4},
		"answer cut":    {Ambiguous: 0.4},
		"answer 504":    {Ambiguous: 0.4, AmbiguousBy: 504},
		"answer 500":    {Ambiguous: 0.4, AmbiguousBy: 500},
		"late":          {LateCommit: 0.3, LateAfter: 400 * time.Millisecond},
		"truncate":      {Truncate: 0.4},
		"expired":       {ExpiredKey: true},
		"everything":    {Jitter: 5 * time.Millisecond, Refuse: 0.1, BadGateway: 0.1, Fail: 0.1, Reset: 0.1, Ambiguous: 0.1, LateCommit: 0.1, LateAfter: 300 * time.Millisecond, Truncate: 0.1, ThrottleShare: 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, o := simulator(t)
			in := opened(t.Context(), newClient(t, o), "target") // with all the patience of the defaults
			o.Timeout, o.WriteTimeout, o.Concurrency = 200*time.Millisecond, 100*time.Millisecond, 16
			c := newClient(t, o)
			sim.Set(m)
			verdicts := writeMany(t.Context(), c, in.ID, 40)
			sim.Set(hivetest.Misbehaviour{})
			settled(t, sim)
			for what, count := range effects(sim, verdicts) {
				if verdict := verdicts[what]; !allowed(verdict, count) {
					t.Errorf("%s: said %s, is there %d times", what, verdict, count)
				}
			}
		})
	}
}

// allowed reports whether a verdict agrees with how often the effect is there.
func allowed(verdict string, count int) bool {
	switch verdict {
	case "done":
		return count == 1
	case "ambiguous":
		return count <= 1
	}
	return count == 0
}

// writeMany makes n cases and n comments, each once and with a text of its
// own, and returns what the client said of each.
func writeMany(ctx context.Context, c *hive.Client, caseID string, n int) map[string]string {
	writes := pool.NewWithResults[[2]string]().WithMaxGoroutines(16)
	for i := range n {
		writes.Go(func() [2]string {
			title := fmt.Sprintf("case %03d", i)
			return [2]string{title, verdict(second(c.CreateCase(ctx, hive.NewCase{Title: title, Description: "d"})))}
		})
		writes.Go(func() [2]string {
			text := fmt.Sprintf("comment %03d", i)
			return [2]string{text, verdict(second(c.AddComment(ctx, caseID, text)))}
		})
	}
	out := map[string]string{}
	for _, w := range writes.Wait() {
		out[w[0]] = w[1]
	}
	return out
}

// verdict is what the client says of a write.
func verdict(err error) string {
	e, ok := errors.AsType[*hive.Error](err)
	switch {
	case err == nil:
		return "done"
	case !ok:
		return "untyped: " + err.Error()
	case e.Refused():
		return "refused"
	case e.RolledBack():
		return "rolled back"
	}
	return "ambiguous"
}

// effects counts how often each effect is there.
func effects(sim *hivetest.Hive, verdicts map[string]string) map[string]int {
	out := map[string]int{}
	for what := range verdicts {
		out[what] = 0
	}
	for _, c := range sim.Snapshot().Cases {
		out[c.Title]++
		for _, text := range c.Comments {
			out[text]++
		}
	}
	delete(out, "target")
	return out
}

// settled waits until the simulator has nothing left to commit: a call of its
// own goes through its queue until two looks agree.
func settled(t *testing.T, sim *hivetest.Hive) {
	t.Helper()
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for last, same := -1, 0; same < 4; {
		n := 0
		for _, c := range sim.Snapshot().Cases {
			n += 1 + len(c.Comments)
		}
		if same++; n != last {
			last, same = n, 0
		}
		<-tick.C
	}
}

func TestManyCallersShareOneClient(t *testing.T) {
	t.Parallel()
	sim, o := simulator(t)
	o.Concurrency = 8
	c := newClient(t, o)
	in := opened(t.Context(), c, "shared")
	var callers conc.WaitGroup
	for i := range 32 {
		callers.Go(func() {
			_, err := c.AddObservables(t.Context(), in.ID, hive.NewObservable{DataType: "hostname", Data: []string{fmt.Sprint("h", i), fmt.Sprint("i", i)}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	got, err := collect(c.CaseObservables(t.Context(), in.ID))
	if err != nil || len(got) != 64 || len(sim.Snapshot().Cases[0].Observables) != 64 {
		t.Errorf("%d observables, %v", len(got), err)
	}
}

// FuzzAnswer feeds hostile answers to the decoders: never a panic, and an
// error that is exactly one of the three verdicts.
func FuzzAnswer(f *testing.F) {
	for _, status := range []int{200, 201, 204, 207, 302, 400, 404, 429, 500, 503, 504} {
		for _, body := range []string{"", "[]", "{}", "null", caseJSON, "[" + observableJSON + "]", `{"success":[{}],"failure":[null,{"object":[]}]}`, `{"type":"X","message":null}`, `[{"_id":1}]`, "\xff", `{"_id":"~1","number":1e99}`} {
			f.Add(status, body)
		}
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		synctest.Test(t, func(t *testing.T) { hostileAnswer(t, status, body) }) // pauses cost nothing
	})
}

// hostileAnswer gives one answer to every kind of write.
func hostileAnswer(t *testing.T, status int, body string) {
	t.Helper()
	s := &script{steps: []step{{status: status, body: body}}}
	c, err := hive.New(hive.Options{URL: "http://hive.test", APIKey: testKey, Transport: s})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	result, err := c.AddObservables(ctx, "1", hive.NewObservable{DataType: "ip", Data: []string{"a", "b"}})
	if err == nil && slices.ContainsFunc(result.Created, func(o hive.Observable) bool { return o.ID == "" }) {
		t.Error("an observable without id")
	}
	for _, err := range []error{err, create(ctx, c), second(c.AddProcedures(ctx, "1", []hive.NewProcedure{{PatternID: "T1", OccurDate: 1}})),
		c.DeleteCase(ctx, "1"), second(c.AddAttachments(ctx, "1", hive.Upload{Name: "f", Body: once{strings.NewReader("")}}))} {
		e, ok := errors.AsType[*hive.Error](err)
		if err == nil {
			continue
		}
		if n := btoi(ok && e.Refused()) + btoi(ok && e.RolledBack()) + btoi(ok && e.Ambiguous()); n != 1 {
			t.Errorf("%d verdicts: %v", n, err)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// FuzzUploadName puts hostile names into a multipart header: either refused,
// or the form still has exactly its two parts.
func FuzzUploadName(f *testing.F) {
	for _, s := range []string{"a.txt", `"; filename="b`, "é\U0001F600", "a\r\nb", "%22", "\\", ";", "=?utf-8?q?x?=", " ", "."} {
		f.Add(s, s)
	}
	f.Add("a", "text/plain\r") // passes for a media type
	f.Fuzz(func(t *testing.T, name, contentType string) {
		var got seen
		c, err := hive.New(hive.Options{URL: "http://hive.test", APIKey: testKey, Transport: recorder(func(s seen) { got = s })})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.AddFile(t.Context(), "1", hive.NewObservable{DataType: "file"}, hive.Upload{Name: name, ContentType: contentType, Body: strings.NewReader("content")})
		if errors.Is(err, hive.ErrInvalid) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		parts := partsOf(t, got)
		if len(parts) != 2 || parts[0].Name != "_json" || parts[1].Name != "attachment" || parts[1].Body != "content" {
			t.Errorf("parts %q", parts)
		}
		if want := strings.ReplaceAll(name, `"`, "%22"); len(parts) == 2 && parts[1].File != want {
			t.Errorf("name %q, want %q", parts[1].File, want)
		}
	})
}
