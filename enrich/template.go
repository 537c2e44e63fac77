package enrich

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode/utf8"

	"forager/enrich/detection"
)

// A text is a template of a route. What the detection says is escaped for where the text goes,
// before the template sees it, so that no event can extend the template or what it makes.
type text struct {
	t    *template.Template
	kind textKind
}

type textKind int

const (
	plainText textKind = iota
	markdownText
	linkText
)

// maxRendered bounds what a template makes, in bytes.
const maxRendered = 64 << 10

var errTooLong = errors.New("result is too long")

var templatePlace = regexp.MustCompile(`^template: [^:]*:(\d+)(?::(\d+))?: (.*)$`)

// newText checks a template by running it over an empty detection.
func newText(source string, kind textKind) (*text, *RuleError) {
	if source == "" {
		return nil, nil
	}
	parsed, err := template.New("t").Option("missingkey=error").Parse(source)
	if err != nil {
		return nil, placed1(source, err)
	}
	t := &text{parsed, kind}
	if kind == linkText {
		if err := fixedHost(parsed); err != nil {
			return nil, &RuleError{Line: 1, Column: 1, Err: err}
		}
	}
	// Only a name that no detection has is surely wrong; an index may exist in another detection.
	_, err = t.render(Seen{Tags: []string{""}, Techniques: []string{""}, Observables: []SeenObservable{{}}})
	if err != nil && strings.Contains(err.Error(), "can't evaluate field") {
		return nil, placed1(source, err)
	}
	return t, nil
}

// placed1 reads line and column out of a template's error.
func placed1(source string, err error) *RuleError {
	part := templatePlace.FindStringSubmatch(err.Error())
	if part == nil {
		return &RuleError{Err: err}
	}
	line, _ := strconv.Atoi(part[1])
	bytes, _ := strconv.Atoi(part[2]) // from 0; parse errors have none
	return &RuleError{Line: line, Column: columnOf(source, line, bytes), Err: errors.New(part[3])}
}

// columnOf counts in characters, as conditions do, what the template engine counts in bytes.
func columnOf(source string, line, bytes int) int {
	lines := strings.Split(source, "\n")
	if line < 1 || line > len(lines) || bytes > len(lines[line-1]) {
		return 1
	}
	return utf8.RuneCountInString(lines[line-1][:bytes]) + 1
}

// fixedHost demands that scheme and host stand in the template before anything of an event.
func fixedHost(t *template.Template) error {
	first, ok := t.Root.Nodes[0].(*parse.TextNode)
	if !ok {
		return errors.New("must begin with https:// and a host")
	}
	u, err := url.Parse(string(first.Text))
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil ||
		len(t.Root.Nodes) > 1 && !strings.ContainsAny(strings.TrimPrefix(string(first.Text), u.Scheme+"://"), "/?#") {
		return errors.New("must begin with https:// and a whole host, before anything of the detection")
	}
	return nil
}

// render runs the template over a detection.
func (t *text) render(s Seen) (string, error) {
	switch t.kind {
	case markdownText:
		s = s.each(detection.Escape)
	case linkText:
		s = s.each(encodeWhole)
	case plainText:
	}
	b := &bounded{left: maxRendered}
	if err := t.t.Execute(b, s); err != nil {
		return "", err
	}
	if t.kind == plainText {
		return detection.Clean(b.String(), maxRendered), nil
	}
	return b.String(), nil
}

// bounded is a builder that refuses to grow beyond a limit.
type bounded struct {
	strings.Builder
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errTooLong
	}
	return b.Builder.Write(p)
}

// levels are the words for severity, TLP and PAP.
var (
	severityWords = map[string]int{"low": 1, "medium": 2, "high": 3, "critical": 4}
	tlpWords      = map[string]int{"clear": 0, "white": 0, "green": 1, "amber": 2, "amber+strict": 3, "red": 4}
	papWords      = map[string]int{"clear": 0, "white": 0, "green": 1, "amber": 2, "red": 3}
)

// level reads a number within bounds, or a word.
func level(s string, words map[string]int, low, high int) (int, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if n, ok := words[s]; ok {
		return n, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q is no level from %d to %d", s, low, high)
	}
	return n, nil
}

// typed turns the text of a custom field into the value that TheHive takes for its type.
func typed(kind, s string) (any, error) {
	switch kind {
	case "", "string", "url":
		return s, nil
	case "integer":
		return strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	case "float":
		return strconv.ParseFloat(strings.TrimSpace(s), 64)
	case "boolean":
		return strconv.ParseBool(strings.TrimSpace(s))
	case "date":
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, nil
		}
		at, err := time.Parse(time.RFC3339, strings.TrimSpace(s))
		return at.UnixMilli(), err
	default:
		return nil, fmt.Errorf("%q is no type of a custom field", kind)
	}
}
