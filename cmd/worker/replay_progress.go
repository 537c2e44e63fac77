package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"forager/pipeline/replay"
)

// progress shows how far a replay is: a bar on a terminal, a line now and then elsewhere. What is
// written through it, as the log is, stands above the bar.
type progress struct {
	out   io.Writer // of the bar, which moves on a terminal
	text  io.Writer // of all else, a printer to the same place
	fancy bool

	mu    sync.Mutex
	bar   *progressbar.ProgressBar // nil: not begun, or no terminal
	said  time.Time
	waits bool
	idle  bool // that nobody works for live traffic was said
}

// progressEvery is how often a line is written where there is no terminal.
const progressEvery = 10 * time.Second

func newProgress(out, text io.Writer) *progress {
	f, ok := out.(*os.File)
	return &progress{out: out, text: text, fancy: ok && term.IsTerminal(int(f.Fd()))}
}

// level is the least important level that is logged: a line for each message would leave nothing
// of the bar. Who asks for debug has it.
func (p *progress) level(configured string) string {
	if p.fancy && configured == zapcore.InfoLevel.String() {
		return zapcore.WarnLevel.String()
	}
	return configured
}

// Write writes whole lines above the bar.
func (p *progress) Write(lines []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.above(lines)
}

func (p *progress) above(lines []byte) (int, error) {
	if p.bar == nil {
		return p.text.Write(lines)
	}
	_ = p.bar.Clear()
	n, err := p.text.Write(lines)
	_ = p.bar.RenderBlank()
	return n, err
}

// tell shows a state. It is called from one goroutine.
func (p *progress) tell(s replay.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fancy {
		p.draw(s)
	} else {
		p.write(s)
	}
	p.waits = s.Waits != ""
	if s.LiveIdle && !p.idle {
		_, _ = p.above([]byte("worker: no live worker takes the messages that the replay waits for: start one, or give --ignore-live\n"))
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

// draw moves the bar. Why it stands still is said above it, once: a bar that is wider than the
// terminal cannot be taken back.
func (p *progress) draw(s replay.State) {
	if s.Waits != "" && !p.waits {
		_, _ = p.above([]byte("worker: the replay waits: " + s.Waits + "\n"))
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(int64(s.Length()),
			progressbar.OptionSetWriter(p.out), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("msg"), progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(),
			progressbar.OptionThrottle(0))
	}
	if s.Waits != "" {
		p.bar.Describe("waits ")
	} else {
		p.bar.Describe("replay")
	}
	_ = p.bar.Set64(int64(s.Passed))
}

// end leaves the bar as it is, and the line after it free.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		fmt.Fprintln(p.out)
		p.bar = nil
	}
}

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
