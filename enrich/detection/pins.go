package detection

import (
	"errors"
	"strings"
)

// checkPattern refuses what NATS would not take as a subject with wildcards.
func checkPattern(pattern string) error {
	tokens := strings.Split(pattern, ".")
	for i, t := range tokens {
		switch {
		case t == "":
			return errors.New("an empty token")
		case strings.ContainsAny(t, " \t\r\n"):
			return errors.New("white space")
		case t == ">" && i != len(tokens)-1:
			return errors.New(`">" is not the last token`)
		case t != "*" && t != ">" && strings.ContainsAny(t, "*>"):
			return errors.New("a wildcard is a token of its own")
		}
	}
	return nil
}

// MatchSubject tells whether a subject is of a pattern, as NATS does.
func MatchSubject(pattern, subject string) bool {
	for {
		p, patternRest, morePattern := strings.Cut(pattern, ".")
		if p == ">" {
			return subject != ""
		}
		s, subjectRest, moreSubject := strings.Cut(subject, ".")
		if s == "" || p != "*" && p != s || morePattern != moreSubject {
			return false
		}
		if !morePattern {
			return true
		}
		pattern, subject = patternRest, subjectRest
	}
}
