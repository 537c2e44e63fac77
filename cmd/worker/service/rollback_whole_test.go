package service

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"forager/cmd/worker/workertest"
	"forager/hive/hivetest"
	"forager/pipeline"
	"forager/pipeline/natstest"
	"forager/pipeline/rollback"
)

// TestARollbackDoublesNothing puts the store of the stream, or of stream and ledger, back under a worker at
// random moments, as a power failure does. The worker names what is gone, exactly and within its looks; when senders send it
// again, all of it is in its case, and nothing twice. FORAGER_ROLLBACKS is the number of rollbacks.
func TestARollbackDoublesNothing(t *testing.T) {
	t.Parallel()
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv("FORAGER_ROLLBACKS")); err == nil {
		rounds = n
	}
	for round := range rounds {
		t.Run(strconv.Itoa(round), func(t *testing.T) { rollBack(t, rand.New(rand.NewPCG(7, uint64(round))), round%2 == 1) })
	}
}

// connected tells whether both the worker and the forwarder are connected.
func (c *crossing) connected() bool {
	return c.service.Link.Connected() && c.forward.JetStream.Conn().IsConnected()
}

func rollBack(t *testing.T, random *rand.Rand, both bool) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	nats, err := natstest.Start(dir)
	workertest.Must(t, err)
	t.Cleanup(nats.Close)
	c := newCrossingOn(t, nats, 3)
	send := func(n int) {
		for range n {
			c.send(fmt.Sprint("host-", random.IntN(3)), "", false)
		}
		c.ended()
	}
	send(1 + random.IntN(20))
	workertest.Must(t, c.service.rollbacks.Look(t.Context()))
	cut := c.sent[len(c.sent)-1].Sequence
	saved := t.TempDir()
	nats.Close()
	workertest.Must(t, os.CopyFS(saved, os.DirFS(dir)))
	workertest.Must(t, nats.Restart())
	c.wait("NATS", c.connected)
	from := len(c.sent)
	send(1 + random.IntN(30))
	known := c.sent[len(c.sent)-1].Sequence
	nats.Close()
	part := "jetstream/$G/streams/DEMO/msgs"
	if both {
		part = "."
	}
	workertest.Must(t, os.RemoveAll(filepath.Join(dir, part)))
	workertest.Must(t, os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(saved, part))))
	workertest.Must(t, nats.Restart())
	c.wait("NATS", c.connected)
	named := c.streamBack
	back := time.Now()
	c.wait("the rollback to be named", func() bool { return named().Count > 0 })
	t.Logf("named %s after NATS was back", time.Since(back).Round(time.Millisecond))
	if got := named(); got.From != cut+1 || got.To != known || got.Count != known-cut {
		t.Errorf("named %d to %d (%d), want %d to %d", got.From, got.To, got.Count, cut+1, known)
	}
	ledger := slices.ContainsFunc(c.service.rollbacks.Stands(), func(i rollback.Incident) bool { return i.Kind == rollback.LedgerBack })
	if ledger != both {
		t.Errorf("ledger named %v, went back %v", ledger, both)
	}
	again(c, from)
	if got := c.hive.Stats(hivetest.DefaultWindow).Duplicates; got.Total() != 0 {
		t.Errorf("doubled: %+v", got)
	}
	cases := c.hive.Snapshot().Cases
	for _, d := range c.sent {
		if !slices.ContainsFunc(cases, d.IsIn) {
			t.Errorf("%s is in no case", d.ID)
		}
	}
}

// streamBack is what the worker says of the stream; nothing is an empty one.
func (c *crossing) streamBack() (got rollback.Incident) {
	for _, i := range c.service.rollbacks.Stands() {
		if i.Kind == rollback.StreamBack {
			return i
		}
	}
	return got
}

// again sends the same events again from one on, under the sequences that the stream gives them now.
func again(c *crossing, from int) {
	lost := c.sent[from:]
	c.mu.Lock()
	clear(c.ends)
	c.mu.Unlock()
	c.sent = slices.Clone(c.sent[:from])
	for _, d := range lost {
		c.send(d.Host, "", false)
	}
	renewed := c.sent[from:]
	c.wait("the end of what was sent again", func() bool { return c.endedOf(renewed) })
}

var _ pipeline.Observer = settling{}
