package config

import (
	"cmp"
	"strings"
	"unicode/utf8"
)

// Mistake is what somebody who understands a value found wrong in it: a condition that does not
// compile, a template that names what no detection has.
type Mistake struct {
	Key          string // "routes[2].case.fields[1].value"
	Line, Column int    // in the value, from 1, the column in characters; 0 is unknown
	Err          error
}

// Wrong tells where in the files mistakes are, as the error that Load would have given. The
// place is exact where the value stands in the file as it is read; in a folded or escaped text it
// is that of the value.
func (c *Config) Wrong(mistakes ...Mistake) *Error {
	e := &Error{Name: c.name}
	for _, m := range mistakes {
		p := &Problem{Key: m.Key, Err: ErrValue, Detail: m.Err.Error()}
		at, ok := placeIn(c.places, m.Key)
		if ok {
			p.File, p.Line, p.Column = at.file, at.line, at.column
			if line, column, exact := at.within(m.Line, m.Column); exact {
				p.Line, p.Column = line, column
			}
			if at.env != "" {
				p.Key += " (in " + at.env + ")"
			}
		}
		e.Problems = append(e.Problems, p)
	}
	return e
}

// Mistaken is Wrong where there may be no mistake: then it is nil.
func (c *Config) Mistaken(mistakes ...Mistake) error {
	if len(mistakes) == 0 {
		return nil
	}
	return c.Wrong(mistakes...)
}

// placeIn gives the place of a key, or of the nearest that holds it.
func placeIn(places map[string]place, key string) (place, bool) {
	for key != "" {
		if at, ok := places[key]; ok {
			return at, true
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return place{}, false
}

// within turns a place in a value into one in the file, if the file shows the value as it is.
func (p place) within(line, column int) (int, int, bool) {
	if line < 1 || p.line < 1 || p.env != "" {
		return 0, 0, false
	}
	column = max(column, 1)
	value := strings.Split(p.text, "\n")
	if line > len(value) {
		return 0, 0, false
	}
	before := firstRunes(value[line-1], column-1)
	if p.block {
		return p.withinBlock(line, column, before)
	}
	if line > 1 {
		return 0, 0, false
	}
	head, rest := cutRunes(lineOf(p.source, p.line), p.column-1)
	quote := 0
	if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
		quote = 1
	}
	if head == "" && p.column > 1 || !strings.HasPrefix(rest[quote:], before) {
		return 0, 0, false
	}
	return p.line, p.column + quote + column - 1, true
}

// withinBlock: the text of a literal block begins in the line after its mark, as deep as its
// first line that is not empty.
func (p place) withinBlock(line, column int, before string) (int, int, bool) {
	deep := 0
	for n := p.line + 1; ; n++ {
		text := lineOf(p.source, n)
		if text == "" && n > p.line+1+strings.Count(p.text, "\n") {
			return 0, 0, false
		}
		if trimmed := strings.TrimLeft(text, " "); strings.TrimSpace(trimmed) != "" {
			deep = len(text) - len(trimmed)
			break
		}
	}
	here := lineOf(p.source, p.line+line)
	if len(here) < deep || !strings.HasPrefix(here[deep:], before) {
		return 0, 0, false
	}
	return p.line + line, deep + column, true
}

// lineOf gives a line of a text, counted from 1.
func lineOf(text string, n int) string {
	for line := range strings.Lines(text) {
		if n--; n == 0 {
			return strings.TrimRight(line, "\r\n")
		}
	}
	return ""
}

// firstRunes gives the first n characters of a text.
func firstRunes(s string, n int) string {
	head, _ := cutRunes(s, n)
	return head
}

// cutRunes cuts a text after n characters.
func cutRunes(s string, n int) (head, rest string) {
	at := 0
	for range n {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return s[:at], s[at:]
}

// fileOf names the file of a problem: its own, else the configuration's.
func (p *Problem) fileOf(name string) string { return cmp.Or(p.File, name) }
