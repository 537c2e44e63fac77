package enrich

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"cel.dev/cel-go/cel"

	"forager/enrich/detection"
)

// A text is a template of a route: literal parts, and placeholders that CEL fills in. What a
// placeholder gives is escaped for where it goes, so that no event can extend what the text makes.
type text struct {
	parts []filled
	kind  textKind
	fixed string // all of a text without placeholders, which has no parts
}

// filled is a literal part of a text, and what a program gives after it.
type filled struct {
	literal  string
	program  cel.Program // nil gives nothing
	escaping escaping
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
	var wrong []*RuleError
	before := ""
	for _, p := range parts {
		f, err := env.fill(p, kind, before)
		if err != nil {
			wrong = append(wrong, err)
		}
		t.parts = append(t.parts, f)
		before += cmp.Or(p.literal, "x")
	}
	return t, wrong
}

// fill makes a part of a text, which others come before.
func (c conditions) fill(p part, kind textKind, before string) (filled, *RuleError) {
	if p.expression == "" {
		return filled{literal: p.literal}, nil
	}
	f, err := escapeFor(kind, before)
	if err != nil {
		return filled{}, &RuleError{Line: p.line, Column: p.column, Err: err}
	}
	var wrong *RuleError
	f.program, wrong = c.compile(p.expression, sayable)
	return f, wrong.from(p.line, p.column)
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

// address is the end of a Markdown text that leads into the address of a link.
var address = regexp.MustCompile(`\]\(\s*<?([^\s()<>]*)$`)

// escapeFor gives what keeps a value a value, where it stands after a text.
func escapeFor(kind textKind, before string) (filled, error) {
	encoded := filled{escaping: escaping{encodeWhole, encodeWhole(", ")}}
	if kind == plainText {
		return filled{escaping: escaping{func(s string) string { return s }, ", "}}, nil
	}
	if kind == linkText {
		return encoded, nil
	}
	if at := address.FindStringSubmatch(before); at != nil {
		if !fixedHost(at[1], true) {
			return filled{}, fmt.Errorf("the address of a link %w", errHost)
		}
		return encoded, nil
	}
	f := filled{escaping: escaping{detection.Escape, ", "}}
	if (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1 {
		f.literal = `\` // else the backslash before would undo the first one that escapes
	}
	return f, nil
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
	for _, p := range t.parts {
		b.WriteString(p.literal)
		if p.program != nil {
			v, err := run(p.program, s)
			if err != nil {
				return "", err
			}
			said, err := p.escaping.say(v)
			if err != nil {
				return "", err
			}
			b.WriteString(said)
		}
		if b.Len() > maxRendered {
			return "", errTooLong
		}
	}
	return t.finish(b.String()), nil
}

// finish cleans a plain text, whatever it consists of.
func (t *text) finish(s string) string {
	if t.kind == plainText {
		return detection.Clean(s, maxRendered)
	}
	return s
}
