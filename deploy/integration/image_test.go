//go:build integration

package integration

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// program is a command that becomes an image.
type program struct {
	name string
	path string // of its package
}

var (
	workerProgram = program{"worker", "forager/cmd/worker"}
	natsProgram   = program{"nats-server", "github.com/nats-io/nats-server/v2"}
)

const imageRepository = "forager-integration"

// tag is different in every run, so that none removes an image under another.
func (p program) tag() string { return p.name + "-" + testcontainers.SessionID()[:12] }

// image is what containers of a program are made from.
func (p program) image() string { return imageRepository + ":" + p.tag() }

// buildOnce makes all images, once for all tests.
var buildOnce = sync.OnceValue(func() error {
	ctx := context.Background()
	for _, p := range []program{workerProgram, natsProgram} {
		if err := p.build(ctx); err != nil {
			return fmt.Errorf("image of %s: %w", p.name, err)
		}
	}
	return nil
})

// images makes sure that they are there.
func images(t *testing.T) {
	t.Helper()
	if err := buildOnce(); err != nil {
		t.Fatal(err)
	}
}

// build compiles the program statically and makes an image that holds nothing else.
func (p program) build(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "forager-integration-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, p.name)
	compile := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, p.path)
	compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if out, err := compile.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	archive, err := p.archive(binary)
	if err != nil {
		return err
	}
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return err
	}
	defer provider.Close()
	_, err = provider.BuildImage(ctx, &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		ContextArchive: archive, Dockerfile: "Dockerfile", Repo: imageRepository, Tag: p.tag(), KeepImage: true,
	}})
	return err
}

// archive is the build context: the binary and what to do with it.
func (p program) archive(binary string) (*bytes.Reader, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	dockerfile := fmt.Sprintf("FROM scratch\nLABEL %s=%s\nCOPY %s /%[3]s\nENTRYPOINT [\"/%[3]s\"]\n", label, ours()[label], p.name)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		mode int64
		body []byte
	}{{"Dockerfile", 0o644, []byte(dockerfile)}, {p.name, 0o755, program}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.body))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.body); err != nil {
			return nil, err
		}
	}
	return bytes.NewReader(b.Bytes()), w.Close()
}

// removeImages removes what this run built; where nothing was built, or no engine is, there is nothing to do.
func removeImages(ctx context.Context) {
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return
	}
	defer engine.Close()
	for _, p := range []program{workerProgram, natsProgram} {
		_, _ = engine.ImageRemove(ctx, p.image(), client.ImageRemoveOptions{PruneChildren: true})
	}
}
