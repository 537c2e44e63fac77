//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// Times of the workers, shorter than their defaults so that take-overs fit into the test, in the same proportions.
const (
	callTime   = 3 * time.Second
	leaseTime  = 5 * time.Second
	settleTime = 2*callTime + 5*time.Second // what follows from callTime by default
	ackWait    = 10 * time.Second
)

// Names of what JetStream holds; the worker's own defaults.
const (
	streamName   = "DETECTIONS"
	consumerName = "forager"
	lettersName  = "FORAGER_DLQ"
	bucketName   = "FORAGER_LEDGER"
	journalName  = "FORAGER_JOURNAL"
	subject      = "detections.integration"
)

// concurrency is how many calls a worker has in flight.
const concurrency = 8

// site is NATS, TheHive and the networks between.
type site struct {
	*engine
	bus, desk string // networks: of NATS, of TheHive
	nodes     map[string]*box
	hive      *thehive
	stream    jetstream.Stream
	consumer  jetstream.Consumer
	js        jetstream.JetStream
}

// newSite starts a JetStream cluster of three nodes, and TheHive.
func newSite(t *testing.T) *site {
	t.Helper()
	e := newEngine(t)
	s := &site{engine: e, bus: e.network(t), desk: e.network(t), nodes: map[string]*box{}}
	for _, name := range []string{"n1", "n2", "n3"} {
		s.nodes[name] = e.start(t, name, testcontainers.ContainerRequest{
			Image: natsProgram.image(), Networks: []string{s.bus}, ExposedPorts: []string{"4222/tcp"},
			Cmd: []string{
				"--name", name, "-js", "-sd", "/data", "--cluster_name", "forager", "--cluster", "nats://0.0.0.0:6222",
				"--routes", "nats://n1:6222,nats://n2:6222,nats://n3:6222",
			},
		})
	}
	sim := e.start(t, "thehive", testcontainers.ContainerRequest{
		Image: workerProgram.image(), Networks: []string{s.desk}, ExposedPorts: []string{"9000/tcp"},
		Cmd:        []string{"simulate", "--addr", "0.0.0.0:9000", "--latency", hiveLatency.String()},
		WaitingFor: wait.ForHTTP("/_sim/stats").WithPort("9000/tcp").WithStartupTimeout(time.Minute),
	})
	s.hive = newTheHive("http://" + sim.address(t, "9000/tcp"))
	s.connect(t)
	s.create(t)
	return s
}

// worker starts a worker on both networks.
func (s *site) worker(t *testing.T, name string) *box {
	t.Helper()
	return s.start(t, name, testcontainers.ContainerRequest{
		Image: workerProgram.image(), Networks: []string{s.bus, s.desk}, Cmd: []string{"run"},
		Env: map[string]string{
			"FORAGER_NATS_URL":         "nats://n1:4222,nats://n2:4222,nats://n3:4222",
			"FORAGER_NATS_ACK_WAIT":    ackWait.String(),
			"FORAGER_HIVE_URL":         "http://thehive:9000",
			"FORAGER_HIVE_API_KEY":     "simulated",
			"FORAGER_HIVE_TIMEOUT":     callTime.String(),
			"FORAGER_HIVE_CONCURRENCY": fmt.Sprint(concurrency),
			"FORAGER_LEDGER_LEASE":     leaseTime.String(),
			"FORAGER_JOURNAL_STREAM":   journalName,
		},
	})
}

// connect reaches the cluster from this machine, through any of its nodes.
func (s *site) connect(t *testing.T) {
	t.Helper()
	urls, nodes := "", finder{}
	for _, node := range s.nodes {
		at := fmt.Sprintf("127.0.0.1:%d", 1+len(nodes))
		urls, nodes[at] = urls+",nats://"+at, node
	}
	nc, err := nats.Connect(urls[1:], nats.SetCustomDialer(nodes), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.ReconnectWait(200*time.Millisecond),
		nats.IgnoreDiscoveredServers()) // the addresses that the nodes know of each other are none of this machine
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	s.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
}

// finder dials nodes at where they are now: a node that was started again is at another port. Its keys stand for them.
type finder map[string]*box

// Dial finds out where the node is, and connects to it.
func (f finder) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	now, err := f[address].docker.PortEndpoint(ctx, "4222/tcp", "")
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, network, now)
}

// create makes what the workers find: streams, consumer and ledger, three copies of each.
func (s *site) create(t *testing.T) {
	t.Helper()
	s.retry(t, "create the stream", func(ctx context.Context) (err error) {
		s.stream, err = s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: streamName, Subjects: []string{"detections.>"}, Replicas: 3})
		return err
	})
	s.retry(t, "create the dead-letter stream", func(ctx context.Context) error {
		_, err := s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: lettersName, Subjects: []string{"forager.dlq.>"}, Discard: jetstream.DiscardNew, AllowDirect: true, Replicas: 3,
		})
		return err
	})
	s.retry(t, "create the journal", func(ctx context.Context) error {
		_, err := s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: journalName, Subjects: []string{"forager.journal." + streamName + ".>"}, Replicas: 3})
		return err
	})
	s.retry(t, "create the consumer", func(ctx context.Context) (err error) {
		s.consumer, err = s.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1,
			MaxAckPending: 4 * 3 * 64 * concurrency,
		})
		return err
	})
	s.retry(t, "create the ledger", func(ctx context.Context) error {
		kv, err := s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucketName, History: 1, Replicas: 3})
		if err != nil {
			return err
		}
		// Nothing was consumed before: the workers need not wait until the bucket is old enough to be trusted.
		_, err = kv.Put(ctx, "born", []byte(`{"v":1}`))
		return err
	})
}

// retry tries for a minute: a cluster that has just begun elects leaders first.
func (s *site) retry(t *testing.T, doing string, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last error
	if !until(ctx, 200*time.Millisecond, func() bool {
		once, cancel := context.WithTimeout(ctx, 3*time.Second) // while there is no leader, nobody answers
		defer cancel()
		last = try(once)
		return last == nil
	}) {
		t.Fatalf("%s: %v", doing, last)
	}
}

// errNoLeader says that a stream has no leader at this moment.
var errNoLeader = errors.New("no leader")

// leader is the node that leads the stream of detections.
func (s *site) leader(t *testing.T) *box {
	t.Helper()
	var node *box
	s.retry(t, "find the leader", func(ctx context.Context) error {
		info, err := s.stream.Info(ctx)
		if err != nil {
			return err
		}
		if info.Cluster == nil || s.nodes[info.Cluster.Leader] == nil {
			return errNoLeader
		}
		node = s.nodes[info.Cluster.Leader]
		return nil
	})
	return node
}

// drained waits until every message is settled, and tells whether it is.
func (s *site) drained(ctx context.Context, messages uint64) (bool, *jetstream.ConsumerInfo) {
	var info *jetstream.ConsumerInfo
	done := until(ctx, 500*time.Millisecond, func() bool {
		once, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		got, err := s.consumer.Info(once)
		if err != nil {
			return false
		}
		info = got
		return got.NumPending == 0 && got.NumAckPending == 0 && got.AckFloor.Stream >= messages
	})
	return done, info
}

// letters is how many dead letters there are.
func (s *site) letters(t *testing.T) (n uint64) {
	t.Helper()
	s.retry(t, "count dead letters", func(ctx context.Context) error {
		stream, err := s.js.Stream(ctx, lettersName)
		if err != nil {
			return err
		}
		n = stream.CachedInfo().State.Msgs
		return nil
	})
	return n
}

// until looks now and then whether something is so, as long as ctx lasts.
func until(ctx context.Context, every time.Duration, so func() bool) bool {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// pass lets time go by.
func pass(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
