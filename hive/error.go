package hive

import (
	"errors"
	"fmt"
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

// Error is a call that failed. What it means, status and body judged together,
// is [Error.Verdict]; whether a write may have happened, of which exactly one of
// [Error.Refused], [Error.RolledBack] and [Error.Ambiguous] is true, is in
// verdict.go. A failed read changed nothing.
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
	// RetryAfter is how long the server asked to wait, 0 when it did not; at
	// most MaxRetryAfter, whatever it asked.
	RetryAfter time.Duration
	// Sent reports whether a byte of the request may have left.
	Sent bool
	// Err is the cause, nil when the answer itself is the error.
	Err error

	// incomplete: the request's end was never sent, since its source failed, its
	// guard refused, or the answer came before.
	incomplete bool
	// strange: a 2xx that is whole, and not what TheHive answers.
	strange bool
}

// Error is "op: METHOD path: status type: message: cause".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s %s", e.Op, e.Method, e.Path)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d", e.Status)
	}
	if e.Foreign() {
		b.WriteString(": not TheHive's answer")
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
