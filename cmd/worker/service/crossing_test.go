package service

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sourcegraph/conc"
	"go.uber.org/zap"

	"forager/cmd/worker/demo/servers"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/workertest"
	"forager/config"
	"forager/hive/hivetest"
	"forager/mitre"
	"forager/pipeline"
	"forager/pipeline/deadletter"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
	"forager/retry"
)

// crossing is a worker with a middle box between it and TheHive, and what became of its messages.
type crossing struct {
	t       testing.TB
	hive    *hivetest.Hive
	box     *workertest.Middlebox
	service *Service
	forward *servers.Forwarder
	sent    []workertest.Sent

	mu    sync.Mutex
	ends  map[uint64][]pipeline.Settlement // by sequence, those that ended a message
	naks  map[uint64]pipeline.Settlement   // the last of each message
	gates []string
}

// The limits of a history: a message gives up after so many tries and so long a time. A box that
// goes away has answered fewer calls by then, so that nobody gives up because of it.
const (
	boxTries  = 10
	boxAge    = 1500 * time.Millisecond
	boxTimes  = 8
	boxSettle = 150 * time.Millisecond
)

// Settled notes what became of a message.
func (c *crossing) Settled(s pipeline.Settlement) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Action == pipeline.ActionNak {
		c.naks[s.Sequence] = s
		return
	}
	c.ends[s.Sequence] = append(c.ends[s.Sequence], s)
}

// Gate notes why the gate closed.
func (c *crossing) Gate(_ bool, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gates = append(c.gates, reason)
}

// Noticed hears nothing.
func (c *crossing) Noticed(string) {}

// newCrossing starts everything; the worker runs until the test ends.
func newCrossing(t testing.TB, seed uint64, env ...string) *crossing {
	t.Helper()
	nats, err := natstest.Start(t.TempDir())
	workertest.Must(t, err)
	t.Cleanup(nats.Close)
	return newCrossingOn(t, nats, seed, env...)
}

// newCrossingOn starts everything but NATS.
func newCrossingOn(t testing.TB, nats *natstest.Server, seed uint64, env ...string) *crossing {
	t.Helper()
	c := &crossing{t: t, ends: map[uint64][]pipeline.Settlement{}, naks: map[uint64]pipeline.Settlement{}}
	c.hive = hivetest.New(hivetest.Options{Patterns: servers.Patterns(mitre.Embedded())})
	server, err := hivetest.Listen("127.0.0.1:0", c.hive)
	workertest.Must(t, err)
	t.Cleanup(func() { _ = server.Close() })
	c.box = workertest.NewMiddlebox(t, server.URL(), seed)
	c.forward, err = servers.NewForwarder(nats.URL())
	workertest.Must(t, err)
	t.Cleanup(c.forward.Close)
	c.open(nats.URL(), env)
	return c
}

// open starts the worker as run does, with pauses that a test can wait for.
func (c *crossing) open(nats string, env []string) {
	c.t.Helper()
	cfg, err := config.Load(config.Source{
		Env: append(servers.Config(nats, c.box.URL), env...), ReadFile: os.ReadFile, Connects: []string{config.ToNATS, config.ToHive},
	})
	workertest.Must(c.t, err)
	cfg.Hive.Settle = boxSettle // TheHive on this machine has committed before its answer is lost
	options := PipelineOptions(cfg, zap.NewNop())
	options.Observer = c
	options.Settle = workertest.Patience // how long TheHive may take to say that it is well
	short := retry.Backoff{First: 10 * time.Millisecond, Last: 60 * time.Millisecond}
	options.Policy = pipeline.Policy{MaxTries: boxTries, MaxAge: boxAge, Transient: short, Throttled: short, Blocked: short, Probe: short}
	ctx, stop := context.WithCancel(c.t.Context())
	c.service, err = New(ctx, cfg, rulefiles.NewWitness(), options)
	workertest.Must(c.t, err)
	workertest.Must(c.t, stream.Ensure(ctx, c.service.Link, options.Streams()))
	var running conc.WaitGroup
	running.Go(func() { _ = c.service.Run(ctx) })
	c.t.Cleanup(func() { stop(); running.Wait(); c.service.Close() })
	c.wait("the worker", func() bool { ok, _ := c.service.Ready(); return ok })
}

// send publishes a detection of a host, with a value of its own; a text besides is in its title and
// in an observable.
func (c *crossing) send(host, text string, refused bool) {
	c.t.Helper()
	c.publish(host, host, text, refused, time.Date(2026, 3, 2, 8, len(c.sent), 0, 0, time.UTC))
}

// sendAt publishes a detection of a host and a time.
func (c *crossing) sendAt(host string, at time.Time) {
	c.t.Helper()
	c.publish(host, host, "", false, at)
}

// publishAs publishes a detection of a sender that has several hosts.
func (c *crossing) publishAs(sender, host string, at time.Time) {
	c.t.Helper()
	c.publish(sender, host, "", false, at)
}

func (c *crossing) publish(sender, host, text string, refused bool, at time.Time) {
	c.t.Helper()
	n := len(c.sent)
	d := workertest.Sent{
		ID: fmt.Sprintf("%s-%d", host, n), Host: host, Refused: refused, Value: fmt.Sprintf("198.51.%d.%d", n/250, n%250),
		Technique: []string{"T1110", "T1059", "T1105", "T1486", "T1003"}[n%5],
	}
	title, observables := "Something was seen", []map[string]any{{"dataType": "ip", "data": d.Value}}
	if text != "" {
		title = "Seen: " + text
		observables = append(observables, map[string]any{"dataType": "other", "data": text})
	}
	body, err := json.Marshal(map[string]any{
		"schema": "forager.detection/v1", "id": d.ID, "time": at.Format(time.RFC3339), "title": title, "severity": 1 + n%4,
		"host": host, "rule": map[string]string{"id": fmt.Sprint("r", n%3)}, "techniques": []string{d.Technique}, "observables": observables,
	})
	workertest.Must(c.t, err)
	d.Sequence = c.raw("demo."+sender, body)
	c.sent = append(c.sent, d)
}

// raw publishes bytes, and gives their sequence.
func (c *crossing) raw(subject string, body []byte) uint64 {
	c.t.Helper()
	confirm, err := c.forward.Send(subject, body)
	workertest.Must(c.t, err)
	sequence, err := confirm(c.t.Context())
	workertest.Must(c.t, err)
	return sequence
}

// analyst changes a case as a person would, past every box.
func (c *crossing) analyst(number int64, body string) {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), http.MethodPatch, fmt.Sprintf("/api/v1/case/%d", number), strings.NewReader(body))
	r.Header = http.Header{"Authorization": {"Bearer " + hivetest.DefaultAPIKey}, "Content-Type": {"application/json"}}
	answer := httptest.NewRecorder()
	c.hive.ServeHTTP(answer, r)
	if answer.Code >= http.StatusMultipleChoices {
		c.t.Fatalf("%d %s", answer.Code, answer.Body)
	}
}

// wait looks until something holds that is certain to come, as long as messages end, or TheHive
// holds more, now and then: a thousand messages of one key end together.
func (c *crossing) wait(what string, holds func() bool) {
	c.t.Helper()
	late := time.NewTimer(workertest.Patience)
	defer late.Stop()
	tick := time.NewTicker(workertest.BoxPause)
	defer tick.Stop()
	for before, held := 0, 0; !holds(); {
		select {
		case <-tick.C:
			c.mu.Lock()
			if now := len(c.ends); now > before {
				before = now
				late.Reset(workertest.Patience)
			}
			c.mu.Unlock()
		case <-late.C:
			if now := c.held(); now > held {
				held = now
				late.Reset(workertest.Patience)
				continue
			}
			_, reasons := c.service.Ready()
			c.t.Fatalf("waited in vain for %s: %q, gates %q%s", what, reasons, c.gates, c.waiting())
		}
	}
}

// held is how much TheHive holds.
func (c *crossing) held() int {
	s := c.hive.Stats(0)
	return s.Cases + s.Observables + s.Procedures + s.Comments
}

// waiting says what has not ended, and why.
func (c *crossing) waiting() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, d := range c.sent {
		if len(c.ends[d.Sequence]) == 0 {
			s := c.naks[d.Sequence]
			fmt.Fprintf(&b, "\n%s: %d deliveries, %d tries: %s: %v", d.ID, s.Deliveries, s.Tries, s.Class, s.Err)
		}
	}
	return b.String()
}

// ended waits until every message has its end.
func (c *crossing) ended() {
	c.t.Helper()
	c.wait("the end of all messages", func() bool { return c.endedOf(c.sent) })
}

// endedOf tells whether these have their end.
func (c *crossing) endedOf(all []workertest.Sent) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !slices.ContainsFunc(all, func(d workertest.Sent) bool { return len(c.ends[d.Sequence]) == 0 })
}

// judge holds the end against the promises: whatever is acknowledged is in its case, once; what is
// not is a dead letter that holds the first line of an answer; and only what a box refuses for ever
// may be one. It gives the number of dead letters.
func (c *crossing) judge(says ...string) (dead int) {
	c.t.Helper()
	letters, cases := c.letters(), c.hive.Snapshot().Cases
	for _, d := range c.sent {
		c.judgeOne(d, cases, letters[d.Sequence], says)
	}
	if got := c.hive.Stats(hivetest.DefaultWindow).Duplicates; got.Total() != 0 {
		c.t.Errorf("doubled: %+v", got)
	}
	return len(letters)
}

func (c *crossing) judgeOne(d workertest.Sent, cases []hivetest.Case, letter *deadletter.Message, says []string) {
	c.t.Helper()
	c.mu.Lock()
	end := c.ends[d.Sequence][0]
	c.mu.Unlock()
	switch {
	case len(end.Dropped) > 0:
		c.t.Errorf("%s was dropped: %q", d.ID, end.Dropped)
	case end.Action == pipeline.ActionAck && letter != nil:
		c.t.Errorf("%s is acknowledged and a dead letter: %s", d.ID, letter.Detail)
	case end.Action == pipeline.ActionAck:
		if !slices.ContainsFunc(cases, d.IsIn) {
			c.t.Errorf("%s is acknowledged, and is in no case as it should be", d.ID)
		}
	case !d.Refused:
		c.t.Errorf("%s is a dead letter, and no box refuses it for ever: %v", d.ID, end.Err)
	case letter == nil:
		c.t.Errorf("%s has no dead letter", d.ID)
	case !slices.ContainsFunc(says, func(line string) bool { return strings.Contains(letter.Detail, line) }):
		c.t.Errorf("%s: the letter says %q, want one of %q", d.ID, letter.Detail, says)
	}
}

// letters are the dead letters, by the sequence of their message.
func (c *crossing) letters() map[uint64]*deadletter.Message {
	c.t.Helper()
	all := map[uint64]*deadletter.Message{}
	for letter, err := range deadletter.Open(c.service.Link, "").List(c.t.Context(), deadletter.Filter{}) {
		workertest.Must(c.t, err)
		if all[letter.Sequence] != nil {
			c.t.Errorf("message %d has two dead letters", letter.Sequence)
		}
		all[letter.Sequence] = &letter
	}
	return all
}
