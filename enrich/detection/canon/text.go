package canon

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Clean makes a text fit to be shown: valid UTF-8, no control characters but line feeds, none
// that reorder or hide text (bidirectional controls, tag characters, zero-width spaces), each
// replaced by U+FFFD; at most most UTF-16 units, cut on a rune boundary with "…" as the last. CR LF and CR
// become LF, tabs spaces, and white space around it goes.
func Clean(s string, most int) string {
	return bound(strings.TrimSpace(Plain(s, true)), most)
}

// Line is Clean for a text of one line: line feeds become spaces.
func Line(s string, most int) string {
	return bound(strings.TrimSpace(Plain(s, false)), most)
}

// bound cuts a valid text to most UTF-16 units, in which TheHive counts: an emoji is two.
func bound(s string, most int) string {
	if len(s) <= most { // no text has more units than bytes
		return s
	}
	if most <= 0 {
		return ""
	}
	n, last := 0, 0
	for i, r := range s {
		if n <= most-1 {
			last = i
		}
		if n += max(1, utf16.RuneLen(r)); n > most {
			return strings.TrimRightFunc(s[:last], unicode.IsSpace) + "…"
		}
	}
	return s
}

// BoundBytes cuts a valid text to most bytes on a rune boundary, with "…" where it was cut.
func BoundBytes(s string, most int) string {
	if len(s) <= most {
		return s
	}
	cut := most - len("…")
	if cut <= 0 {
		return ""
	}
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Plain replaces what a text of people does not hold.
func Plain(s string, lines bool) string {
	if IsPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		switch {
		case ' ' <= r && r <= '~':
			b.WriteByte(byte(r))
		case r == '\n' && lines:
			b.WriteByte('\n')
		case r == '\r' && lines:
			if !strings.HasPrefix(s[i+1:], "\n") {
				b.WriteByte('\n')
			}
		case r == '\n', r == '\t', r == '\r', unicode.Is(unicode.Zs, r):
			b.WriteByte(' ')
		case r == '\u2028' || r == '\u2029' || r == '\u0085':
			if lines {
				b.WriteByte('\n')
			} else {
				b.WriteByte(' ')
			}
		case Hides(r):
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r) // an invalid byte is utf8.RuneError already
		}
	}
	return b.String()
}

// IsPlain is the common case: printable ASCII.
func IsPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// Hides tells whether a character is none to be seen, or changes what is seen of others.
// Joiners (U+200C, U+200D) stay: Persian and emoji need them.
func Hides(r rune) bool {
	switch {
	case unicode.Is(unicode.Cc, r):
		return true
	case r == '\u061c', r == '\u180e', r == '\u200b', r == '\u200e', r == '\u200f', r == '\ufeff', r == '\u00ad', r == '\u034f', r == '\u115f', r == '\u1160', r == '\u3164', r == '\uffa0':
		return true
	case '\u202a' <= r && r <= '\u202e', '\u2060' <= r && r <= '\u206f', '\ufff0' <= r && r <= '\ufffb':
		return true
	case 0xe0000 <= r && r <= 0xe0fff, unicode.Is(unicode.Co, r), r&0xfffe == 0xfffe:
		return true
	}
	return false
}

// Escape neutralises a text for a Markdown field of TheHive (TheHive's OpenAPI 5.5.13: the
// descriptions and messages of cases, comments and tasks): rendered, it is the text, and nothing
// but text. It does so for CommonMark and for what GitHub's dialect adds (tables, task lists,
// bare links, strike-through), for formulas and mentions: every ASCII punctuation character
// that any of them gives a meaning is escaped, and white space that would open a code block or a
// line break is made harmless. What a renderer could take for an address by itself (a host name, a
// mail address, anything with a scheme) stands in a code span, since links are looked for after
// escapes are resolved. Line feeds stay line feeds. Escape(Escape(s)) is not Escape(s).
func Escape(s string) string {
	s = Plain(s, true)
	var b strings.Builder
	b.Grow(len(s) + len(s)/4)
	for i, row := range strings.Split(strings.Trim(s, "\n"), "\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		row = strings.TrimRight(row, " ")
		text := strings.TrimLeft(row, " ")
		for range len(row) - len(text) {
			b.WriteRune('\u00a0')
		}
		escapeRow(&b, text)
	}
	return b.String()
}

// Code writes a text of one line as a Markdown code span, as which it means nothing, whatever it
// is; an empty text is none. White space around it goes, line feeds become spaces.
func Code(s string) string {
	var b strings.Builder
	for i, part := range strings.Split(strings.TrimSpace(Plain(s, false)), "|") {
		if i > 0 {
			b.WriteString(`\|`) // in a code span of a table's cell it would end the cell
		}
		if strings.Trim(part, " ") == "" {
			b.WriteString(part)
			continue
		}
		codeSpan(&b, part)
	}
	return b.String()
}

// codeSpan puts a text that is not blank between fences that it does not hold. Where it begins or
// ends with a backtick or a space, the span has spaces of its own, which a renderer takes away.
func codeSpan(b *strings.Builder, s string) {
	longest, run := 0, 0
	for i := range len(s) {
		if run++; s[i] != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	fence, space := strings.Repeat("`", longest+1), ""
	if strings.ContainsRune("` ", rune(s[0])) || strings.ContainsRune("` ", rune(s[len(s)-1])) {
		space = " "
	}
	b.WriteString(fence + space + s + space + fence)
}

// escapeRow escapes one line that starts with no space, word by word.
func escapeRow(b *strings.Builder, row string) {
	if !addresses(row) { // nor is any word of it one
		escapeAll(b, row)
		return
	}
	for row != "" {
		end := strings.IndexFunc(row, parts)
		if end < 0 {
			end = len(row)
		}
		escapeWord(b, row[:end])
		if row = row[end:]; row == "" {
			return
		}
		r, size := utf8.DecodeRuneInString(row)
		if r == '|' {
			b.WriteByte('\\')
		}
		b.WriteString(row[:size])
		row = row[size:]
	}
}

// parts tells what parts words: white space, and what parts the cells of a table.
func parts(r rune) bool { return r == '|' || unicode.IsSpace(r) }

// escapeWord escapes a word; one that could be an address becomes a code span.
func escapeWord(b *strings.Builder, word string) {
	begin, end := 0, len(word)
	for begin < end && classes[word[begin]]&opens != 0 {
		begin++
	}
	for end > begin && classes[word[end-1]]&ends != 0 {
		end--
	}
	if !addresses(word[begin:end]) {
		escapeAll(b, word)
		return
	}
	escapeAll(b, word[:begin])
	codeSpan(b, word[begin:end])
	escapeAll(b, word[end:])
}

// addresses tells whether a text holds what a renderer may take for an address: a scheme, a mail
// address, or a dot within a name.
func addresses(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case '@':
			return true
		case '/':
			if i > 0 && s[i-1] == '/' {
				return true
			}
		case '.':
			if i > 0 && i < len(s)-1 && nameByte(s[i-1]) && nameByte(s[i+1]) {
				return true
			}
		}
	}
	return false
}

// nameByte tells whether a byte can stand beside the dot of a host name: of ASCII, no punctuation
// but "-" and "_"; of all other characters, any.
func nameByte(c byte) bool {
	return c >= utf8.RuneSelf || c == '-' || c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func escapeAll(b *strings.Builder, s string) {
	from := 0
	for i := range len(s) {
		if classes[s[i]]&means != 0 {
			b.WriteString(s[from:i])
			b.WriteByte('\\')
			from = i
		}
	}
	b.WriteString(s[from:])
}

// class says what an ASCII punctuation character can be in Markdown: a set of the three below.
type class uint8

const (
	means class = 1 << iota // Markdown, or a dialect of it, gives it a meaning
	opens                   // it stands before a word and belongs to no address
	ends                    // it stands after a word and belongs to no address
)

// classes is the class of every byte. All that means nothing of ASCII punctuation are comma,
// semicolon, quotation marks, "?" and "%".
var classes = [256]class{
	'\\': means, '`': means, '*': means, '_': means, '#': means, '+': means, '-': means, '|': means,
	'~': means, '=': means, '@': means, '&': means, '/': means, '^': means, '$': means,
	'{': means | opens, '[': means | opens, '(': means | opens, '<': means | opens,
	'}': means | ends, ']': means | ends, ')': means | ends, '>': means | ends, '.': means | ends, '!': means | ends, ':': means | ends,
	'"': opens | ends, '\'': opens | ends,
	',': ends, ';': ends, '?': ends,
}
