// Package malformed says why a message, or a part of it, cannot be read: a bounded reason, and a detail for people.
package malformed

import "errors"

// Reasons of an [Error]: bounded, fit for the label of a metric.
const (
	InvalidJSON   = "invalid json"
	InvalidUTF8   = "invalid utf-8" // and, without the bytes that are none, no JSON
	TooDeep       = "too deep"
	TooManyKeys   = "too many keys" // or values
	UnknownFormat = "unknown format"
	NothingToRead = "nothing to read" // a known format, and not a title, rule, host or observable in it
	TooMany       = "too many detections"
	TooLarge      = "too large" // what base64 and gzip in it decode to
	Empty         = "empty message"
)

// Error tells why a message, or a part of it, cannot be read.
type Error struct {
	Reason string // one of the constants above
	Detail string // for people; never a text of the message
	Err    error  // cause, may be nil
}

// Error says reason and detail.
func (e *Error) Error() string {
	s := "detection: " + e.Reason
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error with a reason and what people are told besides.
func New(reason, detail string) *Error {
	return &Error{Reason: reason, Detail: detail}
}

// Is tells whether err is malformed for this reason.
func Is(err error, reason string) bool {
	m, ok := errors.AsType[*Error](err)
	return ok && m.Reason == reason
}
