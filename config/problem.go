package config

import (
	"errors"
	"fmt"
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

// shorten keeps a value that somebody pasted by accident from filling the screen.
func shorten(s string) string {
	const most = 80
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most]) + "…"
}
