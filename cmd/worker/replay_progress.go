package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"

	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/pipeline/replay"
)

// progress shows how far a replay is: a bar on a terminal, a line now and then elsewhere. What is
// written through it, as the log is, stands above the bar.
type progress struct {
	text io.Writer          // standard error, above the bar
	bar  *terminal.Progress // nil: no terminal

	mu    sync.Mutex
	said  time.Time
	waits bool
	idle  bool // that nobody works for live traffic was said
}

// progressEvery is how often a line is written where there is no terminal.
const progressEvery = 10 * time.Second

func newProgress(sh *shell.Shell) *progress {
	if !terminal.Is(sh.RawErr) {
		return &progress{text: sh.Err}
	}
	bar := terminal.Begin(sh, "replay: looking at NATS and TheHive")
	return &progress{text: bar, bar: bar}
}

// over is a shell that says what it has to say above the bar.
func (p *progress) over(sh *shell.Shell) *shell.Shell {
	if p.bar == nil {
		return sh
	}
	return p.bar.Over(sh)
}

// out is standard output, for people.
func (p *progress) out(sh *shell.Shell) *terminal.Screen {
	if p.bar == nil {
		return terminal.Out(sh)
	}
	return p.bar.Out(sh)
}

// looked says how far a dry run is.
func (p *progress) looked(span replay.Span, sequence uint64) {
	p.bar.Step("replay: dry run", span.Length())
	p.bar.At(sequence + 1 - min(span.First, sequence))
}

// level is the least important level that is logged: a line for each message would leave nothing
// of the bar. Who asks for debug has it.
func (p *progress) level(configured string) string {
	if p.bar != nil && configured == zapcore.InfoLevel.String() {
		return zapcore.WarnLevel.String()
	}
	return configured
}

// Write writes whole lines above the bar.
func (p *progress) Write(lines []byte) (int, error) { return p.text.Write(lines) }

// tell shows a state. It is called from one goroutine.
func (p *progress) tell(s replay.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.draw(s)
	} else {
		p.write(s)
	}
	p.waits = s.Waits != ""
	if s.LiveIdle && !p.idle {
		fmt.Fprintln(p.text, "worker: no live worker takes the messages that the replay waits for: start one, or give --ignore-live")
	}
	p.idle = s.LiveIdle
}

// write writes a line, if it is time for one.
func (p *progress) write(s replay.State) {
	now := time.Now()
	if now.Sub(p.said) < progressEvery && p.waits == (s.Waits != "") && s.Passed < s.Length() {
		return
	}
	p.said = now
	fmt.Fprintln(p.text, line(s))
}

// draw moves the bar. Why it stands still is said above it, once: it is longer than a line.
func (p *progress) draw(s replay.State) {
	what := "replay"
	if s.Waits != "" {
		what = "replay waits"
		if !p.waits {
			fmt.Fprintln(p.text, "worker: the replay waits: "+s.Waits)
		}
	}
	p.bar.Step(what, s.Length())
	p.bar.At(s.Passed)
}

// end takes the bar away.
func (p *progress) end() { p.bar.End() }

// line is a state for logs and files.
func line(s replay.State) string {
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
