//go:build bench && linux

package bench

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"forager/pipeline/natstest"
)

// natsDirectory is the variable that makes a process of this test binary the NATS server.
const natsDirectory = "BENCH_NATS_DIRECTORY"

var (
	profiles = flag.String("profiles", "", "folder for a processor profile of a worker for each row")
	traces   = flag.Bool("traces", false, "execution traces instead of processor profiles")
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(natsDirectory); dir != "" {
		if err := serveNATS(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveNATS is a NATS server until its standard input ends, which it does with the bench.
func serveNATS(dir string) error {
	server, err := natstest.Start(dir)
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Fprintln(os.Stdout, server.URL())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// buildWorker builds the command that is measured.
func buildWorker(t *testing.T) string {
	t.Helper()
	top, binary := root(t), filepath.Join(t.TempDir(), "worker")
	args := []string{"build", "-o", binary}
	if *profiles != "" {
		args = append(args, "-overlay", overlay(t, top))
	}
	build := exec.CommandContext(t.Context(), "go", append(args, "./cmd/worker")...)
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the worker: %v\n%s", err, out)
	}
	return binary
}

// overlay adds to the worker what takes a profile when a signal asks for it.
func overlay(t *testing.T, top string) string {
	t.Helper()
	text, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(top, "cmd", "worker", "bench_profile.go"): filepath.Join(top, "deploy", "bench", "testdata", "profile.go.txt"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// root is the folder of go.mod.
func root(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(string(bytes.TrimSpace(out)))
}
