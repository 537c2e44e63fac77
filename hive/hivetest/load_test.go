package hivetest_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sourcegraph/conc/pool"

	"forager/hive/hivetest"
)

// Many clients at once: numbers stay unique, observables too, tags of addTags all arrive, and nothing is lost.
func TestConcurrentClientsLoseNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	shared := r.newCase("shared")
	const clients, each = 16, 8
	p := pool.New().WithMaxGoroutines(clients)
	for i := range clients {
		p.Go(func() {
			for n := range each {
				tag := fmt.Sprintf("tag-%d-%d", i, n)
				for _, call := range [][3]string{
					{"POST", casePath, `{"title":"t","description":"d","tags":["` + tag + `"]}`},
					{"PATCH", casePath + "/" + shared, `{"addTags":["` + tag + `"]}`},
					{"POST", casePath + "/" + shared + "/observable", `{"dataType":"ip","data":"192.0.2.` + strconv.Itoa(n) + `"}`},
					{"POST", casePath + "/" + shared + "/comment", `{"message":"` + tag + `"}`},
					{"POST", queryPath, `{"query":[{"_name":"listCase"},{"_name":"filter","_eq":{"_field":"tags","_value":"` + tag + `"}}]}`},
				} {
					a, err := r.send(call[0], call[1], "application/json", []byte(call[2]))
					if err != nil || a.status >= 400 {
						t.Errorf("%s %s: %d %s %v", call[0], call[1], a.status, a.raw, err)
					}
				}
			}
		})
	}
	p.Wait()
	s := r.hive.Snapshot()
	var numbers []int64
	for _, c := range s.Cases {
		numbers = append(numbers, c.Number)
	}
	slices.Sort(numbers)
	if n := len(slices.Compact(numbers)); n != clients*each+1 {
		t.Errorf("%d different numbers, want %d", n, clients*each+1)
	}
	c := s.Cases[0]
	if len(c.Tags) != clients*each || len(c.Observables) != each || len(c.Comments) != clients*each {
		t.Errorf("%d tags, %d observables, %d comments; want %d, %d, %d",
			len(c.Tags), len(c.Observables), len(c.Comments), clients*each, each, clients*each)
	}
}

// BenchmarkFindByTag compares finding a case by its tag with creating one, at 10 000 cases and 100 000 observables.
func BenchmarkFindByTag(b *testing.B) {
	h := hivetest.New(hivetest.Options{})
	for i := range 10_000 {
		call(b, h, "POST", casePath, benchCase(i))
		values := make([]string, 10)
		for n := range values {
			values[n] = fmt.Sprintf("192.0.%d.%d", i, n)
		}
		call(b, h, "POST", casePath+"/"+strconv.Itoa(i+1)+"/observable", `{"dataType":"ip","data":`+jsonOf(values)+`}`)
	}
	if s := h.Stats(0); s.Cases != 10_000 || s.Observables != 100_000 {
		b.Fatalf("%d cases, %d observables", s.Cases, s.Observables)
	}
	n, created := 10_000, time.Duration(0)
	for b.Loop() {
		b.StopTimer()
		begun := time.Now()
		request(b, h, casePath, benchCase(n))
		created += time.Since(begun)
		n++
		b.StartTimer()
		request(b, h, queryPath, `{"query":[{"_name":"listCase"},{"_name":"filter","_eq":{"_field":"tags","_value":"`+benchTag(n*7919%10_000)+
			`"}},{"_name":"sort","_fields":[{"startDate":"desc"}]},{"_name":"page","from":0,"to":100}]}`)
	}
	b.ReportMetric(float64(created.Nanoseconds())/float64(b.N), "create-ns/op")
	b.ReportMetric(float64(b.Elapsed())/float64(created), "find/create")
}

func benchTag(i int) string { return fmt.Sprintf("forager:%032x", i) }

func benchCase(i int) string {
	return `{"title":"case","description":"d","startDate":` + strconv.Itoa(1_700_000_000_000+i*100_000_000) + `,"tags":["sigma","` + benchTag(i) + `"]}`
}

func request(b testing.TB, h *hivetest.Hive, path, body string) {
	b.Helper()
	if a := call(b, h, "POST", path, body); a.status >= 300 {
		b.Fatalf("%d %s", a.status, a.raw)
	}
}

// BenchmarkOverhead is the cost of one call without a network, and of one over loopback.
func BenchmarkOverhead(b *testing.B) {
	b.Run("handler", func(b *testing.B) {
		h := hivetest.New(hivetest.Options{})
		b.ReportAllocs()
		for b.Loop() {
			req := httptest.NewRequest("GET", "/api/v1/user/current", nil)
			req.Header.Set("Authorization", "Bearer "+hivetest.DefaultAPIKey)
			h.ServeHTTP(httptest.NewRecorder(), req)
		}
	})
	b.Run("loopback", func(b *testing.B) {
		r := newRig(b, hivetest.Options{})
		for b.Loop() {
			if a, err := r.send("GET", "/api/v1/user/current", "", nil); err != nil || a.status != 200 {
				b.Fatal(a.status, err)
			}
		}
	})
}
