//go:build bench && linux

package bench

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/pool"

	"forager/retry"
)

var soaked = flag.Int("soaked", 100_000, "events that go through the intake while everything is killed")

// kills is how often something is killed while events come: the intake, NATS and the worker in turn.
const kills = 12

// TestIntakeLosesNothing lets events through the intake while it, NATS and the worker are killed in turn (kill -9), each
// started again at once. A sender sends again until it hears 202, as its forwarder would. What was answered with 202 is in the stream once, and
// in TheHive once.
func TestIntakeLosesNothing(t *testing.T) {
	built := build(t)
	s := newScene(t, built, manners{})
	dir, port := t.TempDir(), freePort(t)
	s.natsURL = "nats://" + port
	_, portText, _ := net.SplitHostPort(port)
	serve := func() *process {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		p, out := spawn(t, []string{natsDirectory + "=" + dir, natsPort + "=" + portText}, self)
		if _, err := out.ReadString('\n'); err != nil {
			t.Fatalf("start NATS: %v\n%s", err, p.tail())
		}
		return p
	}
	stopped := serve()
	s.reach(t)
	s.work(t, built, 1, inFlight)
	addr, ops := freePort(t), freePort(t)
	intake := func() *process {
		p, _ := spawn(t, intakeEnv(s.natsURL, addr, ops), built.worker, "intake")
		return p
	}
	k := &killer{t: t, of: []victim{
		{"intake", intake(), intake},
		{"NATS", stopped, serve},
		{"worker", s.workers[0], func() *process { s.workers = nil; s.work(t, built, 1, inFlight); return s.workers[0] }},
	}}
	due := make(chan struct{}, kills)
	var killing conc.WaitGroup
	killing.Go(func() { k.run(due) })
	vain := s.soak(t, addr, due)
	close(due)
	killing.Wait()
	t.Logf("%d events answered with 202, %d tries in vain, killed %v", *soaked, vain, k.killed)
	s.judgeSoak(t)
}

// reach connects to the server of this test.
func (s *scene) reach(t *testing.T) {
	t.Helper()
	var err error
	if s.nc, err = nats.Connect(s.natsURL, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.nc.Close)
	if s.js, err = jetstream.New(s.nc); err != nil {
		t.Fatal(err)
	}
}

// victim is what is killed and started again.
type victim struct {
	name  string
	now   *process
	start func() *process
}

type killer struct {
	t      *testing.T
	of     []victim
	killed []string
}

func (k *killer) run(due <-chan struct{}) {
	for range due {
		v := &k.of[len(k.killed)%len(k.of)]
		v.now.kill()
		v.now = v.start()
		k.killed = append(k.killed, v.name)
	}
}

// soak sends every event until it is answered with 202, and tells how many tries were in vain. Now and then a kill is due.
func (s *scene) soak(t *testing.T, addr string, due chan<- struct{}) int64 {
	t.Helper()
	at := time.Now().UTC().Truncate(24 * time.Hour)
	senders := pool.New()
	var vain, stored atomic.Int64
	step := int64(*soaked/(kills+1) + 1)
	for n := range intakeSenders {
		senders.Go(func() {
			var send sender
			for i := n; i < *soaked; i += intakeSenders {
				body := detectionOf(i, 200, at)
				for {
					if send == nil {
						send = open(t.Context(), addr)
					}
					if send != nil {
						if send(body) == nil {
							if stored.Add(1)%step == 0 {
								due <- struct{}{}
							}
							break
						}
						send = nil
					}
					vain.Add(1)
					retry.Wait(t.Context(), 20*time.Millisecond+rand.N(30*time.Millisecond)) // as a forwarder does
				}
			}
		})
	}
	senders.Wait()
	return vain.Load()
}

// open gives a sender on a new connection; nil while there is nobody.
func open(ctx context.Context, addr string) sender {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil
	}
	return writer(conn)
}

// judgeSoak waits until the worker has settled everything, and counts.
func (s *scene) judgeSoak(t *testing.T) {
	t.Helper()
	until(t, 5*time.Minute, "everything is settled", func() bool {
		c, err := s.js.Consumer(t.Context(), streamName, consumerName)
		if err != nil {
			return false
		}
		info := c.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0
	})
	seen := s.stored(t)
	if len(seen) != *soaked {
		t.Errorf("%d events in the stream, want %d: some were answered with 202 and are lost", len(seen), *soaked)
	}
	twice := 0
	for _, n := range seen {
		twice += n - 1
	}
	stats := s.stats(t)
	t.Logf("in the stream %d events, %d of them twice; TheHive: %d cases, %+v twice", len(seen), twice, stats.Cases, stats.Duplicates)
	if twice != 0 || stats.Duplicates.Total() != 0 || stats.Cases != 200 || s.letters(t) != 0 {
		t.Errorf("doubled: %d in the stream, %+v in TheHive; %d cases, want 200; %d dead letters", twice, stats.Duplicates, stats.Cases, s.letters(t))
	}
}

// stored counts how often the stream holds each event.
func (s *scene) stored(t *testing.T) map[string]int {
	t.Helper()
	c, err := s.js.OrderedConsumer(t.Context(), streamName, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.js.Stream(t.Context(), streamName)
	if err != nil {
		t.Fatal(err)
	}
	seen, left := map[string]int{}, int(held.CachedInfo().State.Msgs)
	for left > 0 {
		batch, err := c.Fetch(min(left, 1000))
		if err != nil {
			t.Fatal(err)
		}
		for msg := range batch.Messages() {
			var e struct{ ID string }
			if err := json.Unmarshal(msg.Data(), &e); err != nil || !strings.HasPrefix(e.ID, "bench-") {
				t.Fatal(fmt.Errorf("%w: %s", err, msg.Data()))
			}
			seen[e.ID]++
			left--
		}
	}
	return seen
}
