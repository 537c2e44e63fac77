package hive

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Errors that callers may look for with errors.Is.
var (
	// ErrInvalid is wrapped by every [*InvalidError].
	ErrInvalid = errors.New("invalid input")
	// ErrTooLarge is wrapped when an answer exceeds Options.MaxResponseBytes.
	ErrTooLarge = errors.New("answer too large")
	// ErrShape is wrapped when a 2xx answer is not what the endpoint promises:
	// truncated or foreign JSON, a login page, an object without its id.
	ErrShape = errors.New("unexpected answer")
	// ErrLonger is wrapped when an Upload has more bytes than its Size.
	ErrLonger = errors.New("body is longer than its size")
	// ErrMoved is wrapped when a list kept changing while it was read page by page.
	ErrMoved = errors.New("list changed while it was read")
)

// InvalidError is input that TheHive cannot accept, found before any byte was
// sent. It unwraps to [ErrInvalid].
type InvalidError struct {
	// Op is the call, Field the field or parameter, Reason what is wrong with it.
	Op, Field, Reason string
}

// Error is "op: field reason".
func (e *InvalidError) Error() string { return e.Op + ": " + e.Field + " " + e.Reason }

// Unwrap is ErrInvalid.
func (e *InvalidError) Unwrap() error { return ErrInvalid }

// invalid is short for an *InvalidError.
func invalid(op, field, reason string) error {
	return &InvalidError{Op: op, Field: field, Reason: reason}
}

// Error is a call that failed, of which exactly one of [Error.Refused],
// [Error.RolledBack] and [Error.Ambiguous] is true. That matters for writes
// only: a failed read changed nothing.
type Error struct {
	// Op names the call: "create case".
	Op string
	// Method and Path are the request line, without host, query and secrets.
	Method, Path string
	// Status is the HTTP status, 0 without an answer.
	Status int
	// Type and Message are TheHive's own, such as "NotFoundError"; from
	// anybody else Type is empty and Message the beginning of the body.
	Type, Message string
	// RetryAfter is how long the server asked to wait, 0 when it did not.
	RetryAfter time.Duration
	// Sent reports whether a byte of the request may have left.
	Sent bool
	// Err is the cause, nil when the answer itself is the error.
	Err error

	// incomplete: the request's end was never sent, since its source failed.
	incomplete bool
}

// Error is "op: METHOD path: status type: message: cause".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s %s", e.Op, e.Method, e.Path)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d", e.Status)
	}
	for _, s := range []string{e.Type, e.Message} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap is the cause: a context's error, a guard's, the network's, ErrShape.
func (e *Error) Unwrap() error { return e.Err }

// Refused reports that surely nothing happened: no byte left or the request
// never ended, or the answer is a 3xx, a 4xx (429 too) or a 503. A 503 in which
// an Envoy proxy reports that the connection to TheHive broke is not among them.
func (e *Error) Refused() bool {
	switch e.Status {
	case 0:
		return !e.Sent || e.incomplete
	case http.StatusServiceUnavailable:
		return !brokenUpstream(e.Message)
	}
	return e.Status >= 300 && e.Status < 500
}

// RolledBack reports a 500 that carries TheHive's own error body: its
// transaction was undone (inferred). Look once, then it may be sent again.
func (e *Error) RolledBack() bool {
	return e.Status == http.StatusInternalServerError && e.Type != ""
}

// Ambiguous reports that only a look at TheHive can tell whether the write
// happened: 502, 504, a 500 from elsewhere, another 5xx, no answer after the
// first byte, or a 2xx whose body is cut, foreign, or a partial success where
// none is documented.
func (e *Error) Ambiguous() bool { return !e.Refused() && !e.RolledBack() }

// Exists reports that TheHive refused to create what is already there; it says
// so with a 400, not a 409.
func (e *Error) Exists() bool {
	return (e.Status == http.StatusBadRequest || e.Status == http.StatusConflict) && saysExists(e.Message)
}

// saysExists recognises "Observable already exists" and its like.
func saysExists(message string) bool {
	m := strings.ToLower(message)
	return strings.Contains(m, "already exist")
}

// brokenUpstream recognises the 503 of an Envoy proxy (Istio and others) whose
// connection to TheHive ended after it had taken the request: all reasons but
// those that say that no connection was made.
func brokenUpstream(message string) bool {
	m := strings.ToLower(message)
	if !strings.Contains(m, "disconnect/reset before headers") {
		return false
	}
	for _, never := range []string{"connection failure", "overflow", "connection timeout"} {
		if strings.Contains(m, never) {
			return false
		}
	}
	return true
}
