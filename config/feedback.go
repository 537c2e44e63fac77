package config

import "strings"

// feedback: what sources are told must not come back as detections.
func (l *loader) feedback() {
	f := l.config.Feedback
	l.name("feedback.stream", f.Stream)
	if f.Subject == "" {
		return
	}
	if !validSubject(f.Subject) || strings.ContainsAny(f.Subject, "*>") {
		l.refuse("feedback.subject", ErrValue, "expected words parted by dots, no wildcards")
		return
	}
	if f.Stream == "" {
		l.refuse("feedback.stream", ErrMissing, "needed with feedback.subject")
	}
	for _, s := range l.config.NATS.Subjects {
		if meet(s, f.Subject+".*.*.*") {
			l.refuse("feedback.subject", ErrValue, f.Subject+".> lies within nats.subjects ("+s+"): what is told would be consumed as detections")
		}
	}
}

// meet tells whether a subject can match two patterns.
func meet(a, b string) bool {
	one, other := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(one), len(other)) {
		if i >= len(one) || i >= len(other) {
			return false
		}
		switch x, y := one[i], other[i]; {
		case x == ">" || y == ">":
			return true
		case x != y && x != "*" && y != "*":
			return false
		}
	}
	return true
}
