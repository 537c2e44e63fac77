//go:build integration

package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"
)

// label marks what this package starts, so that it sweeps nothing else. Its value is until when it may belong to a run that is still going
// on, in seconds since 1970.
const label = "forager.integration"

// longest is how long a run may take besides its storm.
const longest = 30 * time.Minute

// ours are the labels of what this run starts.
func ours() map[string]string {
	return map[string]string{label: strconv.FormatInt(time.Now().Add(*lasts+longest).Unix(), 10)}
}

// abandoned tells by its labels whether the run that something belonged to is over.
func abandoned(labels map[string]string) bool {
	until, err := strconv.ParseInt(labels[label], 10, 64)
	return err != nil || time.Now().Unix() > until
}

// engine is the container engine, and what a test has in it.
type engine struct {
	client *testcontainers.DockerClient
	boxes  []*box
}

// box is a container.
type box struct {
	engine *engine
	name   string
	docker testcontainers.Container
}

// newEngine skips the test where no engine answers.
func newEngine(t *testing.T) *engine {
	t.Helper()
	testcontainers.SkipIfProviderIsNotHealthy(t)
	c, err := testcontainers.NewDockerClientWithOpts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{client: c}
	t.Cleanup(func() { _ = c.Close() })
	e.sweep(t)
	images(t)
	return e
}

// sweep removes what a run that was killed left behind.
func (e *engine) sweep(t *testing.T) {
	t.Helper()
	labelled := client.Filters{}.Add("label", label)
	found, err := e.client.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: labelled})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range found.Items {
		if abandoned(c.Labels) {
			_, _ = e.client.ContainerRemove(t.Context(), c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		}
	}
	images, err := e.client.ImageList(t.Context(), client.ImageListOptions{All: true, Filters: labelled})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images.Items {
		if abandoned(i.Labels) {
			_, _ = e.client.ImageRemove(t.Context(), i.ID, client.ImageRemoveOptions{Force: true})
		}
	}
	networks, err := e.client.NetworkList(t.Context(), client.NetworkListOptions{Filters: labelled})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range networks.Items {
		if abandoned(n.Labels) {
			_, _ = e.client.NetworkRemove(t.Context(), n.ID, client.NetworkRemoveOptions{})
		}
	}
}

// network makes a network that ends with the test.
func (e *engine) network(t *testing.T) string {
	t.Helper()
	n, err := tcnetwork.New(t.Context(), tcnetwork.WithLabels(ours()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Remove(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return n.Name
}

// start runs a container on networks until the end of the test; its name is how the others find it.
func (e *engine) start(t *testing.T, name string, r testcontainers.ContainerRequest) *box {
	t.Helper()
	r.Labels = ours()
	r.NetworkAliases = map[string][]string{}
	for _, n := range r.Networks {
		r.NetworkAliases[n] = []string{name}
	}
	c, err := testcontainers.GenericContainer(t.Context(), testcontainers.GenericContainerRequest{ContainerRequest: r, Started: true})
	b := &box{engine: e, name: name, docker: c}
	if c != nil {
		t.Cleanup(func() { b.remove(t) })
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	e.boxes = append(e.boxes, b)
	return b
}

// lastLines is how much of each log is shown when a test failed.
const lastLines = 40

// remove ends the container; of a test that failed it shows what the container said last.
func (b *box) remove(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	if *logs != "" {
		b.keep(ctx, t)
	}
	if t.Failed() {
		var last []string
		for line := range b.lines(ctx, t) {
			if last = append(last, line); len(last) > 2*lastLines {
				last = slices.Delete(last, 0, lastLines)
			}
		}
		t.Logf("last lines of %s:\n%s", b.name, strings.Join(last[max(0, len(last)-lastLines):], "\n"))
	}
	if _, err := b.engine.client.ContainerRemove(ctx, b.id(), client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
		t.Error(err)
	}
}

// keep writes the container's log to a file.
func (b *box) keep(ctx context.Context, t *testing.T) {
	t.Helper()
	f, err := os.Create(filepath.Join(*logs, t.Name()+"-"+b.name+".log"))
	if err != nil {
		t.Error(err)
		return
	}
	w := bufio.NewWriter(f)
	for line := range b.lines(ctx, t) {
		fmt.Fprintln(w, line)
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Error(err)
	}
}

func (b *box) id() string { return b.docker.GetContainerID() }

// lines are all that the container ever wrote, through all its restarts.
func (b *box) lines(ctx context.Context, t *testing.T) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		log, err := b.docker.Logs(ctx)
		if err != nil {
			t.Errorf("%s: logs: %v", b.name, err)
			return
		}
		defer log.Close()
		s := bufio.NewScanner(log)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			if !yield(s.Text()) {
				return
			}
		}
		if err := s.Err(); err != nil {
			t.Errorf("%s: logs: %v", b.name, err)
		}
	}
}

// address is where this machine reaches a port of the container: host:port. It changes with a restart.
func (b *box) address(t *testing.T, port string) string {
	t.Helper()
	address, err := b.docker.PortEndpoint(t.Context(), port, "")
	if err != nil {
		t.Fatalf("%s: %v", b.name, err)
	}
	return address
}

// kill is kill -9.
func (b *box) kill(t *testing.T) {
	t.Helper()
	if _, err := b.engine.client.ContainerKill(t.Context(), b.id(), client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
		t.Errorf("kill %s: %v", b.name, err)
	}
}

// begin starts the container again after it ended.
func (b *box) begin(t *testing.T) {
	t.Helper()
	if _, err := b.engine.client.ContainerStart(t.Context(), b.id(), client.ContainerStartOptions{}); err != nil {
		t.Errorf("start %s: %v", b.name, err)
	}
}

// stop asks the container to end (SIGTERM), and returns how long it took and its exit code.
func (b *box) stop(t *testing.T, within time.Duration) (took time.Duration, code int) {
	t.Helper()
	seconds, began := int(within.Seconds()), time.Now()
	if _, err := b.engine.client.ContainerStop(t.Context(), b.id(), client.ContainerStopOptions{Timeout: &seconds}); err != nil {
		t.Errorf("stop %s: %v", b.name, err)
	}
	took = time.Since(began)
	state, err := b.docker.State(t.Context())
	if err != nil {
		t.Errorf("stop %s: %v", b.name, err)
		return took, -1
	}
	return took, state.ExitCode
}

// cut takes the container off a network: packets vanish, and nobody is told.
func (b *box) cut(t *testing.T, from string) {
	t.Helper()
	_, err := b.engine.client.NetworkDisconnect(t.Context(), from, client.NetworkDisconnectOptions{Container: b.id(), Force: true})
	if err != nil {
		t.Errorf("cut %s off: %v", b.name, err)
	}
}

// heal puts the container back on a network.
func (b *box) heal(t *testing.T, to string) {
	t.Helper()
	_, err := b.engine.client.NetworkConnect(t.Context(), to, client.NetworkConnectOptions{
		Container: b.id(), EndpointConfig: &network.EndpointSettings{Aliases: []string{b.name}},
	})
	if err != nil {
		t.Errorf("reconnect %s: %v", b.name, err)
	}
}
