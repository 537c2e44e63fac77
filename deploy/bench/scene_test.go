//go:build bench && linux

package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/hive/hivetest"
)

// scene is where one row is measured: a NATS server, a simulated TheHive, and workers.
type scene struct {
	nats, hive *process
	workers    []*process
	natsURL    string
	hiveURL    string
	routes     string // of the workers, as YAML; empty: none
	nc         *nats.Conn
	js         jetstream.JetStream
}

// manners are how the simulator behaves.
type manners struct {
	Latency      time.Duration `json:"latency"`
	RefuseWrites float64       `json:"refuseWrites"`
	Ambiguous    float64       `json:"ambiguous"`
	Lag          time.Duration `json:"lag"` // of the search
}

// newScene starts everything but workers.
func newScene(t *testing.T, built programs, m manners) *scene {
	t.Helper()
	s := &scene{}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	natsProcess, out := spawn(t, []string{natsDirectory + "=" + t.TempDir()}, self)
	s.nats = natsProcess
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("start NATS: %v\n%s", err, s.nats.tail())
	}
	s.natsURL = strings.TrimSpace(line)
	if s.nc, err = nats.Connect(s.natsURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.nc.Close)
	if s.js, err = jetstream.New(s.nc, jetstream.WithPublishAsyncMaxPending(1024)); err != nil {
		t.Fatal(err)
	}
	addr := freePort(t)
	s.hiveURL = "http://" + addr
	s.hive, _ = spawn(t, nil, built.simulator, "simulate", "--addr", addr, "--latency", m.Latency.String())
	until(t, 20*time.Second, "the simulator answers", func() bool { return answers(t.Context(), s.hiveURL+"/_sim/stats") })
	s.misbehave(t, m)
	return s
}

// misbehave tells the simulator its manners.
func (s *scene) misbehave(t *testing.T, m manners) {
	t.Helper()
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.hiveURL+"/_sim/misbehave", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the simulator refuses %s: %s", body, resp.Status)
	}
}

// stats are the simulator's numbers.
func (s *scene) stats(t *testing.T) (all hivetest.Stats) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.hiveURL+"/_sim/stats", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// Names of the default configuration.
const (
	streamName   = "DETECTIONS"
	consumerName = "forager"
	lettersName  = "FORAGER_DLQ"
	subject      = "detections.bench"
)

// work starts workers and waits until they are ready: they have made the stream, know TheHive's
// techniques, and wait for messages.
func (s *scene) work(t *testing.T, built programs, replicas, calls int) {
	t.Helper()
	for n := range replicas {
		p, ops := s.start(t, built.worker, calls, n == 0)
		if !eventually(t, 20*time.Second, func() bool { return answers(t.Context(), "http://"+ops+"/readyz") }) {
			t.Fatalf("worker is not ready\n%s", p.tail())
		}
	}
}

// start starts a worker, and gives the address of its operations server.
func (s *scene) start(t *testing.T, program string, calls int, first bool) (*process, string) {
	t.Helper()
	ops := freePort(t)
	env := []string{
		"FORAGER_NATS_URL=" + s.natsURL, "FORAGER_NATS_MANAGE=true",
		"FORAGER_HIVE_URL=" + s.hiveURL, "FORAGER_HIVE_API_KEY=" + hivetest.DefaultAPIKey,
		fmt.Sprintf("FORAGER_HIVE_CONCURRENCY=%d", calls), "FORAGER_OPS_ADDR=" + ops,
	}
	if *profiles != "" && first {
		env = append(env, "BENCH_PROFILE="+profileName(t))
		if *traces {
			env = append(env, "BENCH_TRACE=yes")
		}
	}
	args := []string{"run"}
	if s.routes != "" {
		name := filepath.Join(t.TempDir(), "forager.yaml")
		if err := os.WriteFile(name, []byte("routes:\n"+s.routes), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", name)
	}
	p, _ := spawn(t, env, program, args...)
	s.workers = append(s.workers, p)
	return p, ops
}

// hold pauses the consumer, so that a backlog can grow.
func (s *scene) hold(t *testing.T) {
	t.Helper()
	if _, err := s.js.PauseConsumer(t.Context(), streamName, consumerName, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
}

// release lets the backlog go, and tells when it went: a moment at which nothing was delivered yet.
// A server that resumes a consumer does not look at the pulls that wait until their next heartbeat,
// two seconds later; that is neither the worker's time nor TheHive's.
func (s *scene) release(t *testing.T) (began time.Time) {
	t.Helper()
	began = time.Now()
	if _, err := s.js.ResumeConsumer(t.Context(), streamName, consumerName); err != nil {
		t.Fatal(err)
	}
	until(t, patience, "the first delivery", func() bool {
		asked := time.Now()
		c, err := s.js.Consumer(t.Context(), streamName, consumerName)
		if err != nil {
			t.Fatal(err)
		}
		if c.CachedInfo().Delivered.Consumer > 0 {
			return true
		}
		began = asked
		return false
	})
	return began
}

// left is how many messages are not settled.
func (s *scene) left(t *testing.T) int {
	t.Helper()
	c, err := s.js.Consumer(t.Context(), streamName, consumerName)
	if err != nil {
		t.Fatal(err)
	}
	info := c.CachedInfo()
	return int(info.NumPending) + info.NumAckPending
}

// letters is how many dead letters there are.
func (s *scene) letters(t *testing.T) int {
	t.Helper()
	stream, err := s.js.Stream(t.Context(), lettersName)
	if err != nil {
		t.Fatal(err)
	}
	return int(stream.CachedInfo().State.Msgs)
}

// used is what workers, NATS and simulator have had of the processor.
func (s *scene) used(t *testing.T) (all usage) {
	t.Helper()
	for _, w := range s.workers {
		all.workers += w.processor(t)
	}
	all.nats, all.hive = s.nats.processor(t), s.hive.processor(t)
	return all
}

// profileName is where the profile of a row is written.
func profileName(t *testing.T) string {
	t.Helper()
	return filepath.Join(*profiles, strings.ReplaceAll(t.Name(), "/", "_")+".pprof")
}

// profile begins or ends the profile of the first worker, where profiles are wanted.
func (s *scene) profile(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if *profiles == "" || len(s.workers) == 0 {
		return
	}
	if err := s.workers[0].cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	if signal == syscall.SIGUSR2 {
		until(t, 10*time.Second, "the profile is written", func() bool {
			_, err := os.Stat(profileName(t))
			return !errors.Is(err, os.ErrNotExist)
		})
	}
}
