package markdown

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"forager/enrich/detection/canon"
)

// Text writes words for a Markdown field, wherever in a line they begin, as long as no word, dot or bracket
// touches them. Line feeds stay line feeds, spaces
// before a line become such that do not break, those behind it go. What a renderer could take for an address
// by itself (a host name, a mail address, anything with a scheme) stands in a code span. Text(Text(s)) is not Text(s).
func Text(s string) string {
	s = strings.Trim(canon.Plain(s, true), "\n")
	w := writer{defines: strings.Contains(s, "]:")}
	w.Grow(len(s) + len(s)/8)
	for more := true; more; {
		var row string
		row, s, more = strings.Cut(s, "\n")
		row = strings.TrimRight(row, " ")
		words := strings.TrimLeft(row, " ")
		for range len(row) - len(words) {
			w.WriteRune('\u00a0')
		}
		w.row(words)
		if more {
			w.WriteByte('\n')
		}
	}
	return w.String()
}

// writer writes a text row by row.
type writer struct {
	strings.Builder

	defines bool    // the text holds what ends the label of a reference: renderers see it in code, too
	doubled [2]bool // the row at hand has two pairs of "+", of "="
}

// Line is Text for a text of one line: line feeds become spaces.
func Line(s string) string {
	if isWords(s) {
		return s
	}
	return Text(strings.Join(strings.Fields(canon.Plain(s, false)), " "))
}

// isWords tells whether a text is of letters and digits of ASCII, with a space between words: nothing of it can act.
func isWords(s string) bool {
	before := byte(' ')
	for i := range len(s) {
		c := s[i]
		word := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !word && (c != ' ' || before == ' ') {
			return false
		}
		before = c
	}
	return before != ' '
}

// row writes one line that starts with no space, word by word where a word could be an address.
func (w *writer) row(row string) {
	w.doubled = [2]bool{strings.Count(row, "++") > 1, strings.Count(row, "==") > 1}
	if !addresses(row) {
		w.escape(row, 0, len(row))
		return
	}
	for at := 0; at < len(row); {
		end := strings.IndexFunc(row[at:], parts)
		if end < 0 {
			end = len(row) - at
		}
		w.word(row, at, at+end)
		if at += end; at == len(row) {
			return
		}
		_, size := utf8.DecodeRuneInString(row[at:])
		w.escape(row, at, at+size)
		at += size
	}
}

// parts tells what parts words: white space, and what parts the cells of a table.
func parts(r rune) bool { return r == '|' || unicode.IsSpace(r) }

// word writes a word of a row; one that could be an address becomes a code span.
func (w *writer) word(row string, from, to int) {
	begin, end := from, to
	for begin < end && opens[row[begin]] {
		begin++
	}
	for end > begin && ends[row[end-1]] {
		end--
	}
	if !addresses(row[begin:end]) {
		w.escape(row, from, to)
		return
	}
	w.escape(row, from, begin)
	span(&w.Builder, row[begin:end])
	w.escape(row, end, to)
}

// Characters before and behind a word that belong to no address.
var (
	opens = [256]bool{'{': true, '[': true, '(': true, '<': true, '"': true, '\'': true}
	ends  = [256]bool{'}': true, ']': true, ')': true, '>': true, '.': true, '!': true, ':': true, '"': true, '\'': true, ',': true, ';': true, '?': true}
)

// addresses tells whether a text holds what a renderer may take for an address: a scheme, a mail
// address, or a dot within a name. A number with a point ("5.2") is none.
func addresses(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case '@':
			if i+1 < len(s) && s[i+1] != ' ' {
				return true
			}
		case '/':
			if i > 0 && s[i-1] == '/' {
				return true
			}
		case '.':
			if i > 0 && i < len(s)-1 && nameByte(s[i-1]) && nameByte(s[i+1]) && !isDecimal(s, i) {
				return true
			}
		}
	}
	return false
}

// nameByte tells whether a byte can stand beside the dot of a host name: of ASCII, no punctuation
// but "-" and "_"; of all other characters, any.
func nameByte(c byte) bool {
	return c >= utf8.RuneSelf || c == '-' || c == '_' || isWord(c)
}

// isWord tells letters and digits of ASCII.
func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// isDecimal tells whether the dot at i is the only one of a number, which no other letter touches.
func isDecimal(s string, i int) bool {
	digit := func(at int) bool { return at >= 0 && at < len(s) && '0' <= s[at] && s[at] <= '9' }
	before, after := i-1, i+1
	for digit(before) {
		before--
	}
	for digit(after) {
		after++
	}
	free := func(at int) bool { return at < 0 || at >= len(s) || s[at] == ' ' }
	return before < i-1 && after > i+1 && free(before) && free(after)
}

// escape writes a part of a row, with a backslash before what would act where it stands.
func (w *writer) escape(row string, from, to int) {
	for i := from; i < to; i++ {
		if row[i] == '_' {
			from, i = w.underlines(row, from, i, to)
			continue
		}
		if isPunctuation(row[i]) && w.acts(row, i) {
			w.WriteString(row[from:i])
			w.WriteByte('\\')
			from = i
		}
	}
	w.WriteString(row[from:to])
}

// underlines writes the run of underlines at i, escaped but inside of a word: emphasis begins and ends at the edge of
// one. It gives what is written up to, and the last of the run.
func (w *writer) underlines(row string, from, i, to int) (written, last int) {
	end := i
	for end < to && row[end] == '_' {
		end++
	}
	if isWord(byteAt(row, i-1)) && isWord(byteAt(row, end)) { // other letters may be punctuation
		return from, end - 1
	}
	w.WriteString(row[from:i])
	w.WriteString(strings.Repeat(`\_`, end-i))
	return end, end - 1
}

func isPunctuation(c byte) bool {
	return '!' <= c && c <= '/' || ':' <= c && c <= '@' || '[' <= c && c <= '`' || '{' <= c && c <= '~'
}

// byteAt is the byte of a row at i, and 0 outside of it.
func byteAt(row string, i int) byte {
	if i < 0 || i >= len(row) {
		return 0
	}
	return row[i]
}

// acts tells whether the punctuation at i of a row, other than an underline, would mean something to a renderer.
func (w *writer) acts(row string, i int) bool {
	before, after := byteAt(row, i-1), byteAt(row, i+1)
	first := i == 0
	switch row[i] {
	case '`', '*', '~', '^', '|':
		return true // code, emphasis, strike-through, footnotes, cells
	case '\\':
		return after == 0 || isPunctuation(after)
	case '#': // a heading, a mention; "C#" is none
		return first || before == ' '
	case ':', '-': // a list, a rule, a definition, an admonition
		return first && !isWord(after)
	case '+', '=': // "Notepad++" is no underlined text: that takes two of them
		pair := before == row[i] || after == row[i]
		return pair && w.doubled[strings.IndexByte("+=", row[i])] || first && !isWord(after)
	case '>':
		return first
	case '.', ')':
		return numbersItem(row, i)
	case '[': // a footnote, a task, a reference
		return after == '^' || first && (isBox(row) || w.defines)
	case ']':
		return after == '(' || after == '[' || after == ':'
	case '<':
		return after == '/' || after == '!' || after == '?' || isWord(after)
	case '&':
		return isEntity(row[i+1:])
	case '$':
		return after != 0 && after != ' '
	}
	return false
}

// maxNumber is how many digits number an item of a list (CommonMark 5.2), and how long a reference to a character
// may be, with room.
const maxNumber = 40

// numbersItem tells whether the dot or parenthesis at i makes a list item of the number before it.
func numbersItem(row string, i int) bool {
	if after := byteAt(row, i+1); i > maxNumber || after != 0 && after != ' ' {
		return false
	}
	for _, c := range []byte(row[:i]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// isBox tells whether a row begins with the box of a task.
func isBox(row string) bool {
	return len(row) >= 3 && row[2] == ']' && (row[1] == ' ' || row[1] == 'x' || row[1] == 'X')
}

// isEntity tells whether a text goes on after "&" as a character reference of HTML does.
func isEntity(s string) bool {
	for i := range min(len(s), maxNumber) {
		if s[i] == ';' {
			return i > 0
		}
		if !isWord(s[i]) && (i > 0 || s[i] != '#') {
			return false
		}
	}
	return false
}
