package demo

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/workertest"
	"forager/config"
	"forager/hive/hivetest"
)

// TestMain is the second replica, too: the demonstration starts its own program as "run".
func TestMain(m *testing.M) {
	as := map[string]func() error{"run": replicaOfATest, "parent": parentOfATest, "child": childOfATest}
	if len(os.Args) == 2 && as[os.Args[1]] != nil {
		if err := as[os.Args[1]](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	m.Run()
}

// replicaOfATest does what "worker run" does.
func replicaOfATest() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := config.Load(config.Source{Env: os.Environ(), Connects: []string{config.ToNATS, config.ToHive}})
	if err != nil {
		return err
	}
	s, err := service.New(ctx, c, rulefiles.NewWitness(), service.PipelineOptions(c, zap.NewNop()))
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Serve(ctx, c)
}

// play is a demonstration that goes on event by event, and in which what goes wrong lasts until the test has seen it.
type play struct {
	*stage

	t      *testing.T
	done   chan struct{}                   // an event, with all that belongs to it
	steps  chan struct{}                   // lets the next go
	events int                             // that are done
	lasts  map[time.Duration]chan struct{} // closed: it is over
	said   said
}

// said collects what the demonstration says.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func newPlay(t *testing.T, how *demoCmd) *play {
	t.Helper()
	p := &play{t: t, done: make(chan struct{}), steps: make(chan struct{}), lasts: map[time.Duration]chan struct{}{outageFor: make(chan struct{}), deadFor: make(chan struct{})}}
	sh := &shell.Shell{In: strings.NewReader(""), Out: t.Output(), Err: shell.NewPrinter(&p.said), Env: os.Environ()}
	s, err := newStage(t.Context(), sh, how)
	if err != nil {
		t.Fatal(err)
	}
	p.stage = s
	s.pause = func(ctx context.Context, long time.Duration) {
		over, stays := p.lasts[long]
		if !stays {
			over = p.steps
			select {
			case p.done <- struct{}{}:
			case <-ctx.Done():
			}
		}
		select {
		case <-over:
		case <-ctx.Done():
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(func() {
		stop()
		workertest.Must(t, s.Close())
	})
	s.running.Go("stream", func() { s.goOn(ctx, sh, how) })
	return p
}

// to lets the stream go on until its event of this number was sent, and what belongs to it has begun.
func (p *play) to(at int) {
	p.t.Helper()
	for ; p.events <= at; p.events++ {
		if p.events > 0 {
			select {
			case p.steps <- struct{}{}:
			case <-p.t.Context().Done():
				p.t.Fatal("the stream does not go on")
			}
		}
		select {
		case <-p.done:
		case <-p.t.Context().Done():
			p.t.Fatal("the stream does not go on")
		}
	}
}

// shows waits until the page has, or has no more, what it is to have.
func (p *play) shows(pages func() string, want bool, words ...string) {
	p.t.Helper()
	home := ""
	for _, w := range words {
		workertest.Eventually(p.t, fmt.Sprintf("%q on the page: %t", w, want), func() bool {
			home = pages()
			return strings.Contains(home, w) == want
		}, func() string { return home })
	}
}

// drained waits until the stream has nothing that is not settled.
func (p *play) drained() {
	p.t.Helper()
	workertest.Eventually(p.t, "everything settled", func() bool {
		waiting, unanswered := p.behind()
		return waiting == 0 && unanswered == 0
	}, p.stands)
}

// stands says how things stand, for a test that waits in vain.
func (p *play) stands() string {
	waiting, unanswered := p.behind()
	held, _ := p.service.Held()
	_, reasons := p.service.Ready()
	return fmt.Sprintf("%d wait, %d are not settled, of these %d here (%v); it said %s", waiting, unanswered, held, reasons, p.said.String())
}

func (p *play) behind() (waiting uint64, unanswered int) {
	c, err := p.forward.JetStream.Consumer(p.t.Context(), "DEMO", "demo")
	if err != nil {
		return 1, 1
	}
	info := c.CachedInfo()
	return info.NumPending, info.NumAckPending
}

// held keeps calls at TheHive from being answered until they are let go.
func (p *play) held(route string) (free func()) {
	over := make(chan struct{})
	remove := p.hive.On(hivetest.BeforeEffect, route, func(hivetest.Call) hivetest.Action {
		<-over
		return hivetest.Action{}
	})
	return func() { close(over); remove() }
}

func detectionOf(id, host, technique string) string {
	return fmt.Sprintf(`{"schema":"forager.detection/v1","id":%q,"time":%q,"title":"Seen","severity":2,"host":%q,"techniques":[%q]}`, id, time.Now().UTC().Format(time.RFC3339), host, technique)
}

// casesOf are those of a host.
func (p *play) casesOf(host string) (all []hivetest.Case) {
	for _, c := range p.hive.Snapshot().Cases {
		if strings.Contains(c.Description, host) {
			all = append(all, c)
		}
	}
	return all
}

// TestWhatGoesWrongIsSeenAndEndsWell: each mishap of the demonstration, in its order, as the page tells of it.
func TestWhatGoesWrongIsSeenAndEndsWell(t *testing.T) {
	t.Parallel()
	p := newPlay(t, &demoCmd{})
	handler := p.pages()
	home := func() string { return look(t, handler, "/") }

	p.to(15)
	p.drained()
	p.shows(home, true, "Port scan")
	if n := len(p.casesOf("fw-edge")); n != 1 {
		t.Errorf("the storm of one host made %d cases", n)
	}
	p.to(40)
	p.shows(home, true, "1 dead letter waits", "worker dlq requeue --reason &#39;invalid json&#39;")
	p.outage(home)
	p.killed(home)
	p.removal()

	if d := p.hive.Stats(0).Duplicates; d != (hivetest.Duplicates{}) {
		t.Errorf("doubled: %+v", d)
	}
	for _, m := range []string{"a storm", "a poison message", "an outage", "a replica is killed", "an analyst removes"} {
		if !strings.Contains(p.said.String(), m) {
			t.Errorf("it does not say %q", m)
		}
	}
}

// outage: while TheHive is away the page says so in words, since when, and what to do; afterwards nothing is left of it.
func (p *play) outage(home func() string) {
	p.t.Helper()
	p.to(59)
	p.drained()
	p.shows(home, false, "Stuck")
	p.to(80)
	p.shows(home, true, "Stuck since", "gate is closed: thehive does not answer", "<strong>TheHive does not answer</strong>", "Look at TheHive and its log", "the gate opens by itself, and nothing is lost")
	close(p.lasts[outageFor])
	p.shows(home, false, "Stuck")
	p.drained()
}

// killed: what a replica held when it was killed is taken over, and the page says that it fell silent.
func (p *play) killed(home func() string) {
	p.t.Helper()
	const events = 40
	p.to(84)
	p.drained()
	workertest.Eventually(p.t, "two replicas that live", func() bool { return strings.Count(home(), "state-live") == 2 }, home)
	free := p.held("")
	for i := range events {
		p.send(p.t.Context(), detectionOf(fmt.Sprintf("held-%d", i), fmt.Sprintf("held-%02d", i), "T1046"))
	}
	workertest.Eventually(p.t, "something in the hands of the other replica", func() bool {
		_, unanswered := p.behind()
		own, _ := p.service.Held()
		return unanswered > own
	})
	p.to(85)
	free()
	p.shows(home, true, "gives no sign of life; what it held is taken over", "state-silent")
	p.drained()
	for i := range events {
		if n := len(p.casesOf(fmt.Sprintf("held-%02d", i))); n != 1 {
			p.t.Errorf("what was held for host %d: %d cases", i, n)
		}
	}
	close(p.lasts[deadFor])
	workertest.Eventually(p.t, "another replica in its place", func() bool { return strings.Count(home(), "state-live") == 2 }, home)
}

// removal: what the analyst removed stays away, although the same is detected again, and something else, too.
func (p *play) removal() {
	p.t.Helper()
	ctx := p.t.Context()
	p.to(114)
	p.drained()
	p.send(ctx, detectionOf("removal-1", "removal-01", "T1046"))
	p.drained()
	free := p.held("POST /api/v1/case/{id}/procedures") // the newest stays the newest
	p.to(115)
	free()
	p.send(ctx, detectionOf("removal-2", "removal-01", "T1046"))
	p.send(ctx, detectionOf("removal-3", "removal-01", "T1059.001"))
	p.drained()
	p.send(ctx, detectionOf("removal-4", "removal-01", "T1046"))
	p.drained()
	cases := p.casesOf("removal-01")
	if len(cases) != 1 || len(cases[0].Procedures) != 1 || cases[0].Procedures[0].PatternID != "T1059.001" {
		p.t.Errorf("%d cases, the first: %+v", len(cases), cases[0].Procedures)
	}
}

// TestCalmHasNoneOfThese: longer than until the last mishap, nothing goes wrong, and nobody shares the work.
func TestCalmHasNoneOfThese(t *testing.T) {
	t.Parallel()
	p := newPlay(t, &demoCmd{Calm: true})
	handler := p.pages()
	p.to(mishapsEvery + 1)
	p.drained()
	home := look(t, handler, "/")
	if text := p.said.String(); text != "" {
		t.Errorf("it says %q", text)
	}
	if p.hive.Misbehaviour() != (hivetest.Misbehaviour{}) {
		t.Errorf("TheHive misbehaves: %+v", p.hive.Misbehaviour())
	}
	if n := strings.Count(home, "state-live"); n != 1 {
		t.Errorf("%d replicas", n)
	}
	for _, w := range []string{"Stuck", "dead letter waits", "fw-edge", `data-outcome="dead letter"`, "state-silent"} {
		if strings.Contains(home, w) {
			t.Errorf("the page has %q", w)
		}
	}
	if !strings.Contains(home, "Work gets done") {
		t.Error("the page does not say that work gets done")
	}
}
