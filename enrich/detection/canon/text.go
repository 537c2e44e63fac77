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
