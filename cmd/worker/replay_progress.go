package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"forager/pipeline"
)

// progress shows how far a replay is: a bar on a terminal, a line now and then elsewhere.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil: no terminal
	fancy bool
	said  time.Time
	waits string
}

// progressEvery is how often a line is written where there is no terminal.
const progressEvery = 10 * time.Second

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	return &progress{out: w, fancy: ok && term.IsTerminal(int(f.Fd()))}
}

// tell shows a state. It is called from one goroutine.
func (p *progress) tell(s pipeline.ReplayState) {
	if p.fancy {
		p.draw(s)
		return
	}
	now := time.Now()
	news := s.Waits != p.waits && (s.Waits == "" || p.waits == "")
	if now.Sub(p.said) < progressEvery && !news && s.Passed < s.Length() {
		return
	}
	p.said, p.waits = now, s.Waits
	fmt.Fprintln(p.out, line(s))
}

func (p *progress) draw(s pipeline.ReplayState) {
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(int64(s.Length()),
			progressbar.OptionSetWriter(p.out), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("msg"), progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(),
			progressbar.OptionThrottle(0), progressbar.OptionSetDescription("replay"))
	}
	description := "replay"
	if s.Waits != "" {
		description = "waits: " + s.Waits
	}
	p.bar.Describe(description)
	_ = p.bar.Set64(int64(s.Passed))
}

// end leaves the bar as it is, and the line after it free.
func (p *progress) end() {
	if p.bar != nil {
		fmt.Fprintln(p.out)
	}
}

// line is a state for logs and files.
func line(s pipeline.ReplayState) string {
	percent := 100.0
	if n := s.Length(); n > 0 {
		percent = 100 * float64(s.Passed) / float64(n)
	}
	text := fmt.Sprintf("worker: replay %.1f %%: %d of %d sequences; here %d carried, %d dropped, %d dead letters",
		percent, s.Passed, s.Length(), s.Acked, s.Dropped, s.Dead)
	if s.Waits != "" {
		text += "; waits: " + s.Waits
	}
	return text
}
