package pipeline

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTheSubjectOfADeadLetterIsTheOriginalAndActsNowhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		subject := string(rapid.SliceOf(rapid.Byte()).Draw(r, "subject"))
		written := encodeSubject(subject)
		if strings.ContainsFunc(written, func(c rune) bool { return c <= ' ' || c > '~' }) {
			r.Fatalf("%q is written as %q", subject, written)
		}
		if got := decodeSubject(written); got != subject {
			r.Fatalf("%q is read as %q", subject, got)
		}
	})
	for _, old := range []string{"detections.acme", "detections.100%", "a.%zz", "a.%41"} { // as letters of before hold it
		if got := decodeSubject(old); got != old {
			t.Errorf("%q is read as %q", old, got)
		}
	}
}
