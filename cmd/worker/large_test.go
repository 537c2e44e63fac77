package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/cmd/worker/workertest"
)

// largeFile is the size of the file that passes through a worker, largeGrowth what its resident
// memory may grow by meanwhile.
const (
	largeFile   = 100 << 20
	largeGrowth = 40 << 20
)

// TestALargeFilePassesInLittleMemory carries a detection with a file of 100 MiB from an object
// store to TheHive, as it is and in an archive, by a worker that is a process of its own, so that
// its memory can be told.
func TestALargeFilePassesInLittleMemory(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("moves 100 MiB twice")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("resident memory is read from /proc, which is not there")
	}
	binary := builtWorker(t)
	for _, zip := range []string{"never", "always"} {
		t.Run("zip "+zip, func(t *testing.T) {
			t.Parallel()
			passLarge(t, binary, zip)
		})
	}
}

// builtWorker compiles the command as people run it: the race detector of the test's own program
// would be in the memory that is told, and in the time.
func builtWorker(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "worker")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func passLarge(t *testing.T, binary, zip string) {
	b := newBackyard(t)
	b.env = append(b.env, "FORAGER_FILES_ZIP="+zip)
	digest := b.object("evidence", "detections.test/memory.dmp", largeFile)
	pid := b.process(binary)
	b.publish("warm", "web00", weekAgo(), "203.0.113.9", "T1059")
	workertest.Eventually(b.t, "the first case", func() bool { return len(b.cases()) == 1 })
	before := resident(t, pid, "VmRSS")
	resetPeak(t, pid)
	began := time.Now()
	b.send(fmt.Sprintf(`{"schema":"forager.detection/v1","id":"big","time":%q,"title":"T","severity":2,"host":"web01",
		"files":[{"name":"memory.dmp","object":"evidence/detections.test/memory.dmp","sha256":%q}]}`, weekAgo().Format(time.RFC3339), digest))
	workertest.Eventually(b.t, "the file", func() bool {
		cases := b.cases()
		return len(cases) == 2 && len(cases[1].Observables) == 1
	})
	took, peak := time.Since(began), resident(t, pid, "VmHWM")
	t.Logf("%d MiB in %s: resident memory %d MiB before, %d MiB at its peak", largeFile>>20, took.Round(time.Millisecond), before>>20, peak>>20)
	file := b.cases()[1].Observables[0].File
	if zip == "never" && (file.SHA256 != digest || file.Size != largeFile) {
		t.Errorf("file %+v, want %s", file, digest)
	}
	if zip == "always" && (file.Name != "memory.dmp.zip" || file.Size <= largeFile || file.Size > largeFile+1024) {
		t.Errorf("file %+v, want an archive of %d bytes", file, largeFile)
	}
	if peak-before >= largeGrowth {
		t.Errorf("resident memory grew by %d MiB, at most %d are allowed", (peak-before)>>20, largeGrowth>>20)
	}
}

// process runs "worker run" beside the test and gives its process id.
func (b *backyard) process(binary string) int {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), binary, "run")
	cmd.Env = append(append([]string{"TMPDIR=" + b.t.TempDir()}, b.env...), "FORAGER_WEBHOOK_ADDR=")
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = cmd.Wait() })
	return cmd.Process.Pid
}

// object stores an object of pseudo-random bytes and gives its digest.
func (b *backyard) object(bucket, key string, size int) string {
	b.t.Helper()
	nc, err := nats.Connect(strings.TrimPrefix(b.env[0], "FORAGER_NATS_URL="))
	if err != nil {
		b.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	store, err := js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: bucket})
	if err != nil {
		b.t.Fatal(err)
	}
	sum := sha256.New()
	block := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	content := io.LimitReader(&endless{block: block}, int64(size))
	if _, err := store.Put(ctx, jetstream.ObjectMeta{Name: key}, io.TeeReader(content, sum)); err != nil {
		b.t.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// endless repeats a block, whose first bytes count.
type endless struct {
	block []byte
	n     uint32
	at    int
}

// Read never ends.
func (e *endless) Read(p []byte) (int, error) {
	if e.at == 0 {
		e.n++
		copy(e.block, strconv.FormatUint(uint64(e.n), 10))
	}
	n := copy(p, e.block[e.at:])
	e.at = (e.at + n) % len(e.block)
	return n, nil
}

// resident reads a line of a process's status, in bytes.
func resident(t *testing.T, pid int, name string) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(rest, "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

// resetPeak makes VmHWM begin anew (proc(5), clear_refs).
func resetPeak(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Skipf("the peak of resident memory cannot be reset: %v", err)
	}
}
