package terminal

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
	"pgregory.net/rapid"

	"forager/cmd/worker/shell"
)

// TestWhatDecidesOnColours: the first variable that says something, then whether there is a terminal.
func TestWhatDecidesOnColours(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env       string
		tty, pipe bool
	}{
		{"", true, false}, {"TERM=xterm", true, false}, {"TERM=dumb", false, false}, {"CLICOLOR=0", false, false}, {"CLICOLOR=1", true, false},
		{"NO_COLOR=1", false, false}, {"NO_COLOR=0", false, false}, {"NO_COLOR=", true, false},
		{"CLICOLOR_FORCE=1", true, true}, {"CLICOLOR_FORCE=0", true, false}, {"CLICOLOR_FORCE=1 CLICOLOR=0", true, true}, {"CLICOLOR_FORCE=1 TERM=dumb", true, true},
		{"NO_COLOR=1 CLICOLOR_FORCE=1", false, false}, {"FORCE_COLOR=1", true, true}, {"FORCE_COLOR=1 NO_COLOR=1", true, true}, {"FORCE_COLOR=", true, false},
		{"FORCE_COLOR=0", false, false}, {"FORCE_COLOR=false CLICOLOR_FORCE=1", false, false}, {"FORCE_COLOR=0 NO_COLOR=", false, false}, {"NO_COLOR=1 NO_COLOR=", true, false},
	} {
		env := strings.Fields(c.env)
		if got := [2]bool{coloured(env, true), coloured(env, false)}; got != [2]bool{c.tty, c.pipe} {
			t.Errorf("%q: on a terminal, elsewhere %v, want %v %v", c.env, got, c.tty, c.pipe)
		}
	}
}

// TestEachStreamIsLookedAtAlone: standard error may be a terminal where standard output is none, and its width counts.
func TestEachStreamIsLookedAtAlone(t *testing.T) {
	t.Parallel()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer tty.Close()
	for _, c := range []struct{ set, want int }{{40, 40}, {132, 132}, {0, 80}} {
		if err := pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: uint16(c.set)}); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		sh := &shell.Shell{Out: shell.NewPrinter(&out), RawOut: &out, Err: shell.NewPrinter(tty), RawErr: tty}
		if o := Out(sh); o.Terminal() || o.colours || o.columns != 0 {
			t.Errorf("a buffer: %+v", o)
		}
		if e := Err(sh); !e.Terminal() || !e.colours || e.columns != c.want {
			t.Errorf("%d columns: %+v, want %d", c.set, e, c.want)
		}
	}
	if Is(&bytes.Buffer{}) || Is(nil) || Is(os.NewFile(^uintptr(0), "closed")) || !Is(tty) {
		t.Error("what is a terminal")
	}
}

func sample() *Table {
	t := NewTable(Column{Name: "CASE"}, Column{Name: "TITLE", Cut: true}, Column{Name: "N", Right: true}, Column{Name: "SEEN", Spare: true}, Column{Name: "WHY", Fold: true}, Column{Name: "HOST", Spare: true})
	t.Row(Plain.Of("#1"), Plain.Of("日本語のタイトルです"), Number(7), Plain.Of("2026-03-02"), Bad.Of("refused: the field is not known there"), Plain.Of("web01"))
	t.Row(Plain.Of("#12"), Plain.Of("🎉 party 👨‍👩‍👧 é"), Number(1200), Faint.Of("never"), Good.Of("ok"))
	return t
}

// TestATableIsAlignedAsItIsSeen: wide characters take two columns, joined ones one picture; nothing is cut elsewhere.
func TestATableIsAlignedAsItIsSeen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		columns int
		want    string
	}{
		{0, `CASE  TITLE                    N  SEEN        WHY                                    HOST
#1    日本語のタイトルです     7  2026-03-02  refused: the field is not known there  web01
#12   🎉 party 👨‍👩‍👧 é         1200  never       ok
`},
		{80, `CASE  TITLE                    N  SEEN        WHY                          HOST
#1    日本語のタイトルです     7  2026-03-02  refused: the field is not    web01
                                              known there
#12   🎉 party 👨‍👩‍👧 é         1200  never       ok
`},
		{75, `CASE  TITLE                    N  SEEN        WHY
#1    日本語のタイトルです     7  2026-03-02  refused: the field is not
                                              known there
#12   🎉 party 👨‍👩‍👧 é         1200  never       ok
not shown, too narrow: HOST
`},
		{40, `CASE  TITLE          N  WHY
#1    日本語の…      7  refused: the
                        field is not
                        known there
#12   🎉 party…   1200  ok
not shown, too narrow: SEEN, HOST
`},
		{20, `CASE   #1
TITLE
  日本語のタイトルです
N      7
SEEN   2026-03-02
WHY    refused: the
  field is not known
  there
HOST   web01

CASE   #12
TITLE  🎉 party 👨‍👩‍👧 é
N      1200
SEEN   never
WHY    ok
`},
	} {
		var b bytes.Buffer
		s := New(&b, c.columns, false)
		s.Table(sample())
		if diff := cmp.Diff(c.want, b.String()); diff != "" || s.Failed() != nil {
			t.Errorf("%d columns (-want +got):\n%s", c.columns, diff)
		}
	}
}

// TestAListStandsBesideItsNames: folded on a terminal, on one line elsewhere.
func TestAListStandsBesideItsNames(t *testing.T) {
	t.Parallel()
	l := NewList(2)
	l.Row(Bad.Of("broken"), Plain.Of("the stream keeps nothing, and what it kept is gone"))
	l.Row(Plain.Of(""), Plain.Of("do: nats stream edit DETECTIONS --a-flag-that-is-longer-than-a-line"))
	for _, c := range []struct {
		columns int
		want    string
	}{
		{0, "  broken  the stream keeps nothing, and what it kept is gone\n          do: nats stream edit DETECTIONS --a-flag-that-is-longer-than-a-line\n"},
		{40, "  broken  the stream keeps nothing, and\n          what it kept is gone\n          do: nats stream edit\n          DETECTIONS\n          --a-flag-that-is-longer-than-a-line\n"},
	} {
		var b bytes.Buffer
		New(&b, c.columns, false).List(l)
		if diff := cmp.Diff(c.want, b.String()); diff != "" {
			t.Errorf("%d columns (-want +got):\n%s", c.columns, diff)
		}
	}
	var b bytes.Buffer
	New(&b, 40, true).List(l)
	if !strings.HasPrefix(b.String(), "  \x1b[31;1mbroken\x1b[0;22m  the stream") {
		t.Errorf("colours: %q", b.String())
	}
}

// hostile are texts with what steers terminals, breaks rows, or takes no width.
func hostile() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := []string{"\x1b[2J", "\n", "\r\n", "\t", "\u202e", "\u2066", "\u009b31m", "\x00", "日本", "🎉", "👨‍👩‍👧", "é", "\u0301", "a", " ", "word ", "\xff", "\u2028", "\U000e0041", "ｆ", "\u200d", "…"}
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 40).Draw(t, "text"), "")
	})
}

// TestNoTextLeavesItsPlace: whatever a text holds, its row stays one, no line is wider than the terminal, and nothing steers it.
func TestNoTextLeavesItsPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.SampledFrom([]int{0, 40, 80}).Draw(t, "columns")
		colours := rapid.Bool().Draw(t, "colours")
		table := NewTable(Column{Name: "A", Cut: true}, Column{Name: "B", Cut: true, Fold: rapid.Bool().Draw(t, "fold")}, Column{Name: "C", Spare: true})
		rows := rapid.IntRange(1, 4).Draw(t, "rows")
		for range rows {
			table.Row(Bad.Of(hostile().Draw(t, "a")), Plain.Of(hostile().Draw(t, "b")), Good.Of(hostile().Draw(t, "c")))
		}
		var b bytes.Buffer
		s := New(&b, columns, colours)
		s.Table(table)
		text := b.String()
		if colours {
			for _, code := range []string{"\x1b[31;1m", "\x1b[32m", "\x1b[1m", "\x1b[2m", "\x1b[0;22m", "\x1b[0m", "\x1b[22m"} {
				text = strings.ReplaceAll(text, code, "")
			}
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if columns > 0 && uniseg.StringWidth(line) > columns {
				t.Fatalf("%d columns: %q has %d", columns, line, uniseg.StringWidth(line))
			}
		}
		for _, r := range text {
			if r != '\n' && (shell.Acts(r) || r == '\t') {
				t.Fatalf("%q in %q", r, text)
			}
		}
		if n := strings.Count(text, "\n"); columns == 0 && n != rows+1 || !utf8.ValidString(text) {
			t.Fatalf("%d lines for %d rows: %q", n, rows, text)
		}
	})
}

// TestNothingOfATextIsLostByFolding: a fold changes nothing but spaces.
func TestNothingOfATextIsLostByFolding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		whole := join([]Span{Bad.Of(hostile().Draw(t, "a")), Plain.Of(hostile().Draw(t, "b"))})
		first, others, breaks := rapid.IntRange(1, 20).Draw(t, "first"), rapid.IntRange(1, 20).Draw(t, "others"), rapid.Bool().Draw(t, "breaks")
		var all, bad strings.Builder
		for _, line := range whole.fold(first, others, breaks) {
			all.WriteString(line.string)
			from := 0
			for _, r := range line.runs {
				if r.meaning == Bad {
					bad.WriteString(line.string[from:r.end])
				}
				from = r.end
			}
			if from != len(line.string) {
				t.Fatalf("%q is covered to %d", line.string, from)
			}
		}
		bare := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if bare(all.String()) != bare(whole.string) {
			t.Fatalf("%q became %q", whole.string, all.String())
		}
		if wantBad := bare(whole.slice(0, badEnd(whole)).string); bare(bad.String()) != wantBad {
			t.Fatalf("%q is meant badly, not %q", bad.String(), wantBad)
		}
	})
}

func badEnd(t text) int {
	for _, r := range t.runs {
		if r.meaning == Bad {
			return r.end
		}
	}
	return 0
}

// written is what was written, by whomever.
type written struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func (w *written) Len() int { return len(w.String()) }

// TestABarIsShownWhenItLasts: not within two seconds, then at its width; lines stand above it, and at the end it is gone.
func TestABarIsShownWhenItLasts(t *testing.T) {
	t.Parallel()
	for _, columns := range []int{80, 40} {
		synctest.Test(t, func(t *testing.T) {
			var out written
			p := BeginOn(&out, columns, shell.NewPrinter(&out), "connecting")
			p.Step("messages of a stream", 200_000)
			time.Sleep(shownAfter - time.Millisecond)
			synctest.Wait()
			if out.Len() > 0 {
				t.Errorf("too soon: %q", out.String())
			}
			for done := range 30 {
				p.At(uint64(done+1) * 5000)
				time.Sleep(time.Second)
			}
			synctest.Wait()
			if !strings.Contains(out.String(), " 75% |") || columns == 80 && !strings.Contains(out.String(), "(150000/200000) [31s:") {
				t.Errorf("%d columns: %q", columns, out.String())
			}
			if _, err := p.Write([]byte("a line\n")); err != nil {
				t.Error(err)
			}
			p.Wait("judging")
			time.Sleep(time.Second)
			p.End()
			p.End()
			widest := 0
			for frame := range strings.SplitSeq(strings.ReplaceAll(out.String(), "\x1b[0K", ""), "\r") {
				widest = max(widest, uniseg.StringWidth(strings.TrimSuffix(frame, "\x1b[2K")))
			}
			if widest > columns || widest < columns-25 {
				t.Errorf("%d columns: a bar of %d", columns, widest)
			}
			if !strings.Contains(out.String(), "\x1b[2K\ra line\n") || !strings.HasSuffix(out.String(), "\x1b[2K\r") || !strings.Contains(out.String(), "judging") {
				t.Errorf("%q", out.String()[max(0, out.Len()-300):])
			}
		})
	}
}

// TestElsewhereALineIsWrittenEveryMinute: and none by what is over sooner.
func TestElsewhereALineIsWrittenEveryMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out written
		p := BeginOn(nil, 0, &out, "connecting")
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if out.Len() > 0 {
			t.Errorf("too soon: %q", out.String())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		p.Step("messages", 50)
		for range 10 {
			p.More()
			time.Sleep(6 * time.Second)
		}
		synctest.Wait()
		p.Step("cases", 0)
		p.At(7)
		time.Sleep(time.Minute)
		synctest.Wait()
		p.End()
		if diff := cmp.Diff("worker: connecting: for 1m0s\nworker: messages: 10 of 50\nworker: cases: 7\n", out.String()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestNobodyNeedsAProgress: who shows none has nil.
func TestNobodyNeedsAProgress(t *testing.T) {
	t.Parallel()
	var p *Progress
	p.Step("", 1)
	p.Wait("")
	p.At(1)
	p.More()
	p.End()
	if sh := (&shell.Shell{Err: os.Stderr}); p.Over(sh).Err != sh.Err {
		t.Error("nothing stands below")
	}
}

// TestAFailureIsKept: the first one, and nothing is written after it.
func TestAFailureIsKept(t *testing.T) {
	t.Parallel()
	s := New(failing{}, 0, false)
	s.Line(0, Plain.Of("x"))
	s.Blank()
	if got := fmt.Sprint(s.Failed()); got != "write: no room" {
		t.Error(got)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, fmt.Errorf("no room") }
