package terminal

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/sourcegraph/conc"

	"forager/cmd/worker/shell"
)

// Progress shows on standard error how far something is that lasts: on a terminal a bar once it lasts longer than two seconds,
// elsewhere a line every minute. What is written through it meanwhile stands above the bar. Safe for concurrent use; nil shows nothing.
type Progress struct {
	bar     *gate     // nil: no terminal
	columns int       // of it
	text    io.Writer // a printer to the same place

	mu          sync.Mutex
	drawn       *progressbar.ProgressBar // nil: no terminal
	what        string
	done, total uint64
	counts      bool
	began, said time.Time // said: when the last line was written

	over    chan struct{}
	ends    sync.Once
	working conc.WaitGroup
}

// gate keeps a bar from being seen too soon: it counts from the beginning.
type gate struct {
	to   io.Writer
	open bool
}

func (g *gate) Write(text []byte) (int, error) {
	if !g.open {
		return len(text), nil
	}
	return g.to.Write(text)
}

// Pauses of showing.
const (
	shownAfter = 2 * time.Second
	shownEvery = 250 * time.Millisecond
	saidEvery  = time.Minute
)

// Begin begins to show what a command does; End ends it.
func Begin(sh *shell.Shell, what string) *Progress {
	if !Is(sh.RawErr) || variable(sh.Env, "TERM") == "dumb" {
		return BeginOn(nil, 0, sh.Err, what)
	}
	return BeginOn(sh.RawErr, Err(sh).columns, sh.Err, what)
}

// BeginOn is Begin for streams that the caller knows: a terminal and its width, nil for none, and a printer to the same place.
func BeginOn(bar io.Writer, columns int, text io.Writer, what string) *Progress {
	now := time.Now()
	p := &Progress{columns: columns, text: text, began: now, said: now, over: make(chan struct{})}
	if bar != nil {
		p.bar = &gate{to: bar}
	}
	p.step(what, 0, false)
	p.working.Go(p.show)
	return p
}

// show shows, until it is over.
func (p *Progress) show() {
	tick := time.NewTicker(shownEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.over:
			return
		case now := <-tick.C:
			p.tick(now)
		}
	}
}

func (p *Progress) tick(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.open = p.bar.open || now.Sub(p.began) >= shownAfter
		p.draw()
	} else if now.Sub(p.said) >= saidEvery {
		p.said = now
		fmt.Fprintln(p.text, "worker: "+p.line(now.Sub(p.began)))
	}
}

// line says for logs and files how far it is.
func (p *Progress) line(lasts time.Duration) string {
	switch {
	case p.total > 0:
		return fmt.Sprintf("%s: %d of %d", p.what, p.done, p.total)
	case p.counts:
		return fmt.Sprintf("%s: %d", p.what, p.done)
	default:
		return fmt.Sprintf("%s: for %s", p.what, lasts.Round(time.Second))
	}
}

// draw moves the bar.
func (p *Progress) draw() {
	_ = p.drawn.Set64(int64(p.done)) // it shows what it can
	_ = p.drawn.RenderBlank()        // the time goes on where nothing else does
}

// Wait says what is done now, where nothing can be counted.
func (p *Progress) Wait(what string) { p.begin(what, 0, false) }

// Step says what is done now, and of how much; 0 is unknown.
func (p *Progress) Step(what string, total uint64) { p.begin(what, total, true) }

func (p *Progress) begin(what string, total uint64, counts bool) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if what != p.what || total != p.total || counts != p.counts {
		p.step(what, total, counts)
	}
}

func (p *Progress) step(what string, total uint64, counts bool) {
	p.what, p.done, p.total, p.counts = what, 0, total, counts
	if p.bar == nil {
		return
	}
	if p.drawn != nil {
		_ = p.drawn.Clear()
	}
	p.drawn = p.newBar()
	p.drawn.StartWithoutRender()
}

// newBar makes a bar that fits, or, where nobody knows how much there is, what turns.
func (p *Progress) newBar() *progressbar.ProgressBar {
	options := []progressbar.Option{
		progressbar.OptionSetWriter(p.bar), progressbar.OptionThrottle(0), progressbar.OptionUseANSICodes(true),
		progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine of its own
	}
	if p.total == 0 {
		const around = len("⠋  (1234567) [1h10m10s] ")
		options = append(options, progressbar.OptionSpinnerType(14), progressbar.OptionSetElapsedTime(true), p.described(around))
		if p.counts {
			options = append(options, progressbar.OptionShowCount())
		}
		return progressbar.NewOptions64(-1, options...)
	}
	const percent, elapsed, left = len(" 100% || "), len(" [1h10m10s]"), len(":12h10m10s")
	count := len(fmt.Sprintf("(%d/%[1]d)", p.total))
	around := percent + elapsed
	options = append(options, progressbar.OptionSetElapsedTime(true))
	if with := around + count; with+leastWords+leastBar <= p.columns {
		around = with
		options = append(options, progressbar.OptionShowCount())
	}
	predict := around+left+leastWords+leastBar <= p.columns
	if options = append(options, progressbar.OptionSetPredictTime(predict)); predict {
		around += left
	}
	words := min(join([]Span{{Text: p.what}}).width(), p.columns-around-leastBar)
	options = append(options, p.described(around+leastBar), progressbar.OptionSetWidth(max(p.columns-around-words-1, 1)))
	return progressbar.NewOptions64(int64(min(p.total, 1<<62)), options...)
}

// Columns of a terminal that a bar, and the words beside it, have at least.
const (
	leastBar   = 6
	leastWords = 10
)

// described gives a bar its words, beside what else takes so many columns.
func (p *Progress) described(around int) progressbar.Option {
	return progressbar.OptionSetDescription(join([]Span{{Text: p.what}}).cut(max(p.columns-around-1, 1)).string)
}

// At says how much is done.
func (p *Progress) At(done uint64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = done
}

// More says that one more is done.
func (p *Progress) More() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
}

// Write writes whole lines to standard error, above the bar.
func (p *Progress) Write(lines []byte) (int, error) { return p.above(p.text, lines) }

// Over is a shell that writes above the bar what it has to say, and to standard output where that is a terminal, too.
func (p *Progress) Over(sh *shell.Shell) *shell.Shell {
	over := *sh
	if p == nil {
		return &over
	}
	over.Err = p
	if Is(sh.RawOut) {
		over.Out = writing{p, sh.Out}
	}
	return &over
}

// Out is standard output while the bar may be below it.
func (p *Progress) Out(sh *shell.Shell) *Screen {
	s := Out(sh)
	if _, over := s.to.(writing); s.Terminal() && !over {
		s.to = writing{p, s.to}
	}
	return s
}

// writing writes whole lines above a bar.
type writing struct {
	progress *Progress
	to       io.Writer
}

func (w writing) Write(lines []byte) (int, error) { return w.progress.above(w.to, lines) }

func (p *Progress) above(to io.Writer, lines []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == nil || !p.bar.open {
		return to.Write(lines)
	}
	_ = p.drawn.Clear()
	n, err := to.Write(lines)
	p.draw()
	return n, err
}

// End takes the bar away. Twice does no harm.
func (p *Progress) End() {
	if p == nil {
		return
	}
	p.ends.Do(func() { close(p.over) })
	p.working.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.drawn.Clear()
		p.bar.open = false
	}
}
