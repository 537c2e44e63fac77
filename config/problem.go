package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What can be wrong with one key. A [Problem] wraps one of them.
var (
	ErrUnknown = errors.New("unknown")           // there is no such key or variable
	ErrValue   = errors.New("impossible value")  // the value cannot be read, or cannot work
	ErrMissing = errors.New("missing")           // the key is needed and nobody gave it
	ErrText    = errors.New("not readable YAML") // the file as a whole is broken
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Key    string // "hive.timeout", or the name of a variable; empty when the text as a whole is broken
	Value  string // as it was written; empty when there is none, "[redacted]" for a secret
	File   string // that it is in; empty is the configuration's own
	Line   int    // line in the file, 1 is the first; 0 when the file is not where it came from
	Column int    // column in the line, 1 is the first; 0 with Line 0
	Detail string // what is wrong, and what would be right
	Err    error  // ErrUnknown, ErrValue, ErrMissing or ErrText
}

// Error gives the problem in one line, without the file's name.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", p.Line, p.Column)
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	if p.Value != "" {
		fmt.Fprintf(&b, "%q: ", shorten(p.Value))
	}
	b.WriteString(p.Err.Error())
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	return b.String()
}

// Unwrap gives the kind of the problem.
func (p *Problem) Unwrap() error { return p.Err }

// Error is everything that is wrong with a configuration.
type Error struct {
	Name     string // of the file; empty when there was none
	Problems []*Problem
}

// Error gives one problem a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
		if name := p.fileOf(e.Name); p.Line > 0 && name != "" || p.File != "" {
			lines[i] = name + ": " + lines[i]
		}
	}
	return "configuration: " + strings.Join(lines, "\nconfiguration: ")
}

// Unwrap gives the problems, for errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	errs := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		errs[i] = p
	}
	return errs
}

// Join makes one error of those that several found in the same configuration: problems in the order
// of the file, and of a key that an earlier error names already, a later one says nothing new. What
// is no *[Error] follows as it is. It is nil when every error is.
func Join(errs ...error) error {
	var whole *Error
	var others []error
	for _, err := range errs {
		e, ok := err.(*Error) //nolint:errorlint // one that is wrapped has more to say than its problems
		switch {
		case !ok:
			others = append(others, err)
		case whole == nil:
			whole = &Error{Name: e.Name, Problems: slices.Clone(e.Problems)}
		default:
			whole.Problems = append(whole.Problems, slices.DeleteFunc(slices.Clone(e.Problems), whole.names)...)
		}
	}
	if whole == nil {
		return errors.Join(others...)
	}
	slices.SortStableFunc(whole.Problems, inOrder)
	if others = slices.DeleteFunc(others, func(err error) bool { return err == nil }); len(others) == 0 {
		return whole
	}
	return errors.Join(append([]error{whole}, others...)...)
}

// names tells whether there is a problem of the same key.
func (e *Error) names(p *Problem) bool {
	return slices.ContainsFunc(e.Problems, func(other *Problem) bool { return other.Key == p.Key })
}

// inOrder puts the configuration's own file first, then those beside it, then what stands in no
// file: variables, and what is missing.
func inOrder(a, b *Problem) int {
	nowhere := func(p *Problem) int {
		if p.Line == 0 && p.File == "" {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(nowhere(a), nowhere(b)), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

// shorten keeps a value that somebody pasted by accident from filling the screen.
func shorten(s string) string {
	const most = 80
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most]) + "…"
}
