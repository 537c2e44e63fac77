// The race detector multiplies memory, and what is measured here is memory.

//go:build !race

package hive_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sourcegraph/conc/pool"

	"forager/hive"
)

// flood are answers that are large, or become so.
func flood(t *testing.T) map[string][]byte {
	t.Helper()
	var bomb bytes.Buffer
	z, err := gzip.NewWriterLevel(&bomb, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(z, `{"_id":"~1","title":"`)
	_, _ = io.Copy(z, io.LimitReader(endless{}, 30<<20))
	if err := z.Close(); err != nil || bomb.Len() > 40<<10 {
		t.Fatalf("%d bytes, %v", bomb.Len(), err)
	}
	return map[string][]byte{
		"bomb":    bomb.Bytes(),
		"large":   []byte(weighing(26 << 20)),
		"whole":   []byte(weighing(8<<20 - 100)),
		"objects": []byte("[" + strings.Repeat("{},", 1<<20) + "{}]"),
		"fields":  []byte(`{"_id":"~1","customFields":[` + strings.Repeat("{},", 1<<20) + "{}]}"),
		"tags":    []byte(`{"_id":"~1","tags":[` + strings.Repeat(`"",`, 1<<20) + `""]}`),
		"many":    []byte(`{"_id":"~1","customFields":[` + strings.Repeat(`{},`, 4990) + "{}]}"),
	}
}

// endless is one letter without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestThirtyTwoLargeAnswersStayUnderTheContainersLimit measures a process of its own, which holds the client alone:
// its peak, as the kernel counts it.
func TestThirtyTwoLargeAnswersStayUnderTheContainersLimit(t *testing.T) { // before those in parallel, whose time it would take
	answers := flood(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.Split(r.URL.Path, "/")[1]
		w.Header().Set("Content-Type", "application/json")
		if name == "bomb" {
			w.Header().Set("Content-Encoding", "gzip")
		}
		_, _ = w.Write(answers[name])
	}))
	t.Cleanup(server.Close)
	for name := range answers {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFloodedChild$", "-test.v", "-test.timeout=2m")
		child.Env = append(os.Environ(), "FLOOD="+server.URL+"/"+name, "GOMEMLIMIT=240MiB")
		out, err := child.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		peak := peakOf(t, out)
		t.Logf("%s: %d MiB", name, peak>>10)
		if peak > 300<<10 {
			t.Errorf("%s: %d MiB", name, peak>>10)
		}
	}
}

var peakLine = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakOf is the largest resident memory in KiB that a status of a process names.
func peakOf(t *testing.T, status []byte) int {
	t.Helper()
	found := peakLine.FindSubmatch(status)
	if found == nil {
		t.Fatalf("no peak in %s", status)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestFloodedChild is the process that is measured.
func TestFloodedChild(t *testing.T) {
	url := os.Getenv("FLOOD")
	if url == "" {
		t.Skip("runs as a child")
	}
	c := newClient(t, hive.Options{URL: url, APIKey: testKey, Proxy: "direct", Timeout: time.Minute, Concurrency: 32})
	calls := pool.New().WithMaxGoroutines(32)
	for range 32 {
		calls.Go(func() {
			if !strings.HasSuffix(url, "/objects") {
				_ = create(t.Context(), c)
				return
			}
			for _, err := range c.FindCases(t.Context(), hive.Query{PageSize: 1}) {
				_ = err // the bound is about memory, not about what the answer means
				break
			}
		})
	}
	calls.Wait()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.Write(status)
}
