package forwarders

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"forager/cmd/worker/intake"
	"forager/enrich/detection"
	store "forager/pipeline/intake"
)

const token = "only-for-this-test"

// site is an intake that keeps what it is given, in memory, and refuses the first few.
type site struct {
	url string

	mu     sync.Mutex
	refuse int // so many are answered with 503
	events []store.Event
	came   chan struct{}
}

func newSite(t *testing.T, refuse int) *site {
	t.Helper()
	s := &site{refuse: refuse, came: make(chan struct{}, 1000)}
	h, err := intake.NewHandler(intake.Options{Sources: []intake.Source{{Name: "test", Subject: "detections.test", Token: func() string { return token }}}}, s)
	if err != nil {
		t.Fatal(err)
	}
	server, err := intake.Listen(t.Context(), "127.0.0.1:0", h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	s.url = "http://" + server.Addr + intake.Path
	return s
}

// Put keeps an event.
func (s *site) Put(_ context.Context, e store.Event) (store.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse > 0 {
		s.refuse--
		return store.Receipt{}, &store.Refusal{Why: store.NoStream, Err: context.DeadlineExceeded}
	}
	e.Body = bytes.Clone(e.Body)
	s.events = append(s.events, e)
	s.came <- struct{}{}
	return store.Receipt{Stream: "DET", Sequence: uint64(len(s.events))}, nil
}

// taken waits for so many events.
func (s *site) taken(t *testing.T, n int) []store.Event {
	t.Helper()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for range n {
		select {
		case <-s.came:
		case <-late.C:
			t.Fatalf("%d events did not come within a minute", n)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events
}

// formatsOf reads what came, and names the format of each detection.
func formatsOf(t *testing.T, events []store.Event) (names []string) {
	t.Helper()
	d, err := detection.New(detection.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		r, err := d.Decode(detection.Message{Subject: e.Subject, Header: e.Header, Body: e.Body, Time: time.Now()})
		if err != nil || len(r.Unreadable) > 0 || len(r.Detections) == 0 {
			t.Errorf("%v %v, %d detections: %.300s", err, r.Unreadable, len(r.Detections), e.Body)
			continue
		}
		for _, one := range r.Detections {
			if one.Title == "" || one.Time.IsZero() {
				t.Errorf("%s: no title or time", one.Format)
			}
			names = append(names, one.Format)
		}
	}
	return names
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// write puts a text into a folder of the test.
func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return file
}

// replaced changes what stands for a site's own in a file, and fails where that is not there any more.
func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatal(fmt.Errorf("%q is not in the file", pairs[i]))
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}
