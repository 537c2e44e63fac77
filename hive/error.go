package hive

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
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

// Verdict is what a failed call means for whoever made it: the one place where
// status and body of an answer are judged together. Only TheHive's own error
// body is a verdict on a case, an item or an account. The same status from
// anybody else (a proxy, a firewall, a portal) says nothing about them.
type Verdict int

// The verdicts. "Own" is as [Error.Own] says.
const (
	// Unanswered: no answer, or one that says that nothing answers there: 502, 503, 504.
	Unanswered Verdict = iota
	// Foreign: somebody else than TheHive answered: any 1xx, 3xx, 4xx or other
	// 5xx that is not own, and a 2xx that is not what TheHive answers. It concerns this request alone.
	Foreign
	// Failed: TheHive could not: an own 5xx, an own answer to a path that it
	// does not know, a 2xx that was cut.
	Failed
	// Throttled: a 429, whoever says it. TheHive itself hardly does; a proxy may mean all calls, or
	// the text of this one.
	Throttled
	// Unauthenticated: TheHive refuses the credentials: an own 401 or 402.
	Unauthenticated
	// Denied: TheHive knows the account and does not let it do this: an own 403.
	Denied
	// NotFound: TheHive does not have what the request names: an own 404. Of a
	// path below a case that may be the case, or what the request refers to.
	NotFound
	// Unacceptable: TheHive refuses what the request holds: any other own 4xx.
	Unacceptable
)

// String is the verdict in one word.
func (v Verdict) String() string {
	names := [...]string{"unanswered", "foreign", "failed", "throttled", "unauthenticated", "denied", "not found", "unacceptable"}
	if v < 0 || int(v) >= len(names) {
		return "unknown"
	}
	return names[v]
}

// VerdictOf is what an error says of TheHive's answer; [Unanswered] where there is no [*Error] in it.
func VerdictOf(err error) Verdict {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Verdict()
	}
	return Unanswered
}

// Uncertain tells whether an error leaves open if a write happened. An error without an [*Error] in it was no request.
func Uncertain(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && !e.Refused()
}

// Verdict judges status and body together.
func (e *Error) Verdict() Verdict {
	switch {
	case e.Status == http.StatusTooManyRequests:
		return Throttled
	case e.Own():
		return e.ownVerdict()
	case e.Status == 0, isGateway(e.Status):
		return Unanswered
	case e.Status/100 == 2 && !e.strange:
		return Failed
	}
	return Foreign
}

// ownVerdict is Verdict of TheHive's own answers.
func (e *Error) ownVerdict() Verdict {
	switch {
	case e.Status >= 500, e.Status == http.StatusRequestTimeout:
		return Failed
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusPaymentRequired:
		return Unauthenticated
	case e.Status == http.StatusForbidden:
		return Denied
	case e.Status == http.StatusNotFound && strings.HasPrefix(e.Message, "/"):
		return Failed // its router's: the message is the path, which this version does not know
	case e.Status == http.StatusNotFound:
		return NotFound
	}
	return Unacceptable
}

// Own reports that TheHive itself answered with an error: its body is JSON, says
// so, and is an object with a type and a message as TheHive writes them.
func (e *Error) Own() bool { return e.Type != "" && e.Status >= 400 && e.Status < 600 }

// Foreign reports that somebody else than TheHive answered: the verdict is
// [Foreign], or it is not TheHive that says 429, 502, 503 or 504.
func (e *Error) Foreign() bool {
	return e.Verdict() == Foreign || !e.Own() && (e.Status == http.StatusTooManyRequests || isGateway(e.Status))
}

// Silent reports that a request that was sent had no whole answer: the
// connection ended, or time ran out. What ended it may be the request.
func (e *Error) Silent() bool {
	return e.Status == 0 && e.Sent && !e.incomplete || e.Status/100 == 2 && e.Verdict() == Failed
}

// Read reports that the call changes nothing.
func (e *Error) Read() bool {
	return e.Method == http.MethodGet || e.Path == apiRoot+queryPath
}

// isGateway reports a status by which a proxy says that what is behind it does not answer.
func isGateway(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// What may have happened to a write:
//
//	status                                   own body      any other body
//	no answer: nothing left, no end left     –             refused
//	no answer: a byte left                   –             ambiguous
//	any, and the request's end never left    refused       refused
//	503 that names no connection to TheHive  refused       refused: nobody took it
//	1xx, 2xx that is not the documented one  –             ambiguous
//	3xx                                      –             ambiguous (an error page, as below)
//	4xx, 503                                 refused       ambiguous: firewalls judge answers too, and proxies put error pages in their place
//	500 of a class from before storing       rolled back   ambiguous
//	any other 5xx                            ambiguous     ambiguous
//
// So a status alone never proves of somebody else's answer that nothing was
// passed on, whatever it means: not 429, not 413.

// Refused reports that surely nothing happened, as the table says.
func (e *Error) Refused() bool {
	switch {
	case e.incomplete:
		return true
	case e.Status == 0:
		return !e.Sent
	case e.Own():
		return e.Status < 500 || e.Status == http.StatusServiceUnavailable
	}
	return e.Status == http.StatusServiceUnavailable && notConnected(e.Message)
}

// RolledBack reports a 500 of TheHive itself whose class is known to fail before
// anything is stored: a lock that was not got, a broken schema. Look once, then
// the write may be sent again. TheHive retries these six times by itself before
// it says so. Any other 500 may come from the middle of storing.
func (e *Error) RolledBack() bool {
	return e.Status == http.StatusInternalServerError && e.Own() && failsFirst(e.Type, e.Message)
}

// Ambiguous reports that only a look at TheHive can tell whether the write
// happened.
func (e *Error) Ambiguous() bool { return !e.Refused() && !e.RolledBack() }

// Exists reports that TheHive refused to create what is already there; it says
// so with a 400, not a 409.
func (e *Error) Exists() bool {
	return e.Own() && (e.Status == http.StatusBadRequest || e.Status == http.StatusConflict) && saysExists(e.Message)
}

// saysExists recognises "Observable already exists" and its like.
func saysExists(message string) bool {
	m := strings.ToLower(message)
	return strings.Contains(m, "already exist")
}

// failsFirst recognises the Java classes of failures from before anything is
// stored, with or without their package.
func failsFirst(class, message string) bool {
	simple := class[strings.LastIndexByte(class, '.')+1:]
	if simple == "DatabaseException" { // wraps what it met; the words are of the schema's violation alone
		m := strings.ToLower(message)
		return strings.Contains(m, "violation of database schema") || strings.Contains(m, "uniqueness constraint")
	}
	return slices.Contains([]string{"PermanentLockingException", "TemporaryLockingException", "SchemaViolationException"}, simple)
}

// ownTypes are the shapes that the type of TheHive's own error has for a
// status; for those that are not named, any Java class. "GenericError" and
// "Unknown" may come with every status.
var ownTypes = map[int]*regexp.Regexp{
	http.StatusUnauthorized: regexp.MustCompile(`(?i)(^|\.)(Generic|Auth[a-z]*|Unauthorized)(Error|Exception)?$`),
	http.StatusForbidden:    regexp.MustCompile(`(?i)(^|\.)(Generic|Auth[a-z]*|Forbidden|[a-z]*Permission[a-z]*|[a-z]*Licen[cs]e[a-z]*)(Error|Exception)?$`),
	http.StatusNotFound:     regexp.MustCompile(`(?i)(^|\.)(Generic|[a-z]*NotFound)(Error|Exception)?$`),
}

// classShape is a Java class, with or without its package.
var classShape = regexp.MustCompile(`^([a-z_][a-zA-Z0-9_]*\.)*[A-Z][A-Za-z0-9_$]*$`)

// isOwnType reports that a type is one that TheHive gives for a status.
func isOwnType(status int, kind string) bool {
	if !classShape.MatchString(kind) {
		return false
	}
	shape := ownTypes[status]
	return shape == nil || shape.MatchString(kind)
}

// notConnected recognises the 503 of a proxy that found nobody to pass a request
// on to. Each is the proxy's whole text, or its beginning: a page that only
// mentions it proves nothing.
func notConnected(message string) bool {
	m := strings.ToLower(message)
	return slices.ContainsFunc(nobodyBehind, func(p *regexp.Regexp) bool { return p.MatchString(m) })
}

// nobodyBehind are what proxies say then that try a request once: Envoy (Istio
// and others), HAProxy, Traefik. Kong says it of the last of several tries, and
// so does an Envoy that has retried; nginx says 502.
var nobodyBehind = []*regexp.Regexp{
	regexp.MustCompile(`^no healthy upstream$`),
	regexp.MustCompile(`^upstream connect error or disconnect/reset before headers\. reset reason: (remote |local )?(connection failure|overflow|connection timeout)`),
	regexp.MustCompile(`^<html><body><h1>503 service unavailable</h1> no server is available to handle this request\. </body></html>$`),
	regexp.MustCompile(`^no available server$`),
}
