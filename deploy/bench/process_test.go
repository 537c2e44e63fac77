//go:build bench && linux

package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a child that ends with the bench, whatever becomes of that.
type process struct {
	cmd *exec.Cmd
	log string // file of its standard error
}

// spawn starts a child with nothing but these variables. It is told to end with the test.
func spawn(t *testing.T, env []string, program string, args ...string) (*process, *bufio.Reader) {
	t.Helper()
	p := &process{log: filepath.Join(t.TempDir(), filepath.Base(program)+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	p.cmd.Env, p.cmd.Stderr = append(env, "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir()), log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		p.stop()
	})
	return p, bufio.NewReader(out)
}

// stop asks the child to end, and makes it end when it does not within a few seconds.
func (p *process) stop() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(3*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	_ = p.cmd.Wait()
}

// kill ends the child at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// tail is the end of what the child logged.
func (p *process) tail() string {
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-2000):])
}

// processor is how long the child has kept a core busy.
func (p *process) processor(t *testing.T) time.Duration {
	t.Helper()
	const userTicks, systemTicks, perSecond = 11, 12, 100 // of proc_pid_stat(5), behind the name; USER_HZ
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, i := range []int{userTicks, systemTicks} {
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / perSecond
}

// resident is the child's resident memory in bytes.
func (p *process) resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if size, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(size), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("process %d tells no resident memory", p.cmd.Process.Pid)
	return 0
}

// freePort is a port of loopback that nobody listens to.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// until asks every few milliseconds until the answer is yes, and gives up after a while.
func until(t *testing.T, within time.Duration, what string, yes func() bool) {
	t.Helper()
	if !eventually(t, within, yes) {
		t.Fatalf("%s: not within %s", what, within)
	}
}

func eventually(t *testing.T, within time.Duration, yes func() bool) bool {
	t.Helper()
	return looking(t, 20*time.Millisecond, within, yes)
}

// looking looks again and again until the answer is yes, or the time is over.
func looking(t *testing.T, pause, within time.Duration, yes func() bool) bool {
	t.Helper()
	every := time.NewTicker(pause)
	defer every.Stop()
	late := time.After(within)
	for !yes() {
		select {
		case <-every.C:
		case <-late:
			return false
		case <-t.Context().Done():
			t.Fatal(context.Cause(t.Context()))
		}
	}
	return true
}

// answers tells whether a GET is answered with 200.
func answers(ctx context.Context, url string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
