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
	"strconv"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"forager/pipeline/natstest"
)

// natsDirectory is the variable that makes a process of this test binary the NATS server.
const natsDirectory = "BENCH_NATS_DIRECTORY"

// natsPort is the variable with its port, where it must have one.
const natsPort = "BENCH_NATS_PORT"

var (
	profiles = flag.String("profiles", "", "folder for a processor profile of a worker for each row")
	deaths   = flag.Int("deaths", 10, "how many workers are killed in the row kills, one a second")
	older    = flag.String("older", "", "another worker, of an earlier version: in the row kills every second one started is this")
	measured = flag.String("worker", "", "another worker than the one compiled here, so that versions meet the same harness and the same TheHive")
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
	port := server.RANDOM_PORT
	if text := os.Getenv(natsPort); text != "" {
		var err error
		if port, err = strconv.Atoi(text); err != nil {
			return err
		}
	}
	running, err := natstest.Start(dir, natstest.Port(port))
	if err != nil {
		return err
	}
	defer running.Close()
	fmt.Fprintln(os.Stdout, running.URL())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// programs are what the bench runs beside NATS: the worker as the image holds it, and the command with TheHive's simulator, which the image
// does without.
type programs struct{ worker, simulator string }

// build builds both.
func build(t *testing.T) programs {
	t.Helper()
	top, dir := root(t), t.TempDir()
	built := programs{worker: filepath.Join(dir, "worker"), simulator: filepath.Join(dir, "simulator")}
	image := []string{filepath.Join(top, "deploy", "image", "compile"), built.worker}
	if *profiles != "" {
		image = append(image, "-overlay", overlay(t, top))
	}
	for _, command := range [][]string{image, {"go", "build", "-o", built.simulator, "./cmd/worker"}} {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir = top
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command[0], err, out)
		}
	}
	if *measured != "" {
		built.worker = *measured
	}
	return built
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
