package rollback_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/kvledger"
	"forager/pipeline/natstest"
	"forager/pipeline/rollback"
	"forager/pipeline/stream"
)

// site is a server whose store can be put back, and a worker's view of it.
type site struct {
	t        *testing.T
	dir      string
	server   *natstest.Server
	link     *stream.Link
	ledger   *kvledger.Ledger
	topology stream.Topology
	file     string
	watch    *rollback.Watch
	saved    string
	last     uint64 // of the stream, as published
	entries  uint64 // revisions of the ledger, as written
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: filepath.Join(t.TempDir(), "store"), file: filepath.Join(t.TempDir(), "ends.json")}
	server, err := natstest.Start(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
	t.Cleanup(server.Close)
	s.topology = stream.Topology{Stream: "D", Consumer: "c", Subjects: []string{"d.>"}, Manage: true}.WithDefaults()
	s.link, err = stream.Connect(t.Context(), stream.Connection{URLs: []string{server.URL()}, Pause: 10 * time.Millisecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.link.Close)
	if err := stream.Ensure(t.Context(), s.link, s.topology); err != nil {
		t.Fatal(err)
	}
	s.begin()
	return s
}

// begin is a worker that starts.
func (s *site) begin() {
	s.ledger = kvledger.New(s.link, kvledger.Options{})
	s.watch = rollback.New(s.link, s.ledger, rollback.Options{Topology: s.topology, File: s.file, Every: time.Nanosecond})
}

// publish stores messages, and ledger entries.
func (s *site) publish(n int) {
	s.t.Helper()
	for range n {
		ack, err := s.link.JetStream().Publish(s.t.Context(), "d.x", []byte("event"))
		if err != nil {
			s.t.Fatal(err)
		}
		s.last = ack.Sequence
	}
}

// claim writes ledger entries.
func (s *site) claim(n int) {
	s.t.Helper()
	for range n {
		revision, err := s.ledger.Put(s.t.Context(), "key."+strconv.FormatUint(rand.Uint64(), 16), []byte("{}"), 0)
		if err != nil {
			s.t.Fatal(err)
		}
		s.entries = revision
	}
}

// settle settles all that the consumer gives out. What the server says of how much waits may lag after a start of it: what the
// consumer has reached does not.
func (s *site) settle() {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		consumer, err := s.link.JetStream().Consumer(s.t.Context(), "D", "c")
		if err != nil {
			s.t.Fatal(err)
		}
		of, err := s.link.JetStream().Stream(s.t.Context(), "D")
		if err != nil {
			s.t.Fatal(err)
		}
		given, last := consumer.CachedInfo().Delivered.Stream, of.CachedInfo().State.LastSeq
		if given >= last {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("given out up to %d of %d", given, last)
		}
		batch, err := consumer.FetchNoWait(int(s.last))
		if err != nil {
			s.t.Fatal(err)
		}
		s.settleAll(batch)
	}
}

func (s *site) settleAll(batch jetstream.MessageBatch) {
	s.t.Helper()
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			s.t.Fatal(err)
		}
		if err := m.DoubleAck(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		s.watch.Settled(meta.Sequence.Stream, meta.Timestamp)
	}
}

// save keeps the store as it is now.
func (s *site) save() {
	s.t.Helper()
	s.server.Close()
	s.saved = filepath.Join(s.t.TempDir(), strconv.FormatUint(rand.Uint64(), 16))
	if err := os.CopyFS(s.saved, os.DirFS(s.dir)); err != nil {
		s.t.Fatal(err)
	}
	s.restart()
}

// putBack puts back a part of what was saved: "." is all.
func (s *site) putBack(parts ...string) {
	s.t.Helper()
	s.server.Close()
	for _, part := range parts {
		if err := os.RemoveAll(filepath.Join(s.dir, part)); err != nil {
			s.t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(s.dir, part), os.DirFS(filepath.Join(s.saved, part))); err != nil {
			s.t.Fatal(err)
		}
	}
	s.restart()
}

func (s *site) restart() {
	s.t.Helper()
	if err := s.server.Restart(); err != nil {
		s.t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for !s.link.Connected() || s.notThere() {
		if time.Now().After(deadline) {
			s.t.Fatal("no connection")
		}
	}
}

func (s *site) notThere() bool {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	_, err := s.link.JetStream().Stream(ctx, "D")
	return err != nil
}

func (s *site) look() {
	s.t.Helper()
	if err := s.watch.Look(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

const (
	streamStore = "jetstream/$G/streams/D/msgs"
	bucketStore = "jetstream/$G/streams/KV_FORAGER_LEDGER/msgs"
)

// told are the incidents without what the clock decides.
func (s *site) told(from int) (all []string) {
	for _, i := range s.watch.Incidents()[from:] {
		all = append(all, fmt.Sprintf("%s %d-%d (%d) atMost=%v", i.Kind, i.From, i.To, i.Count, i.AtMost))
	}
	return all
}

// TestARollbackIsNamed puts stores back at random moments, and asks whether exactly what is gone is named: by a worker that lived through it,
// and by one that starts after it.
func TestARollbackIsNamed(t *testing.T) {
	t.Parallel()
	rounds := 8
	if n, err := strconv.Atoi(os.Getenv("FORAGER_ROLLBACKS")); err == nil {
		rounds = n
	}
	random := rand.New(rand.NewPCG(20, 1))
	for round := range rounds {
		rollOnce(t, fmt.Sprint("round ", round), random)
	}
}

// rollOnce makes a history with one rollback in it, and judges what is named.
func rollOnce(t *testing.T, name string, random *rand.Rand) {
	t.Helper()
	maybe := func() bool { return random.IntN(2) == 0 }
	s := newSite(t)
	defer s.server.Close()
	defer s.link.Close()
	s.publish(1 + random.IntN(50))
	s.claim(1 + random.IntN(20))
	s.settle()
	if maybe() {
		s.look()
	}
	s.save()
	s.look()
	cut := s.last
	s.publish(1 + random.IntN(40))
	s.settle()
	if maybe() {
		s.look() // writes to the ledger
	}
	s.claim(1 + random.IntN(20))
	part := [][]string{{streamStore}, {bucketStore}, {"."}}[random.IntN(3)]
	restarts := maybe()
	if restarts {
		s.look()
	}
	known := s.last
	s.putBack(part...)
	if restarts {
		s.begin()
	}
	if part[0] != bucketStore && maybe() {
		s.publish(1 + random.IntN(60))
	}
	if maybe() {
		s.settle()
	}
	s.look()
	s.look()
	s.judge(fmt.Sprint(name, ", put back ", part, ", restarts ", restarts), part[0] != bucketStore, part[0] != streamStore, cut, known)
}

// judge holds what was named against what was put back.
func (s *site) judge(name string, stream, ledger bool, cut, known uint64) {
	s.t.Helper()
	var ofStream, ofLedger []string
	for _, told := range s.told(0) {
		if strings.HasPrefix(told, "stream") {
			ofStream = append(ofStream, told)
		} else {
			ofLedger = append(ofLedger, told)
		}
	}
	var want []string
	if stream {
		want = []string{fmt.Sprintf("stream went back %d-%d (%d) atMost=false", cut+1, known, known-cut)}
	}
	if diff := cmp.Diff(want, ofStream); diff != "" {
		s.t.Errorf("%s: stream (-want +got):\n%s", name, diff)
	}
	if (len(ofLedger) == 1) != ledger {
		s.t.Errorf("%s: ledger %v", name, ofLedger)
	}
}
