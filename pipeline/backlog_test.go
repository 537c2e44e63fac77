package pipeline

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// serverFolder names, in the environment of a child process, where its server stores.
const serverFolder = "FORAGER_TEST_SERVER"

// TestMain makes the test binary a server of its own process where a benchmark asks for one.
func TestMain(m *testing.M) {
	if dir := os.Getenv(serverFolder); dir != "" {
		os.Exit(serve(dir))
	}
	os.Exit(m.Run())
}

// serve runs a server until standard input ends.
func serve(dir string) int {
	server, err := natstest.Start(dir)
	if err != nil {
		return 1
	}
	defer server.Close()
	os.Stdout.WriteString(server.URL() + "\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// elsewhere starts a server in another process and returns its address.
func elsewhere(b *testing.B) string {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	child := exec.CommandContext(b.Context(), self)
	child.Env = append(os.Environ(), serverFolder+"="+b.TempDir())
	stdin, err := child.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := child.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = child.Wait()
	})
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(url)
}

// BenchmarkBacklog works a backlog of messages of one kilobyte, a million unless
// FORAGER_BENCH_BACKLOG says another number, from a server in another process, and reports the
// most memory that this process had resident, in MiB.
func BenchmarkBacklog(b *testing.B) {
	messages := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("FORAGER_BENCH_BACKLOG")); err == nil {
		messages = n
	}
	for b.Loop() {
		link, err := stream.Connect(b.Context(), stream.Connection{URLs: []string{elsewhere(b)}}, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := stream.Ensure(b.Context(), link, benchOptions().Streams()); err != nil {
			b.Fatal(err)
		}
		backlog(b, link, 4000, messages)
		ends := &countdown{left: int64(messages), done: make(chan struct{})}
		work(b, link, nil, forgetful{}, ends)
		b.ReportMetric(mostResident(), "MiB-resident")
		link.Close()
	}
}

// mostResident is the most memory that this process had, in MiB.
func mostResident() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kib float64
	_, _ = fmt.Sscanf(after, "%f kB", &kib)
	return kib / 1024
}
