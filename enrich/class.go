package enrich

import (
	"context"
	"errors"
	"net/http"
	"time"

	"forager/enrich/claim"
	"forager/enrich/detection/malformed"
	"forager/hive"
)

// Class says what an error means for the message that met it. The settlement follows from the
// class alone, never from the error's text.
type Class int

// The classes, from harmless to final.
const (
	None        Class = iota // everything the detection asks for is in TheHive
	Dropped                  // nothing is to be done, for a reason that is counted
	Malformed                // cannot be read or correlated, ever
	Rejected                 // TheHive refused an item for good; the rest was applied
	Transient                // unknown or passing: try again later
	Throttled                // TheHive asked for fewer calls, or a proxy where nothing was changed
	Blocked                  // nothing can be done for any message, or any of an organisation, until somebody acts
	Interrupted              // shutdown or lost claim: not the detection's fault, not counted
	Quarantined              // not tried, since nothing of its correlation key has succeeded for long
)

// String gives the class as it is named in logs and metrics.
func (c Class) String() string {
	switch c {
	case None:
		return "none"
	case Dropped:
		return "dropped"
	case Malformed:
		return "malformed"
	case Rejected:
		return "rejected"
	case Transient:
		return "transient"
	case Throttled:
		return "throttled"
	case Blocked:
		return "blocked"
	case Interrupted:
		return "interrupted"
	case Quarantined:
		return "quarantined"
	default:
		return "transient"
	}
}

// Errors on which the class is decided. Wrap them with %w.
var (
	// ErrLostClaim: another worker holds the claim now, or ours could not be renewed in time.
	ErrLostClaim = claim.ErrLost
	// ErrStopping: the worker is shutting down and no further call may start.
	ErrStopping = claim.ErrStopping
	// ErrLedger: the ledger cannot be reached, or holds what this version must not touch.
	ErrLedger = claim.ErrUnreachable
	// ErrHeld: a gate is closed, or a sender is held up, so that nothing was tried; the cause was told once.
	ErrHeld = errors.New("held up")
	// ErrKeyBlocked: nothing of the correlation key succeeded for long, so that nothing was tried.
	ErrKeyBlocked = errors.New("key blocked")
	// ErrUnavailable: no call is sent to TheHive for the moment, since too many failed.
	ErrUnavailable = hive.ErrUnavailable
	// ErrVanished: a case was there and is not any more.
	ErrVanished = errors.New("case vanished")
	// ErrNoPatterns: the server holds no ATT&CK pattern at all; its catalogue is not imported.
	ErrNoPatterns = errors.New("TheHive holds no ATT&CK patterns")
	// ErrUnsettled: an ambiguous answer whose effect could not be seen in time.
	ErrUnsettled = errors.New("effect unknown")
)

// DroppedError says that nothing is to be done for a detection.
type DroppedError struct {
	Reason string // bounded vocabulary, a metric label: "not a detection", "silenced", "case deleted"
	Detail string // for people: which silence, which route
}

func (e *DroppedError) Error() string {
	if e.Detail == "" {
		return "dropped: " + e.Reason
	}
	return "dropped: " + e.Reason + ": " + e.Detail
}

// MalformedError says that a detection cannot become a plan, now or later.
type MalformedError struct {
	Reason string // bounded vocabulary: "no correlation key", "no audit document"
	Detail string // for people
}

func (e *MalformedError) Error() string {
	if e.Detail == "" {
		return "malformed: " + e.Reason
	}
	return "malformed: " + e.Reason + ": " + e.Detail
}

// RejectedError says which items of a detection TheHive refused for good. Everything else of
// the detection is in TheHive.
type RejectedError struct {
	Items []Refusal
}

// Refusal is one item that TheHive refused.
type Refusal struct {
	Step   string // "observable", "procedure", "comment", "case"
	Item   string // what was refused, shortened
	Status int    // HTTP status, 207's inner refusals count as 400
	Type   string // TheHive's error type
	Reason string // TheHive's own words
}

func (e *RejectedError) Error() string {
	if len(e.Items) == 0 {
		return "rejected"
	}
	r := e.Items[0]
	return "rejected: " + r.Step + " " + r.Item + ": " + r.Type + ": " + r.Reason
}

// UnsettledError says which items of a detection failed without a verdict of TheHive: it may take
// them the next time. Everything else of the detection is in TheHive. Its class is Transient, and
// it says nothing against other detections, of the same key neither.
type UnsettledError struct {
	Items []Refusal
	Err   error // of the first
}

func (e *UnsettledError) Error() string {
	if len(e.Items) == 0 {
		return "unsettled: " + e.Err.Error()
	}
	return "unsettled: " + e.Items[0].Step + " " + e.Items[0].Item + ": " + e.Err.Error()
}

// Unwrap is the error of the first item.
func (e *UnsettledError) Unwrap() error { return e.Err }

// ClassOf tells the class of an error of this package, of hive or of detection; unknown errors
// are Transient, so that no detection is ever lost to an error that nobody thought of.
func ClassOf(err error) Class {
	switch {
	case err == nil:
		return None
	case errors.Is(err, ErrLostClaim), errors.Is(err, ErrStopping), errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, ErrLedger), errors.Is(err, ErrNoPatterns), errors.Is(err, ErrUnavailable), errors.Is(err, hive.ErrCredentials), errors.Is(err, ErrHeld):
		return Blocked
	case errors.Is(err, ErrKeyBlocked):
		return Quarantined
	}
	if c, ok := classOfTyped(err); ok {
		return c
	}
	return Transient
}

func classOfTyped(err error) (Class, bool) {
	if _, ok := errors.AsType[*DroppedError](err); ok {
		return Dropped, true
	}
	if _, ok := errors.AsType[*MalformedError](err); ok {
		return Malformed, true
	}
	if _, ok := errors.AsType[*malformed.Error](err); ok {
		return Malformed, true
	}
	if _, ok := errors.AsType[*RejectedError](err); ok {
		return Rejected, true
	}
	if isDenied(err) {
		return Rejected, true
	}
	if _, ok := errors.AsType[*UnsettledError](err); ok {
		return Transient, true
	}
	if _, ok := errors.AsType[*OrganisationError](err); ok {
		return Blocked, true
	}
	if e, ok := errors.AsType[*hive.Error](err); ok {
		return classOfAnswer(e), true
	}
	return Transient, false
}

// classOfAnswer is the class of an answer that reached the border of an apply. A refusal of one
// item is turned into a RejectedError where the item is known; what arrives here concerns the
// apply. What is not TheHive's own answer never blocks: a firewall refuses one text, not all. Nor
// does a proxy's 429 to a write throttle: it may be the text, and is tried as any that failed.
func classOfAnswer(e *hive.Error) Class {
	switch e.Verdict() {
	case hive.Unauthenticated, hive.Denied:
		return Blocked
	case hive.Throttled:
		if e.Own() || e.Read() {
			return Throttled
		}
		return Transient
	case hive.Unanswered, hive.Foreign, hive.Failed, hive.NotFound, hive.Unacceptable:
		return Transient
	}
	return Transient
}

// reasonForeign is the reason of a message that somebody else than TheHive answered to, to the last.
const reasonForeign = "foreign answer"

// IsForeign tells whether somebody else than TheHive answered, a firewall or a portal for instance, or
// nobody did to the end. Where TheHive is well that concerns what was sent alone.
func IsForeign(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && ClassOf(err) == Transient && (e.Foreign() || e.Silent())
}

// MayConcernAll tells whether a failure may be that of everybody, or of this message alone: a proxy is
// busy or finds nobody, or there was no answer to the end. How TheHive does otherwise tells which.
func MayConcernAll(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && ClassOf(err) == Transient && (e.Verdict() == hive.Unanswered || e.Verdict() == hive.Throttled || e.Silent())
}

// IsUnavailable tells whether TheHive itself says that it is not available: a 503 of its own.
func IsUnavailable(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && e.Own() && e.Status == http.StatusServiceUnavailable
}

// ReasonOf names an error in few, bounded words, for metrics and dead letters.
func ReasonOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*DroppedError](err); ok {
		return e.Reason
	}
	if e, ok := errors.AsType[*MalformedError](err); ok {
		return e.Reason
	}
	if e, ok := errors.AsType[*malformed.Error](err); ok {
		return e.Reason
	}
	if e, ok := errors.AsType[*RejectedError](err); ok && len(e.Items) > 0 {
		return e.Items[0].Step + " rejected"
	}
	if errors.Is(err, ErrKeyBlocked) {
		return ErrKeyBlocked.Error()
	}
	if e, ok := errors.AsType[*hive.Error](err); ok && IsForeign(err) && e.Foreign() {
		return reasonForeign
	}
	return ClassOf(err).String()
}

// RetryAfter is how long TheHive asked to be left alone; 0 when it did not.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*hive.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}
