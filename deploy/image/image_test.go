//go:build integration

package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"forager/hive/hivetest"
	"forager/pipeline/natstest"
)

// Bounds of the image.
const (
	mostBytes  = 31_200_000 // 31.0 with tables and colours; 30.5 with the page, prove, silences, thresholds, alerts and Cortex; 28.3 before
	readyIn    = time.Second
	stoppedIn  = 2 * time.Second
	anyUser    = "34567:0" // as OpenShift gives
	repository = "forager-image-test"
)

// TestMain makes testcontainers do without what would have to be pulled.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"TESTCONTAINERS_RYUK_DISABLED": "true", "TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1"} {
		if _, set := os.LookupEnv(name); !set {
			_ = os.Setenv(name, value) // the engine says what is wrong
		}
	}
	os.Exit(m.Run())
}

// TestImageIsReadyInASecondAndStopsInTwo runs it on the host's network against a running NATS
// and a simulated TheHive.
func TestImageIsReadyInASecondAndStopsInTwo(t *testing.T) {
	testcontainers.SkipIfProviderIsNotHealthy(t)
	name := build(t)
	nats, err := natstest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	hive, err := hivetest.Listen("127.0.0.1:0", hivetest.New(hivetest.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hive.Close() })

	ops := freeAddress(t)
	c, err := testcontainers.GenericContainer(t.Context(), testcontainers.GenericContainerRequest{ContainerRequest: testcontainers.ContainerRequest{
		Image: name,
		User:  anyUser,
		Env: map[string]string{
			"FORAGER_NATS_URL": nats.URL(), "FORAGER_NATS_MANAGE": "true",
			"FORAGER_HIVE_URL": hive.URL(), "FORAGER_HIVE_API_KEY": hivetest.DefaultAPIKey, "FORAGER_OPS_ADDR": ops,
		},
		HostConfigModifier: func(h *container.HostConfig) {
			h.NetworkMode = "host"
			h.ReadonlyRootfs = true
			h.CapDrop = []string{"ALL"}
			h.SecurityOpt = []string{"no-new-privileges"}
			h.Tmpfs = map[string]string{"/tmp": ""}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Terminate(context.WithoutCancel(t.Context())) })
	begun := time.Now()
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	started := time.Since(begun)
	ready(t, c, "http://"+ops+"/readyz")
	total := time.Since(begun)
	t.Logf("started by the engine after %v, ready after %v", started, total)
	if total-started > readyIn {
		t.Errorf("ready %v after its start, want %v", total-started, readyIn)
	}
	begun = time.Now()
	patience := 10 * time.Second
	if err := c.Stop(t.Context(), &patience); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begun)
	t.Logf("stopped after %v", took)
	if took > stoppedIn {
		t.Errorf("stopped after %v, want %v", took, stoppedIn)
	}
	state, err := c.State(t.Context())
	if err != nil || state.ExitCode != 0 {
		t.Errorf("exit %d, %v", state.ExitCode, err)
	}
}

// freeAddress is one that nobody listens on, for now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ready asks until the worker says that it is.
func ready(t *testing.T, c testcontainers.Container, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last := "no answer"
	for {
		if status, body := ask(ctx, url); status == http.StatusOK {
			return
		} else if body != "" {
			last = body
		}
		select {
		case <-ctx.Done():
			log, _ := c.Logs(t.Context())
			text, _ := io.ReadAll(log)
			t.Fatalf("not ready: %s\n%s", last, text)
		case <-tick.C:
		}
	}
}

func ask(ctx context.Context, url string) (int, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// build makes the image of the Dockerfile's target "prebuilt", checks it, and gives its name.
func build(t *testing.T) string {
	t.Helper()
	worker := filepath.Join(t.TempDir(), "worker")
	compile(t, "../..", worker)
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	version := "v0.0.0-test"
	_, err = provider.BuildImage(t.Context(), &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		ContextArchive: buildContext(t, worker), Dockerfile: "Dockerfile", Repo: repository, Tag: "latest", KeepImage: true,
		BuildArgs:            map[string]*string{"VERSION": &version},
		BuildOptionsModifier: func(o *client.ImageBuildOptions) { o.Target = "prebuilt" },
	}})
	if err != nil {
		t.Fatal(err)
	}
	name := repository + ":latest"
	engine, err := testcontainers.NewDockerClientWithOpts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = engine.ImageRemove(context.WithoutCancel(t.Context()), name, client.ImageRemoveOptions{Force: true, PruneChildren: true})
		_ = engine.Close()
	})
	check(t, engine, name, version)
	return name
}

// check looks at the image itself.
func check(t *testing.T, engine *testcontainers.DockerClient, name, version string) {
	t.Helper()
	found, err := engine.ImageInspect(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("image: %.1f MB", float64(found.Size)/1e6)
	if found.Size > mostBytes {
		t.Errorf("image of %d bytes, at most %d", found.Size, mostBytes)
	}
	if found.Config.User == "" || strings.HasPrefix(found.Config.User, "0") {
		t.Errorf("image runs as user %q", found.Config.User)
	}
	if got := found.Config.Labels["org.opencontainers.image.version"]; got != version {
		t.Errorf("labelled version %q", got)
	}
}

// buildContext is the Dockerfile and the binary.
func buildContext(t *testing.T, worker string) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, from := range map[string]string{"Dockerfile": "../Dockerfile", "worker": worker} {
		body, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(fmt.Errorf("build context: %w", err))
	}
	return bytes.NewReader(b.Bytes())
}
