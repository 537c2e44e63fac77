package rules

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"cel.dev/cel-go/cel"

	"forager/enrich/detection/canon"
)

// A text is a template of a route: literal parts, and placeholders that CEL fills in. What a
// placeholder gives is written as its place asks (see position), so that no event can extend what the
// text makes.
type text struct {
	parts []filled
	kind  textKind
	fixed string   // all of a text without placeholders, which has no parts
	links *allowed // of Markdown: what it may lead to
}

// filled is a literal part of a text, or a placeholder's program and place.
type filled struct {
	literal string
	program cel.Program // nil gives nothing
	place   position
	joined  bool // the next placeholder follows at once: their values are one text
}

type textKind int

const (
	plainText textKind = iota
	markdownText
	linkText
)

// maxRendered bounds what a template makes, in bytes.
const maxRendered = 64 << 10

var (
	errTooLong = errors.New("result is too long")
	errHost    = errors.New("must begin with https:// and a whole host, before anything of the detection")
)

// newText checks a template and every expression in it.
func newText(env conditions, source string, kind textKind) (*text, []*RuleError) {
	if source == "" {
		return nil, nil
	}
	if len(source) > maxRendered {
		return nil, []*RuleError{{Err: fmt.Errorf("is longer than %d bytes", maxRendered)}}
	}
	parts, err := split(source)
	if err != nil {
		return nil, []*RuleError{err}
	}
	if kind == linkText && !fixedHost(parts[0].literal, len(parts) > 1) {
		return nil, []*RuleError{{Line: 1, Column: 1, Err: errHost}}
	}
	t := &text{kind: kind}
	if len(parts) == 1 && parts[0].expression == "" {
		t.fixed = t.finish(source)
		return t, nil
	}
	places, links, wrong := placesIn(parts, kind)
	t.links = links
	for i, p := range parts {
		f := filled{literal: p.literal, place: places[i]}
		if p.expression != "" {
			var err *RuleError
			if f.program, err = env.compile(p.expression, sayable); err != nil {
				wrong = append(wrong, err.from(p.line, p.column))
			}
			f.joined = places[i] == inText && i+1 < len(parts) && parts[i+1].expression != ""
		}
		t.parts = append(t.parts, f)
	}
	return t, wrong
}

// from turns the place in an expression into one in the text, where the expression begins there.
func (e *RuleError) from(line, column int) *RuleError {
	switch {
	case e == nil:
	case e.Line < 1:
		e.Line, e.Column = line, column
	case e.Line == 1:
		e.Line, e.Column = line, e.Column+column-1
	default:
		e.Line += line - 1
	}
	return e
}

// fixedHost tells whether what stands before anything of an event has scheme and host; where more
// follows, the host must have ended.
func fixedHost(literal string, more bool) bool {
	u, err := url.Parse(literal)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil &&
		(!more || strings.ContainsAny(literal[len(u.Scheme)+len("://"):], "/?#"))
}

// render fills the text in for a detection.
func (t *text) render(s Seen) (string, error) {
	if t.parts == nil {
		return t.fixed, nil
	}
	var b strings.Builder
	value, before := "", ""
	for i, p := range t.parts {
		b.WriteString(p.literal)
		if p.program == nil {
			before = p.literal
			continue
		}
		v, err := run(p.program, s)
		if err != nil {
			return "", err
		}
		said, err := say(v)
		if err != nil {
			return "", err
		}
		if value += said; p.joined {
			continue
		}
		b.WriteString(p.place.write(value, before, t.literalAt(i+1)))
		if value, before = "", "x"; b.Len() > maxRendered {
			return "", errTooLong
		}
	}
	if b.Len() > maxRendered {
		return "", errTooLong
	}
	out := t.finish(b.String())
	return out, t.links.hold(out)
}

// literalAt is the literal part of an index; empty where there is none.
func (t *text) literalAt(i int) string {
	if i >= len(t.parts) {
		return ""
	}
	return t.parts[i].literal
}

// finish cleans a plain text, whatever it consists of.
func (t *text) finish(s string) string {
	if t.kind == plainText {
		return canon.Clean(s, maxRendered)
	}
	return s
}
