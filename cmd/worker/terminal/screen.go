package terminal

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"forager/cmd/worker/shell"
)

// Span is a text, and what it means.
type Span struct {
	Text    string
	Meaning Meaning
}

// Number is a number without a meaning.
func Number[N int | int64 | uint64](n N) Span { return Span{Text: strconv.FormatInt(int64(n), 10)} }

// Screen is where a command writes for people. It is for one goroutine. The first failure is kept: nothing is written after it.
type Screen struct {
	to      io.Writer
	columns int // 0: no terminal, and no limit
	colours bool
	failed  error
}

// unknownColumns is the width of a terminal that does not tell it.
const unknownColumns = 80

// New writes to a terminal of so many columns; 0 is none. What it writes is clean.
func New(to io.Writer, columns int, colours bool) *Screen {
	return &Screen{to: to, columns: columns, colours: colours}
}

// Out is standard output.
func Out(sh *shell.Shell) *Screen { return of(sh.Env, sh.RawOut, sh.Out) }

// Err is standard error.
func Err(sh *shell.Shell) *Screen { return of(sh.Env, sh.RawErr, sh.Err) }

func of(env []string, raw, printer io.Writer) *Screen {
	file, is := fileOf(raw)
	s := New(printer, 0, raw != nil && coloured(env, is))
	if s.colours {
		s.to = raw
	}
	if is {
		s.columns = unknownColumns
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
			s.columns = columns
		}
	}
	return s
}

// Is tells whether a stream is a terminal.
func Is(stream io.Writer) bool {
	_, is := fileOf(stream)
	return is
}

func fileOf(stream io.Writer) (*os.File, bool) {
	file, is := stream.(*os.File)
	return file, is && term.IsTerminal(int(file.Fd()))
}

// Terminal tells whether people read it as it is written.
func (s *Screen) Terminal() bool { return s.columns > 0 }

// Failed is why something could not be written; nil where all was.
func (s *Screen) Failed() error { return s.failed }

// Line writes a line. On a terminal it is folded between words; all but the first of its lines are indented.
func (s *Screen) Line(indent int, text ...Span) {
	s.lines(0, indent, join(text))
}

// Blank leaves a line free.
func (s *Screen) Blank() { s.write("\n") }

// lines writes a text behind what stands in front of its first line, and below it. A word that is too long stays whole: it
// may be an address or a command.
func (s *Screen) lines(begins, indent int, t text) {
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", begins))
	for i, part := range t.fold(s.columns-begins, s.columns-indent, false) {
		if i > 0 {
			b.WriteString("\n" + strings.Repeat(" ", indent))
		}
		b.WriteString(s.painted(part))
	}
	s.write(trimmed(b.String()) + "\n")
}

func (s *Screen) painted(t text) string {
	if !s.colours {
		return t.string
	}
	var b strings.Builder
	from := 0
	for _, r := range t.runs {
		b.WriteString(paint(t.string[from:r.end], r.meaning))
		from = r.end
	}
	return b.String()
}

func (s *Screen) write(text string) {
	if s.failed != nil {
		return
	}
	if _, err := io.WriteString(s.to, text); err != nil {
		s.failed = fmt.Errorf("write: %w", err)
	}
}

// trimmed is a line without the spaces at its end.
func trimmed(line string) string { return strings.TrimRight(line, " ") }
