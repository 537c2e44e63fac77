package terminal

import (
	"strings"

	"github.com/rivo/uniseg"

	"forager/cmd/worker/shell"
)

// text is one line that is clean, and what its parts mean.
type text struct {
	string

	runs []run // they cover it
}

// run is a part of a text, up to a byte of it.
type run struct {
	end     int
	meaning Meaning
}

// clean makes a text of somebody else fit for a part of one line.
func clean(s string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(shell.Harmless(s))
}

// join makes one text of several.
func join(spans []Span) text {
	var t text
	for _, s := range spans {
		if t.string += clean(s.Text); s.Text != "" {
			t.runs = append(t.runs, run{len(t.string), s.Meaning})
		}
	}
	return t
}

// slice is a part of a text, by bytes.
func (t text) slice(from, to int) text {
	part := text{string: t.string[from:to]}
	for _, r := range t.runs {
		if r.end > from {
			part.runs = append(part.runs, run{min(r.end, to) - from, r.meaning})
		}
		if r.end >= to {
			break
		}
	}
	return part
}

// width is how many columns a text takes, as it is seen.
func (t text) width() int { return uniseg.StringWidth(t.string) }

// cut is what of a text fits in so many columns; what is cut is replaced by "…".
func (t text) cut(columns int) text {
	if t.width() <= columns {
		return t
	}
	at, taken := 0, 0
	for rest, state := t.string, -1; rest != ""; {
		var cluster string
		var width int
		cluster, rest, width, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if taken+width > columns-1 {
			break
		}
		at, taken = at+len(cluster), taken+width
	}
	at = len(strings.TrimRight(t.string[:at], " "))
	part := t.slice(0, at)
	meaning := Plain
	if len(part.runs) > 0 {
		meaning = part.runs[len(part.runs)-1].meaning
	}
	part.string += "…"
	part.runs = append(part.runs, run{len(part.string), meaning})
	return part
}

// fold breaks a text into lines between words: the first of so many columns, the others of others. No limit is 0 or less.
// Words that fit on no line are broken where that is asked for.
func (t text) fold(first, others int, breaks bool) (lines []text) {
	f := folding{text: t, columns: first, others: others, space: -1, breaks: breaks}
	if first <= 0 {
		return []text{t}
	}
	for rest, state := t.string, -1; rest != ""; {
		var cluster string
		var width int
		cluster, rest, width, state = uniseg.FirstGraphemeClusterInString(rest, state)
		f.take(cluster, width)
	}
	return append(f.lines, t.slice(f.start, len(t.string)))
}

// folding is the state of a fold.
type folding struct {
	text

	lines           []text
	columns, others int
	breaks          bool
	start, at       int // bytes: of the line, and of what comes
	taken           int // columns
	space           int // the byte of the last space that lines may end at; -1 is none
}

func (f *folding) take(cluster string, width int) {
	if f.taken+width > f.columns && f.at > f.start {
		switch {
		case cluster == " ":
			f.end(f.at)
		case f.space > f.start:
			f.end(f.space)
		case f.breaks:
			f.end(f.at)
		}
	}
	if cluster == " " && strings.Trim(f.string[f.start:f.at], " ") != "" {
		f.space = f.at
	}
	f.at += len(cluster)
	f.taken += width
	if cluster == " " && f.start == f.at-1 && len(f.lines) > 0 { // no line but the first begins with spaces
		f.start, f.taken = f.at, 0
	}
}

// end ends a line.
func (f *folding) end(at int) {
	f.lines = append(f.lines, f.slice(f.start, len(strings.TrimRight(f.string[:at], " "))))
	f.start = at
	for f.start < f.at && f.string[f.start] == ' ' {
		f.start++
	}
	f.taken, f.space, f.columns = uniseg.StringWidth(f.string[f.start:f.at]), -1, max(f.others, 1)
}
