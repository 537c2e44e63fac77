//go:build bench && linux

package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"forager/pipeline"
)

// Ten viewers look at the page of a worker that gets so many detections a second that a third of the rows are new at
// each look. In a storm it is less: rows that nobody could read are made less often.
const (
	viewers    = 10
	viewedRate = 30
	viewedFor  = 20 * time.Second
)

// viewing: what the page costs, of a core. A worker that works as fast as it can keeps one busy and more.
func (b *bench) viewing(t *testing.T) {
	s := newScene(t, b.programs, manners{Latency: latency})
	p, ops := s.start(t, b.worker, inFlight, true)
	if !eventually(t, patience, func() bool { return answers(t.Context(), "http://"+ops+"/readyz") }) {
		t.Fatalf("worker is not ready\n%s", p.tail())
	}
	s.offer(t, viewedRate, viewedFor/2) // fills the rows
	share := func() float64 {
		before, began := p.processor(t), time.Now()
		s.offer(t, viewedRate, viewedFor)
		return (p.processor(t) - before).Seconds() / time.Since(began).Seconds()
	}
	before := share()
	leave := look(t, ops)
	watched := share()
	leave()
	alone := (before + share()) / 2
	b.atMost(line{
		row: "page", measured: fmt.Sprintf("%d viewers, %d/s: processor time more", viewers, viewedRate), base: fmt.Sprintf("%.3f cores without", alone),
		result: fmt.Sprintf("%.3f cores", watched-alone), must: "≤ 0.010",
	}, watched-alone, 0.01)
}

// look opens the streams of all viewers, who read what comes until they leave.
func look(t *testing.T, ops string) (leave func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var looking pipeline.Tasks
	for range viewers {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ops+"/page/events", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", answer, err)
		}
		looking.Go("look", func() {
			defer answer.Body.Close()
			_, _ = io.Copy(io.Discard, answer.Body) // until it leaves
		})
	}
	return func() {
		stop()
		_ = looking.Wait() // a panic has ended the process
	}
}
