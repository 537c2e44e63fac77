package stream

import (
	"strings"

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
