package stream

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go/jetstream"
)

// ValidName tells whether JetStream takes a text as the name of a stream, consumer or bucket.
func ValidName(name string) bool {
	return name != "" && !strings.ContainsAny(name, ".*> \t\r\n/\\")
}

// SetFilters gives a consumer its filters, in the form that the fewest permissions suffice for.
func SetFilters(c *jetstream.ConsumerConfig, subjects []string) {
	if len(subjects) == 1 {
		c.FilterSubject = subjects[0]
		return
	}
	c.FilterSubjects = subjects
}

// Filters are a consumer's filters, in whichever form they were given; without any it takes
// everything.
func Filters(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return c.FilterSubjects
}

// Uncovered are the wanted subjects that no subject of a stream takes.
func Uncovered(subjects, wanted []string) []string {
	var missed []string
	for _, w := range wanted {
		if !slices.ContainsFunc(subjects, func(s string) bool { return Covers(s, w) }) {
			missed = append(missed, w)
		}
	}
	return missed
}

// Covers tells whether everything of one subject, wildcards and all, is of another.
func Covers(wide, narrow string) bool {
	w, n := strings.Split(wide, "."), strings.Split(narrow, ".")
	for i, word := range w {
		switch {
		case word == ">":
			return len(n) > i
		case i >= len(n), n[i] == ">", word != "*" && word != n[i]:
			return false
		}
	}
	return len(w) == len(n)
}

// AckWait is how long the server waits for an answer, and what says so.
func AckWait(c jetstream.ConsumerConfig) (wait time.Duration, name string) {
	if len(c.BackOff) > 0 {
		return c.BackOff[0], "the first back-off, which replaces ack_wait,"
	}
	return c.AckWait, "ack_wait"
}

// OneLine makes a stranger's text fit for a header or a line of a log: valid UTF-8 without control characters.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// Cut shortens a text to at most so many bytes, at a rune's border.
func Cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xC0 == 0x80 {
		most--
	}
	return s[:most]
}
