package shell

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Printer writes for people and their terminals: what a terminal would obey, and what hides or
// reorders other characters, is written as \u and four digits, as JSON does, wherever it came from.
// What is no UTF-8 becomes U+FFFD. Line feeds and tabs stay. Safe for concurrent use.
type Printer struct {
	mu   sync.Mutex
	to   io.Writer
	rest []byte // a character whose end is not written yet
}

// NewPrinter writes to another writer.
func NewPrinter(to io.Writer) *Printer { return &Printer{to: to} }

// Write writes all of a text, or fails.
func (p *Printer) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := text
	if len(p.rest) > 0 {
		all, p.rest = append(p.rest, text...), nil
	}
	if !harmless(all) {
		all = p.harmless(all)
	}
	if _, err := p.to.Write(all); err != nil {
		return 0, err
	}
	return len(text), nil
}

// harmless is the common case, looked at for every line of a log: printable ASCII.
func harmless(text []byte) bool { return plain(text) == len(text) }

// plain is how many bytes at the beginning are printable ASCII, line feeds and tabs.
func plain(text []byte) int {
	for i, b := range text {
		if (b < ' ' || b > '~') && b != '\n' && b != '\t' {
			return i
		}
	}
	return len(text)
}

func (p *Printer) harmless(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/4)
	for {
		n := plain(text)
		out, text = append(out, text[:n]...), text[n:]
		if len(text) == 0 {
			break
		}
		if !utf8.FullRune(text) {
			p.rest = bytes.Clone(text)
			break
		}
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case !Acts(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			a, b := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, a, b)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// Harmless is what a printer writes of a whole text.
func Harmless(text string) string {
	if plain([]byte(text)) == len(text) {
		return text
	}
	return string(new(Printer).harmless([]byte(strings.ToValidUTF8(text, "\ufffd"))))
}

// Acts tells whether a character does something to a terminal, or to how others are seen. Joiners
// stay: Persian and emoji need them.
func Acts(r rune) bool {
	switch r {
	case '\n', '\t', '\u200c', '\u200d':
		return false
	case '\u2028', '\u2029', '\u034f', '\u115f', '\u1160', '\u3164', '\uffa0', '\u2800':
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) || 0xe0000 <= r && r <= 0xe0fff
}
