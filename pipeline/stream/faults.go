package stream

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// IsWrongSequence tells a lost compare-and-set: one node says 10071, a replicated stream 10164.
func IsWrongSequence(err error) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// IsTimeout tells that nobody answered in time: what was asked may have happened.
func IsTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}

// IsUntaken tells that no stream listened to a request: it changed nothing.
func IsUntaken(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse)
}

// IsMissing tells that a stream, consumer or bucket is not there.
func IsMissing(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) ||
		errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrConsumerDeleted)
}

// IsNoMessage tells that there is no message of a sequence. On a deletion the client turns the
// server's error (10043 or 10057, nats-server's errors.json) into text.
func IsNoMessage(err error) bool {
	return errors.Is(err, jetstream.ErrMsgNotFound) ||
		errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) && (strings.Contains(err.Error(), "err_code=10043") || strings.Contains(err.Error(), "err_code=10057"))
}

// refusedSubject is what the server says on a denied publish or subscription.
var refusedSubject = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]+)"`)

// Violation extracts which subject was refused.
func Violation(err error) (string, bool) {
	if err == nil || !errors.Is(err, nats.ErrPermissionViolation) && !strings.Contains(strings.ToLower(err.Error()), "permissions violation") {
		return "", false
	}
	if m := refusedSubject.FindStringSubmatch(err.Error()); m != nil {
		return strings.ToLower(m[1]) + " to " + m[2], true
	}
	return err.Error(), true
}
