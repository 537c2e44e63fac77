package audit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sourcegraph/conc"

	"forager/enrich"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
	"forager/retry"
)

// pupil learns as it is told to.
type pupil struct {
	mu    sync.Mutex
	heard []string
	fail  func(document string, times int) error
	more  chan struct{}
}

func newPupil() *pupil { return &pupil{more: make(chan struct{}, 1000)} }

func (p *pupil) Learn(_ context.Context, document []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, string(document))
	p.more <- struct{}{}
	if p.fail == nil {
		return nil
	}
	times := 0
	for _, h := range p.heard {
		if h == string(document) {
			times++
		}
	}
	return p.fail(string(document), times)
}

// until waits for so many documents and gives them sorted.
func (p *pupil) until(t *testing.T, n int) []string {
	t.Helper()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for range n {
		select {
		case <-p.more:
		case <-late.C:
			t.Fatalf("heard %v", p.heard)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(slices.Values(p.heard))
}

func newServer(t *testing.T) *natstest.Server {
	t.Helper()
	server, err := natstest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func connect(t *testing.T, server *natstest.Server) *stream.Link {
	t.Helper()
	link, err := stream.Connect(t.Context(), stream.Connection{URLs: []string{server.URL()}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	return link
}

func queueOn(t *testing.T, server *natstest.Server) *Queue {
	t.Helper()
	a, err := New(connect(t, server), Options{
		Stream: "AUD", Manage: true, AckWait: 5 * time.Second, Within: 5 * time.Second,
		Retry: retry.Backoff{First: 5 * time.Millisecond, Last: 20 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// study runs a consumer until the test ends.
func study(t *testing.T, a *Queue, p *pupil) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var running conc.WaitGroup
	running.Go(func() { _ = a.Run(ctx, p) })
	t.Cleanup(func() { stop(); running.Wait() })
}

func mustStore(t *testing.T, a *Queue, key, document string) {
	t.Helper()
	if err := a.Store(t.Context(), key, []byte(document)); err != nil {
		t.Fatal(err)
	}
}

func TestADocumentIsStoredOnceAndLearntByOneReplica(t *testing.T) {
	server := newServer(t)
	a, b := queueOn(t, server), queueOn(t, server)
	if err := a.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		mustStore(t, a, "one", "1")
		mustStore(t, b, "two", "2")
	}
	p := newPupil()
	study(t, a, p)
	study(t, b, p)
	p.until(t, 2)
	mustStore(t, b, "three", "3")
	if got := p.until(t, 1); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("learnt %v", got)
	}
}

func TestADocumentThatCannotBeMergedComesAgainAndABrokenOneDoesNot(t *testing.T) {
	server := newServer(t)
	a := queueOn(t, server)
	if err := a.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := newPupil()
	p.fail = func(document string, times int) error {
		switch {
		case document == "broken":
			return &enrich.MalformedError{Reason: "no audit document"}
		case document == "panics" && times == 1:
			panic("oh")
		case document == "later" && times < 3:
			return errors.New("not now")
		default:
			return nil
		}
	}
	for _, d := range []string{"broken", "panics", "later"} {
		mustStore(t, a, d, d)
	}
	study(t, a, p)
	p.until(t, 6)
	mustStore(t, a, "last", "last")
	want := []string{"broken", "last", "later", "later", "later", "panics", "panics"}
	if got := p.until(t, 1); !slices.Equal(got, want) {
		t.Errorf("learnt %v, want %v", got, want)
	}
}

func TestStoreRefusesAtOnceWhatTheStreamDoesNotAccept(t *testing.T) {
	server := newServer(t)
	a, err := New(connect(t, server), Options{Stream: "AUD", Manage: true})
	if err != nil {
		t.Fatal(err)
	}
	timed := func(what string) {
		t.Helper()
		began := time.Now()
		if err := a.Store(t.Context(), "k", []byte("{}")); err == nil {
			t.Errorf("%s: accepted", what)
		}
		if took := time.Since(began); took > time.Second { // 40 ms, and what a crowded machine adds
			t.Errorf("%s: took %v", what, took)
		}
	}
	timed("no stream")
	if err := a.Store(t.Context(), "k", []byte(strings.Repeat("x", MaxBytes+1))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if err := a.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Ensure(t.Context()); err != nil {
		t.Errorf("ensured twice: %v", err)
	}
	server.Close()
	timed("no server")
}

func TestDocumentsWaitWhileNobodyLearns(t *testing.T) {
	server := newServer(t)
	a := queueOn(t, server)
	p := newPupil()
	study(t, a, p) // makes stream and consumer by itself
	for a.Store(t.Context(), "one", []byte("1")) != nil {
		retry.Wait(t.Context(), 10*time.Millisecond)
	}
	if got := p.until(t, 1); !slices.Equal(got, []string{"1"}) {
		t.Errorf("learnt %v", got)
	}
}

func TestImpossibleAuditOptionsAreRefused(t *testing.T) {
	if _, err := New(nil, Options{Stream: "a.b"}); !errors.Is(err, stream.ErrTopology) {
		t.Errorf("error %v", err)
	}
}
