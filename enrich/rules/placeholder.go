package rules

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A text is literal but for its placeholders: {{ expression }}. What stands here finds them, and
// leaves the expressions to CEL.

const (
	opens  = "{{"
	closes = "}}"
)

var errQuote = errors.New("a quotation mark is not closed")

// part is a literal piece of a text, or the expression of a placeholder.
type part struct {
	literal      string
	expression   string // without the white space around it; "" is a literal
	line, column int    // where the expression begins in the text, from 1, in characters
}

// split takes a text apart. What it refuses, it refuses with its place.
func split(source string) ([]part, *RuleError) {
	var parts []part
	rest := 0
	for {
		literal, _, more := strings.Cut(source[rest:], opens)
		if literal != "" {
			parts = append(parts, part{literal: literal})
		}
		if !more {
			return parts, nil
		}
		begin := rest + len(literal) + len(opens)
		end, wrong, err := closing(source, begin)
		if err != nil {
			return nil, ruleErrorAt(source, wrong, err)
		}
		inner := source[begin:end]
		if err := foreign(inner); err != nil {
			return nil, ruleErrorAt(source, begin-len(opens), err)
		}
		blank := len(inner) - len(strings.TrimLeft(inner, " \t\r\n\f"))
		line, column := placeIn(source, begin+blank)
		parts = append(parts, part{expression: strings.TrimSpace(inner), line: line, column: column})
		rest = end + len(closes)
	}
}

// closing finds where the placeholder ends whose expression begins at an offset: at braces that
// stand in no quotation marks, in no comment, and in no braces of the expression's own. An error comes with its offset.
func closing(source string, begin int) (end, wrong int, err error) {
	deep, comment := 0, ""
	for i := begin; i < len(source); i++ {
		switch c := source[i]; {
		case c == '"' || c == '\'':
			after := quoted(source, i, raw(source[begin:i]))
			if after < 0 {
				return 0, i, errQuote
			}
			i = after - 1
		case strings.HasPrefix(source[i:], "//"):
			line, _, _ := strings.Cut(source[i:], "\n")
			i += len(line) - 1
			comment = ": // is a comment, to the end of its line"
		case c == '{':
			deep++
		case c == '}' && deep > 0:
			deep--
		case strings.HasPrefix(source[i:], closes):
			return i, 0, nil
		}
	}
	return 0, begin - len(opens), fmt.Errorf("%s is not closed by %s%s", opens, closes, comment)
}

// quoted gives the offset after the string literal of CEL that begins at an offset, -1 where it does not end.
func quoted(source string, at int, raw bool) int {
	mark := source[at : at+1]
	if long := strings.Repeat(mark, 3); strings.HasPrefix(source[at:], long) {
		mark = long
	}
	for i := at + len(mark); i < len(source); i++ {
		switch c := source[i]; {
		case strings.HasPrefix(source[i:], mark):
			return i + len(mark)
		case c == '\\' && !raw:
			i++
		case len(mark) == 1 && (c == '\n' || c == '\r'):
			return -1
		}
	}
	return -1
}

var rawPrefix = regexp.MustCompile(`(?:^|[^0-9A-Za-z_])[bB]?[rR]$`)

// raw tells whether what stands before a quotation mark makes the string literal one without escapes.
func raw(before string) bool { return rawPrefix.MatchString(before) }

var (
	dotted   = regexp.MustCompile(`^\s*-?\s*\.((?:Rule\.)?[A-Za-z]+)?`)
	digits   = regexp.MustCompile(`^\s*-?\s*\.[0-9]`)
	trimming = regexp.MustCompile(`^-\s`)
	keyword  = regexp.MustCompile(`^\s*(if|else|end|range|with|index|len|printf)\b`)
)

// instead is what CEL has for words with which placeholders begin in other languages.
var instead = map[string]string{
	"if": `{{ condition ? "this" : "that" }}`, "else": `{{ condition ? "this" : "that" }}`, "end": `{{ condition ? "this" : "that" }}`,
	"range": `{{ detection.observables.map(o, o.data).join(", ") }}`, "with": `{{ detection.user != "" ? detection.user : "nobody" }}`,
	"index": `{{ detection.tags[0] }}`, "len": `{{ detection.tags.size() }}`, "printf": `{{ "%s".format([detection.host]) }}`,
}

// foreign refuses what cannot be CEL and is easily written out of habit, for which CEL's own
// message helps nobody.
func foreign(inner string) error {
	if strings.TrimSpace(inner) == "" {
		return errors.New("placeholder is empty: write {{ detection.host }}")
	}
	if word := keyword.FindStringSubmatch(inner); word != nil {
		return fmt.Errorf("%q is no CEL: write something like %s", word[1], instead[word[1]])
	}
	if at := dotted.FindStringSubmatch(inner); at != nil && !digits.MatchString(inner) {
		name := strings.ToLower(at[1])
		if name == "" {
			name = "host"
		}
		return fmt.Errorf("a placeholder does not begin with a dot: write {{ detection.%s }}", name)
	}
	if trimming.MatchString(inner) {
		return errors.New("{{- is no mark of its own: write {{ and }}")
	}
	return nil
}

// ruleErrorAt is an error at a byte of a text.
func ruleErrorAt(source string, at int, err error) *RuleError {
	line, column := placeIn(source, at)
	return &RuleError{Line: line, Column: column, Err: err}
}

// placeIn gives line and column of a byte of a text, as CEL counts them: from 1, in characters.
func placeIn(source string, at int) (line, column int) {
	before := source[:at]
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
}
