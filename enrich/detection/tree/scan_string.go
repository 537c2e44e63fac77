package tree

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// quoted reads a string. One without escapes is a part of the source, not a copy.
func (s *scanner) quoted() (string, error) {
	s.pos++ // "
	start := s.pos
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; {
		case c == '"':
			v := s.src[start:s.pos]
			s.pos++
			return v, nil
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return "", s.broken("a control character in a string")
		}
		s.pos++
	}
	return "", s.broken("a string without an end")
}

func (s *scanner) escaped(start int) (string, error) {
	var b strings.Builder
	b.Grow(2 * (s.pos - start + 16))
	b.WriteString(s.src[start:s.pos])
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; {
		case c == '"':
			s.pos++
			return b.String(), nil
		case c < ' ':
			return "", s.broken("a control character in a string")
		case c == '\\':
			if err := s.escape(&b); err != nil {
				return "", err
			}
		default:
			run := s.pos
			for s.pos < len(s.src) && s.src[s.pos] != '"' && s.src[s.pos] != '\\' && s.src[s.pos] >= ' ' {
				s.pos++
			}
			b.WriteString(s.src[run:s.pos])
		}
	}
	return "", s.broken("a string without an end")
}

func (s *scanner) escape(b *strings.Builder) error {
	if s.pos+1 >= len(s.src) {
		return s.broken("a string without an end")
	}
	c := s.src[s.pos+1]
	if c == 'u' {
		return s.unicode(b)
	}
	at := strings.IndexByte(`"\/bfnrt`, c)
	if at < 0 {
		return s.broken("an unknown escape")
	}
	b.WriteByte("\"\\/\b\f\n\r\t"[at])
	s.pos += 2
	return nil
}

// unicode reads \uXXXX, and its second half where it is a surrogate; half a pair becomes U+FFFD.
func (s *scanner) unicode(b *strings.Builder) error {
	r, ok := s.hex(s.pos)
	if !ok {
		return s.broken("no four hexadecimal digits after \\u")
	}
	s.pos += 6
	if utf16.IsSurrogate(r) {
		low, ok := s.hex(s.pos)
		if full := utf16.DecodeRune(r, low); ok && full != utf8.RuneError {
			s.pos += 6
			b.WriteRune(full)
			return nil
		}
		r = utf8.RuneError
	}
	b.WriteRune(r)
	return nil
}

func (s *scanner) hex(at int) (rune, bool) {
	if at+6 > len(s.src) || s.src[at] != '\\' || s.src[at+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s.src[at+2 : at+6]) {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
